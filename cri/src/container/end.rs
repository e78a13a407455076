//! The end of a container: from the exit record to what clients are told.

use std::os::fd::OwnedFd;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use husk_cri_api::{ContainerEventResponse, ContainerEventType};
use husk_exit::{ExitRecord, Found, Outcome, UnknownReason};
use husk_shim_api::{Exit, Status};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::node::{Container, Node, Sandbox};
use crate::store::{ContainerPhase, ContainerRecord, Ended, blocking};
use crate::{container, sandbox};

/// Time for the reaping of a process whose parent has died, in pauses.
const REAP_TRIES: u32 = 1500;
const REAP_PAUSE: Duration = Duration::from_millis(20);

/// The shim has seen the end of a container's init.
pub async fn ended(node: &Arc<Node>, container: &Arc<Container>, exit: &Exit) {
    if *container.ended.borrow() {
        return;
    }
    let record = container.entry.get();
    let (file, raw, finished) = (node.paths.exit_record(&record.id), exit.status, exit.finished_at);
    let problem = exit.record_error.clone();
    let id = record.id.clone();
    let read = blocking(move || {
        let found = husk_exit::read(&file);
        Ok(match found {
            Ok(Found::Record(found)) => found,
            // The status came over the socket, so it is known even where the file could not be written.
            _ => match raw {
                Some(raw) => of_status(&id, raw, problem),
                None => ExitRecord::new(&*id),
            },
        })
    });
    let found = read.await.unwrap_or_else(|_| ExitRecord::new(&*record.id));
    let started = exit.started_at;
    finish(node, container, judge(&found, finished), (started > 0).then_some(started));
}

fn of_status(id: &str, raw: i32, problem: Option<String>) -> ExitRecord {
    let gaps = problem.into_iter().map(|why| format!("the exit record could not be written: {why}"));
    ExitRecord { outcome: Outcome::Status { raw }, gaps: gaps.collect(), ..ExitRecord::new(id) }
}

/// What an exit record says in the CRI's words.
pub fn judge(record: &ExitRecord, finished: i64) -> Ended {
    let verdict = record.verdict();
    let written = i64::try_from(record.finished_ns).unwrap_or(0);
    Ended {
        code: verdict.cri_code(),
        reason: verdict.reason().to_owned(),
        message: record.message(),
        finished_at: if written > 0 { written } else { finished },
    }
}

/// The end of a container that nobody saw.
pub fn judge_unknown(record: &ContainerRecord, reason: UnknownReason) -> Ended {
    let found = ExitRecord { outcome: Outcome::Unknown { reason }, ..ExitRecord::new(&*record.id) };
    // The time at which this was found out: nobody knows the other.
    judge(&found, crate::id::now())
}

/// The container's program could not be executed.
pub fn never_ran(node: &Node, container: &Container, code: i32, what: &str) {
    let ended = Ended {
        code,
        reason: "ContainerCannotRun".into(),
        message: what.to_owned(),
        finished_at: crate::id::now(),
    };
    finish(node, container, ended, None);
}

/// Shows the end, once.
pub fn finish(node: &Node, container: &Container, ended: Ended, started: Option<i64>) {
    tracing::info!(
        container_id = container.entry.get().id,
        code = ended.code,
        reason = ended.reason,
        "container has ended"
    );
    container.entry.note_now(|record| {
        if record.ended.is_none() {
            let at = if record.started_at == 0 { started.unwrap_or_default() } else { record.started_at };
            record.started_at = at.min(ended.finished_at);
            record.ended = Some(ended);
        }
        if record.phase != ContainerPhase::Removing {
            record.phase = ContainerPhase::Exited;
        }
    });
    container.ended.send_replace(true);
    announce(node, container, ContainerEventType::ContainerStoppedEvent);
}

/// Asks the shim about a container whose end may have been told before anyone listened.
pub async fn catch_up(node: &Arc<Node>, sandbox: &Sandbox, container: &Arc<Container>) {
    let Some(shim) = sandbox.shim() else { return };
    let Ok(state) = shim.state().await else { return };
    let id = container.entry.get().id.clone();
    let found = state.containers.into_iter().find(|found| found.id == id);
    if let Some(exit) = found.filter(|found| found.status == Status::Stopped).and_then(|found| found.exit) {
        ended(node, container, &exit).await;
    }
}

