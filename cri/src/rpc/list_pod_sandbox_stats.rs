//! ListPodSandboxStats.

use std::sync::Arc;

use husk_cri_api::{ListPodSandboxStatsRequest, ListPodSandboxStatsResponse};

use crate::error::Result;
use crate::node::Node;
use crate::sandbox;

/// Usage of the sandboxes that match.
pub async fn list_pod_sandbox_stats(
    node: &Arc<Node>,
    request: ListPodSandboxStatsRequest,
) -> Result<ListPodSandboxStatsResponse> {
    let stats = sandbox::list_stats(node, &request.filter.unwrap_or_default()).await;
    Ok(ListPodSandboxStatsResponse { stats })
}
