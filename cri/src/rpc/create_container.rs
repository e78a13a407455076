//! CreateContainer.

use std::sync::Arc;

use husk_cri_api::{CreateContainerRequest, CreateContainerResponse};

use crate::container;
use crate::error::Result;
use crate::node::Node;

/// Makes a container.
pub async fn create_container(
    node: &Arc<Node>,
    request: CreateContainerRequest,
) -> Result<CreateContainerResponse> {
    let container_id = container::create(node, request).await?;
    Ok(CreateContainerResponse { container_id })
}
