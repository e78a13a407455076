//! UpdateContainerResources.

use std::sync::Arc;

use husk_cri_api::LinuxContainerResources;
use husk_shim_api::Call;

use crate::error::{Error, Result};
use crate::node::Node;
use crate::spec;
use crate::store::ContainerPhase;

/// Changes the limits of a container. What the update does not set stays as it is.
pub async fn update(node: &Arc<Node>, id: &str, wanted: LinuxContainerResources) -> Result<()> {
    let container = node.containers.find(id)?;
    let _gate = container.gate.lock().await;
    let record = container.entry.get();
    if !matches!(record.phase, ContainerPhase::Created | ContainerPhase::Running) {
        let what = format!("container {:?} is {:?}: it has no limits any more", record.id, record.phase);
        return Err(Error::State { what });
    }
    let resources = spec::linux_resources(&wanted, &node.missing())?;
    if resources.as_object().is_some_and(|changes| !changes.is_empty()) {
        let sandbox = node.sandboxes.find(&record.sandbox)?;
        let call = Call::Update { container: record.id.clone(), resources };
        sandbox.need_shim()?.call(call).await?;
    }
    container.entry.update_now(|record| record.resources = spec::merge_resources(&record.resources, &wanted))
}
