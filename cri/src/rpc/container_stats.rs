//! ContainerStats.

use std::sync::Arc;

use husk_cri_api::{ContainerStatsRequest, ContainerStatsResponse};

use crate::container;
use crate::error::Result;
use crate::node::Node;

/// Usage of one container.
pub async fn container_stats(
    node: &Arc<Node>,
    request: ContainerStatsRequest,
) -> Result<ContainerStatsResponse> {
    let stats = container::stats(node, &request.container_id).await?;
    Ok(ContainerStatsResponse { stats: Some(stats) })
}
