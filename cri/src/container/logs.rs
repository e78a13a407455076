//! ReopenContainerLog.

use husk_shim_api::Call;

use crate::error::{Error, Result};
use crate::node::Node;
use crate::store::ContainerPhase;

/// Opens a running container's log anew, after its rotation.
pub async fn reopen(node: &Node, id: &str) -> Result<()> {
    let record = node.containers.find(id)?.entry.get();
    if record.phase != ContainerPhase::Running {
        return Err(Error::State { what: format!("container {:?} is not running", record.id) });
    }
    let sandbox = node.sandboxes.find(&record.sandbox)?;
    sandbox.need_shim()?.call(Call::ReopenLog { container: record.id.clone() }).await.map(drop)
}
