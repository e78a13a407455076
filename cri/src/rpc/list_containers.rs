//! ListContainers.

use std::sync::Arc;

use husk_cri_api::{ListContainersRequest, ListContainersResponse};

use crate::container;
use crate::error::Result;
use crate::node::Node;

/// Containers that match.
pub async fn list_containers(
    node: &Arc<Node>,
    request: ListContainersRequest,
) -> Result<ListContainersResponse> {
    Ok(ListContainersResponse { containers: container::list(node, &request.filter.unwrap_or_default()) })
}
