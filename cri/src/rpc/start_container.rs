//! StartContainer.

use std::sync::Arc;

use husk_cri_api::{StartContainerRequest, StartContainerResponse};

use crate::container;
use crate::error::Result;
use crate::node::Node;

/// Runs a container's program.
pub async fn start_container(
    node: &Arc<Node>,
    request: StartContainerRequest,
) -> Result<StartContainerResponse> {
    container::start(node, &request.container_id).await?;
    Ok(StartContainerResponse {})
}
