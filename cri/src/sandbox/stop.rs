//! StopPodSandbox.

use std::sync::Arc;

use super::release;
use crate::container;
use crate::error::Result;
use crate::node::{Node, Sandbox};
use crate::store::SandboxPhase;

/// Stops a sandbox. One that is unknown or stopped is fine.
pub async fn stop(node: &Arc<Node>, id: &str) -> Result<()> {
    let Some(sandbox) = node.sandboxes.get(id) else { return Ok(()) };
    let id = sandbox.entry.get().id.clone();
    let job = node.clone();
    node.changing.join(&format!("stop sandbox {id}"), move || async move { halt(&job, &sandbox).await }).await
}

/// Kills the containers, releases the network and everything else.
pub async fn halt(node: &Arc<Node>, sandbox: &Arc<Sandbox>) -> Result<()> {
    // No container is made while this goes on, and what is being made is waited for.
    let _gate = sandbox.gate.write().await;
    let record = sandbox.entry.get();
    let released = !node.paths.sandbox_state(&record.id).exists();
    if record.phase == SandboxPhase::Stopped && !record.attached && released {
        return Ok(());
    }
    let all = node.containers_of(&record.id);
    let mut tasks = tokio::task::JoinSet::new();
    for container in all {
        let node = node.clone();
        tasks.spawn(async move { container::kill(&node, &container, container::Cause::Pod).await });
    }
    while let Some(done) = tasks.join_next().await {
        if let Ok(result) = done {
            result?;
        }
    }
    if record.phase == SandboxPhase::Ready {
        sandbox.entry.note_now(|record| record.phase = SandboxPhase::Stopped);
    }
    release(node, sandbox).await
}
