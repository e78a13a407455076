//! RunPodSandbox.

use std::sync::Arc;

use husk_cri_api::{RunPodSandboxRequest, RunPodSandboxResponse};

use crate::error::Result;
use crate::node::Node;
use crate::sandbox;

/// Makes a sandbox.
pub async fn run_pod_sandbox(
    node: &Arc<Node>,
    request: RunPodSandboxRequest,
) -> Result<RunPodSandboxResponse> {
    let pod_sandbox_id = sandbox::run(node, request).await?;
    Ok(RunPodSandboxResponse { pod_sandbox_id })
}
