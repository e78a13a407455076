//! What the shim knows of each container and exec.

use crate::log::{Lines, LogFile};
use husk_exit::{Baseline, Reserved, SentSignal};
use husk_shim_api::{ContainerState, ExecState, Exit, Runtime, Status};
use husk_sys::wait;
use rustix::process::Pid;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Instant;

/// The reading end of an output stream.
#[derive(Debug)]
pub struct Output {
    /// Pipe or terminal master, non-blocking.
    pub fd: OwnedFd,
    /// Cuts it into lines.
    pub lines: Lines,
    /// Registered with epoll; not while the log is stalled.
    pub watched: bool,
}

/// A client attached to an output stream.
#[derive(Debug)]
pub struct Sink {
    /// For epoll.
    pub slot: u32,
    /// Non-blocking.
    pub fd: OwnedFd,
    /// Takes stderr; otherwise stdout.
    pub stderr: bool,
    /// What it did not take yet.
    pub behind: Vec<u8>,
}

/// A process that has ended and whose record is not written yet.
#[derive(Debug, Clone, Copy)]
pub struct Ended {
    /// Its wait status, and what it used.
    pub used: wait::Ended,
    /// When it was seen.
    pub at: i64,
    /// Output is waited for until then at most.
    pub drain_until: Instant,
}

/// A container.
#[derive(Debug)]
pub struct Container {
    /// Its number in events and jobs.
    pub slot: u32,
    /// Its id.
    pub id: String,
    /// Its runtime.
    pub runtime: Runtime,
    /// Present state.
    pub status: Status,
    /// Init; 0 before the runtime's `create` is done.
    pub pid: i32,
    /// Init's pidfd.
    pub pidfd: Option<OwnedFd>,
    /// stdout, or the terminal.
    pub stdout: Option<Output>,
    /// stderr.
    pub stderr: Option<Output>,
    /// The writing end of stdin, kept open for clients.
    pub stdin: Option<OwnedFd>,
    /// Console socket that the runtime sends the terminal to; during `create` only.
    pub console: Option<(OwnedFd, PathBuf)>,
    /// Has a terminal.
    pub terminal: bool,
    /// Log file.
    pub log: Option<LogFile>,
    /// Tried again then, while the log is stalled.
    pub log_retry: Option<Instant>,
    /// Attached clients.
    pub sinks: Vec<Sink>,
    /// Where the record goes.
    pub record: PathBuf,
    /// The room for it on disk; None once it is used.
    pub reserved: Option<Reserved>,
    /// Signals sent by us.
    pub sent: Vec<SentSignal>,
    /// Directory of its cgroup, if it has one of its own.
    pub cgroup: Option<PathBuf>,
    /// Its runtime works with cgroup v1 as well, and would take a sub-group's name for all of them.
    pub v1: bool,
    /// Counters of its cgroup before the program's start.
    pub before: Baseline,
    /// inotify watch of its memory.events.
    pub watch: Option<i32>,
    /// OOM kills seen.
    pub oom_kills: u64,
    /// When `start` succeeded, 0 before.
    pub started_at: i64,
    /// Why the runtime's `start` failed.
    pub start_error: Option<String>,
    /// Init has ended, the record is not written yet.
    pub ended: Option<Ended>,
    /// The end, recorded.
    pub exit: Option<Exit>,
    /// A job of the container (not an exec) is under way; a second one is refused.
    pub busy: bool,
    /// `delete` succeeded: forgotten as soon as the exit is recorded.
    pub deleted: bool,
    /// Execs.
    pub execs: Vec<ExecProcess>,
}

/// A further process in a container.
#[derive(Debug)]
pub struct ExecProcess {
    /// Its number in jobs.
    pub slot: u32,
    /// Its id.
    pub id: String,
    /// The process, 0 before the runtime's `exec` is done.
    pub pid: i32,
    /// Its pidfd.
    pub pidfd: Option<OwnedFd>,
    /// Console socket, during the runtime's `exec` only.
    pub console: Option<(OwnedFd, PathBuf)>,
    /// When it was started.
    pub started_at: i64,
    /// Killed then.
    pub deadline: Option<Instant>,
    /// The deadline passed.
    pub timed_out: bool,
    /// Cgroup of its own below the container's.
    pub cgroup: Option<PathBuf>,
    /// Where a record goes, if one is wanted.
    pub record: Option<PathBuf>,
    /// Signals sent by us.
    pub sent: Vec<SentSignal>,
    /// Raw wait status and time of an end that is not told yet.
    pub ended: Option<(i32, i64)>,
    /// The end.
    pub exit: Option<Exit>,
    /// Looked at again then: forgotten, or its cgroup's removal tried again.
    pub forget_at: Option<Instant>,
}

impl Container {
    /// Init, while it is neither reaped nor unknown.
    pub fn live_pid(&self) -> Option<Pid> {
        if self.ended.is_some() || self.exit.is_some() { None } else { Pid::from_raw(self.pid) }
    }

    /// For `State`.
    pub fn state(&self) -> ContainerState {
        ContainerState {
            id: self.id.clone(),
            status: self.status,
            pid: self.live_pid().map(|pid| pid.as_raw_pid()),
            started_at: (self.started_at != 0).then_some(self.started_at),
            exit: self.exit.clone(),
            oom_kills: self.oom_kills,
            log_stalled: self.log.as_ref().is_some_and(LogFile::stalled),
            execs: self.execs.iter().filter(|exec| exec.pid != 0).map(ExecProcess::state).collect(),
        }
    }
}

impl ExecProcess {
    fn state(&self) -> ExecState {
        ExecState { id: self.id.clone(), pid: self.pid, exit: self.exit.clone() }
    }
}
