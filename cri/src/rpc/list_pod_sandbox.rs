//! ListPodSandbox.

use std::sync::Arc;

use husk_cri_api::{ListPodSandboxRequest, ListPodSandboxResponse};

use crate::error::Result;
use crate::node::Node;
use crate::sandbox;

/// Sandboxes that match.
pub async fn list_pod_sandbox(
    node: &Arc<Node>,
    request: ListPodSandboxRequest,
) -> Result<ListPodSandboxResponse> {
    Ok(ListPodSandboxResponse { items: sandbox::list(node, &request.filter.unwrap_or_default()) })
}
