//! ListContainerStats.

use std::sync::Arc;

use husk_cri_api::{ListContainerStatsRequest, ListContainerStatsResponse};

use crate::container;
use crate::error::Result;
use crate::node::Node;

/// Usage of the containers that match.
pub async fn list_container_stats(
    node: &Arc<Node>,
    request: ListContainerStatsRequest,
) -> Result<ListContainerStatsResponse> {
    let stats = container::list_stats(node, &request.filter.unwrap_or_default()).await;
    Ok(ListContainerStatsResponse { stats })
}
