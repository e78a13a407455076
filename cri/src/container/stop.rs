//! StopContainer, and the end of a container by force.

use std::sync::Arc;
use std::time::Duration;

use husk_shim_api::{Call, Kill, StopReason};
use tokio::time::Instant;

use crate::error::{Context, Error, Result};
use crate::node::{Container, Node};
use crate::store::{ContainerPhase, blocking};

/// Why a container is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Its pod is being stopped.
    Pod,
    /// It is being removed.
    Removal,
}

const SIGKILL: u8 = 9;
/// A grace period is cut to this: longer than any pod lives, short enough for the clock.
const LONGEST: u64 = 366 * 24 * 3600;
/// Time within which the kernel ends what got SIGKILL, unless it hangs in a system call.
const DYING: Duration = Duration::from_secs(60);

/// Stop signal, grace period, SIGKILL. One that is unknown or has ended is fine. A further call with a shorter grace
/// period shortens that of the first.
pub async fn stop(node: &Arc<Node>, id: &str, seconds: i64) -> Result<()> {
    let Some(container) = node.containers.get(id) else { return Ok(()) };
    let grace = Duration::from_secs(u64::try_from(seconds).unwrap_or(0).min(LONGEST));
    let wanted = Instant::now() + grace;
    container.deadline.send_if_modified(|deadline| match deadline {
        Some(earlier) if *earlier <= wanted => false,
        _ => {
            *deadline = Some(wanted);
            true
        }
    });
    let id = container.entry.get().id.clone();
    let job = node.clone();
    let key = format!("stop container {id}");
    node.changing.join(&key, move || halt(job, container, grace.is_zero())).await
}

async fn halt(node: Arc<Node>, container: Arc<Container>, at_once: bool) -> Result<()> {
    let _done = Done(&container);
    if has_ended(&container) {
        return Ok(());
    }
    if !at_once && container.entry.get().phase == ContainerPhase::Running {
        let signal = container.entry.get().stop_signal;
        send(&node, &container, signal, false, StopReason::Stop).await?;
        if before_deadline(&container).await {
            return Ok(());
        }
        return force(&node, &container, StopReason::Grace).await;
    }
    force(&node, &container, StopReason::Stop).await
}

/// The next stop sets a deadline of its own.
struct Done<'a>(&'a Container);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.deadline.send_replace(None);
    }
}

/// Waits for the end; false: the deadline, which may come nearer meanwhile, has passed.
async fn before_deadline(container: &Container) -> bool {
    let (mut ended, mut deadline) = (container.ended.subscribe(), container.deadline.subscribe());
    loop {
        let now = *deadline.borrow_and_update();
        let until = now.unwrap_or_else(Instant::now);
        tokio::select! {
            done = ended.wait_for(|ended| *ended) => return done.is_ok(),
            () = tokio::time::sleep_until(until) => return false,
            _ = deadline.changed() => {}
        }
    }
}

/// SIGKILL for all of a container, without grace.
pub async fn kill(node: &Arc<Node>, container: &Arc<Container>, cause: Cause) -> Result<()> {
    if has_ended(container) {
        return Ok(());
    }
    let why = match cause {
        Cause::Pod => StopReason::Stop,
        Cause::Removal => StopReason::Removal,
    };
    force(node, container, why).await
}

fn has_ended(container: &Container) -> bool {
    *container.ended.borrow() || container.entry.get().cannot_run.is_some()
}

async fn force(node: &Arc<Node>, container: &Arc<Container>, why: StopReason) -> Result<()> {
    let mut ended = container.ended.subscribe();
    send(node, container, SIGKILL, true, why).await?;
    let waited = tokio::time::timeout(DYING, ended.wait_for(|ended| *ended)).await;
    let what = || format!("the end of container {:?} after SIGKILL", container.entry.get().id);
    match waited {
        Ok(_) => Ok(()),
        Err(_) => Err(Error::Deadline { what: what(), seconds: DYING.as_secs() }),
    }
}

/// Sends a signal by the shim; where that is gone, by the cgroup.
async fn send(
    node: &Arc<Node>,
    container: &Arc<Container>,
    signal: u8,
    all: bool,
    why: StopReason,
) -> Result<()> {
    let record = container.entry.get();
    let shim = node.sandboxes.get(&record.sandbox).and_then(|sandbox| sandbox.shim());
    if let Some(shim) = shim.filter(|shim| !shim.is_lost()) {
        let kill = Kill { container: record.id.clone(), exec: None, signal, all, why };
        return match shim.call(Call::Kill(kill)).await {
            Ok(_) => Ok(()),
            // It has ended meanwhile: the event is on its way.
            Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        };
    }
    let node = node.clone();
    blocking(move || {
        let group = node.cgroups.at(&record.cgroup);
        if signal == SIGKILL {
            return group.kill_all().on("kill cgroup", &record.cgroup);
        }
        group.signal_all(i32::from(signal)).on("signal cgroup", &record.cgroup).map(drop)
    })
    .await
}
