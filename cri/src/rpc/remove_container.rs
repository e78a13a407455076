//! RemoveContainer.

use std::sync::Arc;

use husk_cri_api::{RemoveContainerRequest, RemoveContainerResponse};

use crate::container;
use crate::error::Result;
use crate::node::Node;

/// Removes a container.
pub async fn remove_container(
    node: &Arc<Node>,
    request: RemoveContainerRequest,
) -> Result<RemoveContainerResponse> {
    container::remove(node, &request.container_id).await?;
    Ok(RemoveContainerResponse {})
}
