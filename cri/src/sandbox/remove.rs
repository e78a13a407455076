//! RemovePodSandbox.

use std::sync::Arc;

use super::stop::halt;
use crate::container;
use crate::error::Result;
use crate::node::{Node, Sandbox};
use crate::sandbox::release::remove_dir;
use crate::store::{SandboxPhase, blocking};

/// Removes a sandbox with its containers. One that is unknown is fine.
pub async fn remove(node: &Arc<Node>, id: &str) -> Result<()> {
    let Some(sandbox) = node.sandboxes.get(id) else { return Ok(()) };
    let id = sandbox.entry.get().id.clone();
    let job = node.clone();
    node.changing
        .join(&format!("remove sandbox {id}"), move || async move { purge(&job, &sandbox).await })
        .await
}

/// Removes what a sandbox holds, then its record.
pub async fn purge(node: &Arc<Node>, sandbox: &Arc<Sandbox>) -> Result<()> {
    let id = sandbox.entry.get().id.clone();
    halt(node, sandbox).await?;
    for container in node.containers_of(&id) {
        let id = container.entry.get().id.clone();
        container::remove(node, &id).await?;
    }
    sandbox.entry.note_now(|record| record.phase = SandboxPhase::Removing);
    let folder = node.paths.sandbox(&id);
    blocking(move || remove_dir(&folder)).await?;
    node.sandboxes.remove(&id);
    tracing::info!(sandbox_id = id, "sandbox is removed");
    Ok(())
}
