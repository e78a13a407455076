//! StopContainer.

use std::sync::Arc;

use husk_cri_api::{StopContainerRequest, StopContainerResponse};

use crate::container;
use crate::error::Result;
use crate::node::Node;

/// Stops a container.
pub async fn stop_container(
    node: &Arc<Node>,
    request: StopContainerRequest,
) -> Result<StopContainerResponse> {
    container::stop(node, &request.container_id, request.timeout).await?;
    Ok(StopContainerResponse {})
}
