//! Further processes in a container: probes, hooks, shells.
//!
//! An exec with a time limit gets a cgroup of its own below the container's, so that all of it can be killed, also what
//! has left its session (containerd#10094, kubernetes#124226).

use crate::container::ExecProcess;
use crate::create::{JobStart, check_id, open_pidfd, read_pid};
use crate::job::{Caller, Job, Stdio3, TIMEOUT, Task};
use crate::server::{Shim, failure, internal};
use husk_cgroup::Cgroup;
use husk_exit::SignalCause;
use husk_shim_api::{Event, Exec, Exit, Failure, FailureKind, Reply, Status};
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// An ended exec is told in `State` for so long.
const KEEP: Duration = Duration::from_secs(60);
/// How long the end of a killed exec waits for its last process to go.
const KILL_WAIT: Duration = Duration::from_secs(2);

impl Shim {
    pub(crate) fn exec(&mut self, caller: Caller, exec: Exec, fds: Vec<OwnedFd>) -> Result<(), Failure> {
        check_id("exec", &exec.exec)?;
        if exec.terminal && !fds.is_empty() {
            return Err(failure(FailureKind::Invalid, "a terminal takes no descriptors"));
        }
        let slot = self.slot();
        let container = self.find(&exec.container)?;
        if container.status != Status::Running || container.deleted {
            return Err(failure(FailureKind::State, format!("container {} does not run", exec.container)));
        }
        if container.execs.iter().any(|e| e.id == exec.exec) {
            return Err(failure(FailureKind::Exists, format!("exec {} exists already", exec.exec)));
        }
        let (container_slot, runtime) = (container.slot, container.runtime.clone());
        let v1 = container.v1;
        let parent = container.cgroup.clone().filter(|_| exec.timeout_ms > 0);
        let (process, pid_file) = (self.job_file(slot, "json"), self.job_file(slot, "pid"));
        let mut args: Vec<OsString> = vec!["--detach".into(), "--process".into(), process.clone().into()];
        args.extend(["--pid-file".into(), pid_file.clone().into()]);
        let mut files = vec![pid_file, process.clone()];
        let mut stdio = Stdio3::NONE;
        let mut console = None;
        let mut fds = fds.into_iter();
        let mut next = |passed: bool| if passed { fds.next().map(Into::into) } else { None };
        if exec.terminal {
            let (listener, path) = self.console_socket(slot)?;
            args.extend(["--console-socket".into(), path.clone().into()]);
            files.push(path.clone());
            console = Some((listener, path));
        } else {
            stdio.stdin = next(exec.stdin);
            stdio.stdout = next(exec.stdout);
            stdio.stderr = next(exec.stderr);
        }
        let cgroup = parent.and_then(|parent| leaf(&parent, slot));
        if let Some(leaf) = cgroup.as_ref().filter(|_| !v1) {
            args.extend(["--cgroup".into(), leaf.file_name().unwrap_or_default().into()]);
        }
        args.push(exec.container.clone().into());
        let limit = Duration::from_millis(exec.timeout_ms);
        let timeout = if exec.timeout_ms > 0 { limit.min(TIMEOUT) } else { TIMEOUT };
        let start = JobStart { task: Task::Exec(container_slot, slot), caller: Some(caller), timeout, files };
        let deadline = (exec.timeout_ms > 0).then(|| Instant::now() + limit);
        let written = std::fs::write(&process, exec.process.to_string());
        let started = written
            .map_err(|e| internal("process file", e))
            .and_then(|()| self.run_runtime(&runtime, "exec", args, stdio, start));
        if let Err(e) = started {
            let _ = std::fs::remove_file(&process);
            cgroup.as_deref().map(std::fs::remove_dir);
            return Err(e);
        }
        if let Some(container) = self.at(container_slot) {
            container.execs.push(ExecProcess {
                slot,
                id: exec.exec,
                pid: 0,
                pidfd: None,
                console,
                started_at: 0,
                deadline,
                timed_out: false,
                cgroup,
                record: exec.record,
                sent: Vec::new(),
                ended: None,
                exit: None,
                forget_at: None,
            });
        }
        Ok(())
    }

