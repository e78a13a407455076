//! UpdateContainerResources.

use std::sync::Arc;

use husk_cri_api::{UpdateContainerResourcesRequest, UpdateContainerResourcesResponse};

use crate::container;
use crate::error::{Error, Result};
use crate::node::Node;

/// Changes limits.
pub async fn update_container_resources(
    node: &Arc<Node>,
    request: UpdateContainerResourcesRequest,
) -> Result<UpdateContainerResourcesResponse> {
    if request.windows.is_some() {
        return Err(Error::invalid("windows", "this is a Linux node"));
    }
    let wanted = request.linux.ok_or_else(|| Error::missing("linux"))?;
    container::update(node, &request.container_id, wanted).await?;
    Ok(UpdateContainerResourcesResponse {})
}
