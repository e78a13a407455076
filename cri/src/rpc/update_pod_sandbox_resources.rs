//! UpdatePodSandboxResources.

use std::sync::Arc;

use husk_cri_api::{UpdatePodSandboxResourcesRequest, UpdatePodSandboxResourcesResponse};

use crate::error::Result;
use crate::node::Node;

/// Takes note: the pod's cgroup is the kubelet's own, and has changed already.
pub async fn update_pod_sandbox_resources(
    node: &Arc<Node>,
    request: UpdatePodSandboxResourcesRequest,
) -> Result<UpdatePodSandboxResourcesResponse> {
    let sandbox = node.sandboxes.find(&request.pod_sandbox_id)?;
    sandbox.entry.update_now(|record| {
        let linux = record.config.linux.get_or_insert_default();
        linux.overhead = request.overhead.or(linux.overhead.take());
        linux.resources = request.resources.or(linux.resources.take());
    })?;
    Ok(UpdatePodSandboxResourcesResponse {})
}
