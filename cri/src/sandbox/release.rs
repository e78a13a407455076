//! Taking back what a sandbox holds outside its record. One function for a failed start, for a stop, and for what a
//! crash left: each step takes back a thing that may or may not be there.

use std::sync::Arc;

use husk_shim_api::Call;
use rustix::mount::{UnmountFlags, unmount};

use super::network;
use crate::error::{Context, Result};
use crate::mountinfo;
use crate::node::{Node, Sandbox};
use crate::store::blocking;

/// Network, shim with all its processes, namespaces, mounts, cgroups, state folder.
pub async fn release(node: &Arc<Node>, sandbox: &Arc<Sandbox>) -> Result<()> {
    // The network first: its plugins want the namespace. If they fail, the namespace stays for the next try.
    network::detach(node, sandbox).await?;
    let record = sandbox.entry.get();
    if let Some(shim) = sandbox.shim()
        && !shim.is_lost()
        && let Err(error) = shim.call(Call::Shutdown { force: true }).await
        && !shim.is_lost()
    {
        tracing::warn!(sandbox_id = record.id, %error, "husk-shim did not end when asked to");
    }
    sandbox.set_shim(None);
    let node = node.clone();
    blocking(move || {
        node.cgroups.remove_shim(&record.id)?;
        node.cgroups.remove(&format!("{}/pause-{}", record.cgroup.trim_end_matches('/'), record.id))?;
        if record.own_cgroup {
            node.cgroups.remove(&record.cgroup)?;
        }
        let state = node.paths.sandbox_state(&record.id);
        unmount_below(&state)?;
        remove_dir(&state)
    })
    .await
}

/// Takes every mount off `dir` and what is in it.
pub fn unmount_below(dir: &std::path::Path) -> Result<()> {
    for point in mountinfo::below(dir)? {
        // Detached, not waited for: a process that hangs in it must not hang us.
        unmount(&point, UnmountFlags::DETACH).on("unmount", point.display().to_string())?;
    }
    Ok(())
}

/// Removes a folder with its content; one that is not there is fine.
pub fn remove_dir(dir: &std::path::Path) -> Result<()> {
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        removed => removed.on("remove", dir.display().to_string()),
    }
}
