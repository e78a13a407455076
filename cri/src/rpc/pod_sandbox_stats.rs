//! PodSandboxStats.

use std::sync::Arc;

use husk_cri_api::{PodSandboxStatsRequest, PodSandboxStatsResponse};

use crate::error::Result;
use crate::node::Node;
use crate::sandbox;

/// Usage of one sandbox.
pub async fn pod_sandbox_stats(
    node: &Arc<Node>,
    request: PodSandboxStatsRequest,
) -> Result<PodSandboxStatsResponse> {
    let stats = sandbox::stats(node, &request.pod_sandbox_id).await?;
    Ok(PodSandboxStatsResponse { stats: Some(stats) })
}
