//! Taking back what a container holds outside its record: for a failed creation, a removal, and what a crash left.

use std::sync::Arc;

use husk_shim_api::Call;

use super::volumes;
use crate::error::{Context, Result};
use crate::node::{Container, Node};
use crate::sandbox::{remove_dir, unmount_below};
use crate::store::blocking;

/// Processes, runtime state, cgroup, mounts, snapshots.
async fn release(node: &Arc<Node>, container: &Arc<Container>) -> Result<()> {
    let record = container.entry.get();
    let shim = node.sandboxes.get(&record.sandbox).and_then(|sandbox| sandbox.shim());
    if let Some(shim) = shim.filter(|shim| !shim.is_lost()) {
        let call = Call::Delete { container: record.id.clone(), force: true };
        match shim.call(call).await {
            Ok(_) | Err(crate::error::Error::NotFound { .. }) => {}
            Err(_) if shim.is_lost() => {}
            Err(error) => tracing::warn!(container_id = record.id, %error, "the runtime did not delete it"),
        }
    }
    let (node2, id, cgroup) = (node.clone(), record.id.clone(), record.cgroup.clone());
    blocking(move || {
        node2.cgroups.remove(&cgroup)?;
        unmount_below(&node2.paths.bundle(&id))?;
        remove_dir(&node2.paths.bundle(&id))?;
        remove_dir(&node2.paths.runtime().join(&id))
    })
    .await?;
    let count = record.config.mounts.len();
    let ids = (0..count).map(|index| volumes::snapshot_id(&record.id, index)).chain([record.id.clone()]);
    for id in ids {
        node.images.remove_snapshot(&id).await.on("remove", format!("the snapshot of {id}"))?;
    }
    Ok(())
}

/// [`release`], then the record.
pub async fn discard(node: &Arc<Node>, container: &Arc<Container>) -> Result<()> {
    release(node, container).await?;
    let folder = node.paths.container(&container.entry.get().id);
    blocking(move || remove_dir(&folder)).await
}
