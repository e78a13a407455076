//! What the shim knows, as it tells it: ends, containers, execs.

use crate::message::Pinned;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The end of a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// Raw wait status as of wait(2); None: unknown, the record says why.
    pub status: Option<i32>,
    /// When it was started.
    pub started_at: i64,
    /// When its end was seen.
    pub finished_at: i64,
    /// An exec's timeout killed it.
    #[serde(default)]
    pub timed_out: bool,
    /// File of the exit record.
    #[serde(default)]
    pub record: Option<PathBuf>,
    /// Why the record could not be written.
    #[serde(default)]
    pub record_error: Option<String>,
}

impl Exit {
    /// Exit code as shells and CRI tell it: the program's, or 128 + signal; None if unknown.
    pub fn code(&self) -> Option<i32> {
        let status = self.status?;
        let signal = status & 0x7f;
        Some(if signal == 0 { (status >> 8) & 0xff } else { 128 + signal })
    }
}

/// State of a container, in the words of the OCI runtime spec.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The runtime's `create` is under way.
    Creating,
    /// Waiting for `Start`.
    Created,
    /// Started.
    Running,
    /// Init has ended.
    Stopped,
}

/// Answer to [`Call::State`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The shim's [`crate::VERSION`].
    pub version: u32,
    /// The pod's id.
    pub sandbox: String,
    /// The shim's process id.
    pub pid: i32,
    /// What `Pin` made; None before it.
    pub pinned: Option<Pinned>,
    /// The pause process ended by itself.
    #[serde(default)]
    pub pause_exit: Option<Exit>,
    /// All containers that are not deleted.
    pub containers: Vec<ContainerState>,
}

/// One container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerState {
    /// Container id.
    pub id: String,
    /// State.
    pub status: Status,
    /// Init, while it lives.
    pub pid: Option<i32>,
    /// When `Start` succeeded; None before.
    pub started_at: Option<i64>,
    /// How it ended.
    pub exit: Option<Exit>,
    /// OOM kills in its cgroup since its start.
    #[serde(default)]
    pub oom_kills: u64,
    /// The log file can't take more at present (the disk is full); what it refused waits.
    #[serde(default)]
    pub log_stalled: bool,
    /// Its execs; ended ones are kept until the next `State` or a minute, whichever comes first.
    pub execs: Vec<ExecState>,
}

/// One exec.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecState {
    /// Exec id.
    pub id: String,
    /// The process.
    pub pid: i32,
    /// How it ended; None while it runs.
    pub exit: Option<Exit>,
}
