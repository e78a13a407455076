//! RemoveContainer.

use std::sync::Arc;

use husk_cri_api::ContainerEventType;

use super::{Cause, announce, discard, kill};
use crate::error::Result;
use crate::node::{Container, Node};
use crate::store::ContainerPhase;

/// Removes a container, by force where it runs. One that is unknown is fine.
pub async fn remove(node: &Arc<Node>, id: &str) -> Result<()> {
    let Some(container) = node.containers.get(id) else { return Ok(()) };
    let id = container.entry.get().id.clone();
    let job = node.clone();
    node.changing.join(&format!("remove container {id}"), move || purge(job, container)).await
}

async fn purge(node: Arc<Node>, container: Arc<Container>) -> Result<()> {
    kill(&node, &container, Cause::Removal).await?;
    let _gate = container.gate.lock().await;
    let id = container.entry.get().id.clone();
    container.entry.note_now(|record| record.phase = ContainerPhase::Removing);
    discard(&node, &container).await?;
    node.containers.remove(&id);
    announce(&node, &container, ContainerEventType::ContainerDeletedEvent);
    tracing::info!(container_id = id, "container is removed");
    Ok(())
}