/// The shim of a running container has died: its end is waited for without one. The exit record may be there, if the
/// shim died after it wrote that; otherwise the kernel tells the status to who holds a pidfd from before the end.
pub async fn orphaned(node: Arc<Node>, container: Arc<Container>) {
    let record = container.entry.get();
    let file = node.paths.exit_record(&record.id);
    if let Ok(Found::Record(found)) = husk_exit::read(&file) {
        return finish(&node, &container, judge(&found, crate::id::now()), None);
    }
    let init = container.init.lock().unwrap_or_else(PoisonError::into_inner).take();
    let raw = match init {
        Some(init) => status_of(init, record.pid).await,
        None => {
            until_gone(record.pid).await;
            None
        }
    };
    let mut found = match raw {
        Some(raw) => of_status(&record.id, raw, None),
        None => ExitRecord {
            outcome: Outcome::Unknown { reason: UnknownReason::MonitorDied },
            ..ExitRecord::new(&*record.id)
        },
    };
    let time = |nanos: i64| u64::try_from(nanos).unwrap_or_default();
    found.pid = u32::try_from(record.pid).unwrap_or_default();
    found.started_ns = time(record.started_at);
    found.finished_ns = time(crate::id::now());
    found.gaps.push("husk-shim had died: nobody watched the container's memory, signals and output".into());
    if let Err(error) = husk_exit::write(&file, &found) {
        tracing::warn!(container_id = record.id, %error, "the exit is in husk-cri's own record only");
    }
    finish(&node, &container, judge(&found, crate::id::now()), None);
}

/// The status of a process that has ended or will, once somebody has reaped it: the nearest subreaper, or PID 1, which
/// may take its time. None: this kernel does not tell.
async fn status_of(init: OwnedFd, pid: i32) -> Option<i32> {
    let init = crate::shim::watched(init).ok()?;
    let _ = init.readable().await;
    for _ in 0..REAP_TRIES {
        match husk_sys::pidfd::exit_status(init.get_ref()) {
            Ok(Some(raw)) => return Some(raw),
            Ok(None) => {}
            Err(_) => return None,
        }
        // Not reaped: /proc shows its status, and as long as that holds the pid is no other process's.
        let seen = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok().and_then(|text| zombie(&text));
        if seen.is_some() && matches!(husk_sys::pidfd::exit_status(init.get_ref()), Ok(None)) {
            return seen;
        }
        tokio::time::sleep(REAP_PAUSE).await;
    }
    None
}

/// The wait status of a zombie, the last field of proc_pid_stat(5).
fn zombie(stat: &str) -> Option<i32> {
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.starts_with("Z ").then(|| rest.split_whitespace().nth(49)?.parse().ok()).flatten()
}

/// Waits until the process has ended.
async fn until_gone(pid: i32) {
    let Some(pid) = Pid::from_raw(pid) else { return };
    let Ok(handle) = pidfd_open(pid, PidfdFlags::NONBLOCK) else { return };
    if let Ok(handle) = crate::shim::watched(handle) {
        let _ = handle.readable().await;
    }
}

/// Tells GetContainerEvents' clients.
pub fn announce(node: &Node, container: &Container, kind: ContainerEventType) {
    if node.events.receiver_count() == 0 {
        return;
    }
    let record = container.entry.get();
    let pod = node.sandboxes.get(&record.sandbox).map(|found| sandbox::status(&found.entry.get()));
    let statuses = match kind {
        ContainerEventType::ContainerDeletedEvent => Vec::new(),
        _ => vec![container::status(&record)],
    };
    let _ = node.events.send(ContainerEventResponse {
        container_id: record.id.clone(),
        container_event_type: kind as i32,
        created_at: crate::id::now(),
        pod_sandbox_status: pod,
        containers_statuses: statuses,
    });
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_zombie_shows_its_status() {
        let mut child = std::process::Command::new("sh").args(["-c", "exit 7"]).spawn().unwrap();
        let path = format!("/proc/{}/stat", child.id());
        let begun = std::time::Instant::now();
        let status = loop {
            if let Some(status) = super::zombie(&std::fs::read_to_string(&path).unwrap()) {
                break status;
            }
            assert!(begun.elapsed().as_secs() < 60);
        };
        assert_eq!(status, 7 << 8);
        child.wait().unwrap();
        assert_eq!(super::zombie(&std::fs::read_to_string("/proc/self/stat").unwrap()), None);
    }
}
