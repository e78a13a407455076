//! RemovePodSandbox.

use std::sync::Arc;

use husk_cri_api::{RemovePodSandboxRequest, RemovePodSandboxResponse};

use crate::error::Result;
use crate::node::Node;
use crate::sandbox;

/// Removes a sandbox and its containers.
pub async fn remove_pod_sandbox(
    node: &Arc<Node>,
    request: RemovePodSandboxRequest,
) -> Result<RemovePodSandboxResponse> {
    sandbox::remove(node, &request.pod_sandbox_id).await?;
    Ok(RemovePodSandboxResponse {})
}