    pub(crate) fn exec_done(&mut self, container: u32, slot: u32, job: &Job, result: Result<(), Failure>) {
        match result.and_then(|()| self.adopt_exec(container, slot, job)) {
            Ok((pid, started_at, terminal)) => {
                self.answer(job.caller, Ok(Reply::Exec { pid, started_at }), terminal);
                self.claim_stray(pid);
            }
            Err(e) => {
                if let Some(container) = self.at(container)
                    && let Some(at) = container.execs.iter().position(|e| e.slot == slot)
                {
                    // What the runtime was about to start may have got as far as its cgroup.
                    let mut exec = container.execs.remove(at);
                    exec.kill_all();
                    let end = Instant::now() + Duration::from_millis(200);
                    while !exec.remove_cgroup() && Instant::now() < end {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                }
                self.answer(job.caller, Err(e), None);
            }
        }
    }

    fn adopt_exec(
        &mut self,
        container: u32,
        slot: u32,
        job: &Job,
    ) -> Result<(i32, i64, Option<OwnedFd>), Failure> {
        let pid = read_pid(&job.files[0])?;
        let stray = self.strays.iter().any(|stray| stray.0.pid == pid);
        let v1 = self.at(container).is_some_and(|container| container.v1);
        let exec = self.exec_at(container, slot);
        let exec = exec.ok_or_else(|| failure(FailureKind::NotFound, "the container is gone"))?;
        exec.pid = pid;
        exec.started_at = crate::clock::now();
        if !stray {
            exec.pidfd = Some(open_pidfd(pid)?);
        }
        if v1 && let Some(leaf) = &exec.cgroup {
            // Later than a runtime would do it: what it has forked already is not in it.
            let _ = Cgroup::open(leaf).add(pid.unsigned_abs());
        }
        let console = exec.console.take();
        let terminal = console.map(|(listener, _)| crate::attach::receive_terminal(&listener)).transpose()?;
        Ok((pid, exec.started_at, terminal))
    }

    /// An exec's process was reaped.
    pub(crate) fn exec_ended(&mut self, container: u32, slot: u32, status: i32, at: i64) {
        let Some(exec) = self.exec_at(container, slot) else { return };
        exec.ended = Some((status, at));
        exec.deadline = Some(Instant::now() + KILL_WAIT);
        if exec.timed_out {
            exec.kill_all();
        }
        self.finish_exec(container, slot);
    }

    /// Tells an exec's end; one that was killed, once nothing of it is left.
    fn finish_exec(&mut self, container_slot: u32, slot: u32) {
        let now = Instant::now();
        let Some(container) = self.containers.iter_mut().find(|c| c.slot == container_slot) else { return };
        let Some(at) = container.execs.iter().position(|e| e.slot == slot) else { return };
        let exec = &mut container.execs[at];
        let Some((status, finished_at)) = exec.ended.filter(|_| exec.exit.is_none()) else { return };
        if !exec.timed_out {
            exec.release_rest(container.cgroup.as_deref());
        }
        let gone = exec.remove_cgroup();
        if exec.timed_out && !gone && exec.deadline.is_some_and(|deadline| now < deadline) {
            exec.forget_at = Some(now + Duration::from_millis(2));
            return;
        }
        let mut exit = Exit {
            status: Some(status),
            started_at: exec.started_at,
            finished_at,
            timed_out: exec.timed_out,
            record: exec.record.clone(),
            record_error: None,
        };
        exec.deadline = None;
        exec.pidfd = None;
        exec.forget_at = Some(now + KEEP);
        exit.record_error = crate::exits::write_exec(container, &container.execs[at], &exit);
        container.execs[at].exit = Some(exit.clone());
        let event = Event::Exited {
            container: container.id.clone(),
            exec: Some(container.execs[at].id.clone()),
            exit,
        };
        self.links.tell(&self.poll, event);
    }

    /// Tells the end of execs that have outlived their container (in a shared PID namespace they can): nobody will see
    /// how they end.
    pub(crate) fn lose_execs(&mut self, container: crate::container::Container) {
        for exec in container.execs.into_iter().filter(|exec| exec.exit.is_none()) {
            let exit = Exit {
                status: exec.ended.map(|(status, _)| status),
                started_at: exec.started_at,
                finished_at: exec.ended.map_or_else(crate::clock::now, |(_, at)| at),
                timed_out: exec.timed_out,
                record: None,
                record_error: None,
            };
            let event = Event::Exited { container: container.id.clone(), exec: Some(exec.id), exit };
            self.links.tell(&self.poll, event);
        }
    }

    /// Time limits, ends that wait for the rest of their processes, and old entries.
    pub(crate) fn exec_timers(&mut self, container: u32, now: Instant) {
        let Some(found) = self.at(container) else { return };
        let mut waiting = Vec::new();
        for exec in &mut found.execs {
            if exec.ended.is_some() && exec.exit.is_none() {
                waiting.push(exec.slot);
            } else if exec.pid != 0 && exec.exit.is_none() && exec.deadline.is_some_and(|at| at <= now) {
                exec.timed_out = true;
                // Killed again and again until the end is seen: a process may have been forking.
                exec.deadline = Some(now + Duration::from_millis(100));
                exec.sent.push(crate::kill::sent(9, SignalCause::Timeout));
                exec.sent.truncate(4);
                exec.kill_all();
            }
        }
        found.execs.retain(|e| e.exit.is_none() || e.forget_at.is_none_or(|at| at > now));
        for slot in waiting {
            self.finish_exec(container, slot);
        }
    }
}

/// Makes an exec's cgroup. None where that can't be: then only the process itself can be killed.
fn leaf(parent: &Path, slot: u32) -> Option<PathBuf> {
    let leaf = parent.join(format!("husk-exec-{slot}"));
    std::fs::create_dir(&leaf).ok().map(|()| leaf)
}

impl ExecProcess {
    /// SIGKILL to all of it.
    fn kill_all(&mut self) {
        if let Some(cgroup) = &self.cgroup {
            let _ = Cgroup::open(cgroup).kill_all();
        }
        if let Some(pidfd) = &self.pidfd {
            let _ = rustix::process::pidfd_send_signal(pidfd, rustix::process::Signal::KILL);
        }
    }

    /// A process that an exec has left behind on purpose goes on living, as the container's.
    fn release_rest(&mut self, parent: Option<&Path>) {
        let (Some(cgroup), Some(parent)) = (&self.cgroup, parent) else { return };
        for pid in Cgroup::open(cgroup).pids().unwrap_or_default() {
            let _ = Cgroup::open(parent).add(pid);
        }
    }

    /// True: there is none (any more).
    fn remove_cgroup(&mut self) -> bool {
        let Some(cgroup) = &self.cgroup else { return true };
        match std::fs::remove_dir(cgroup) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => false,
            _ => {
                self.cgroup = None;
                true
            }
        }
    }
}
