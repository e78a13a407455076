//! StopPodSandbox.

use std::sync::Arc;

use husk_cri_api::{StopPodSandboxRequest, StopPodSandboxResponse};

use crate::error::Result;
use crate::node::Node;
use crate::sandbox;

/// Stops a sandbox.
pub async fn stop_pod_sandbox(
    node: &Arc<Node>,
    request: StopPodSandboxRequest,
) -> Result<StopPodSandboxResponse> {
    sandbox::stop(node, &request.pod_sandbox_id).await?;
    Ok(StopPodSandboxResponse {})
}
