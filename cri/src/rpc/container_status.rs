//! ContainerStatus.

use std::sync::Arc;

use husk_cri_api::{ContainerStatusRequest, ContainerStatusResponse};

use super::info;
use crate::container;
use crate::error::Result;
use crate::node::Node;

/// State of one container.
pub async fn container_status(
    node: &Arc<Node>,
    request: ContainerStatusRequest,
) -> Result<ContainerStatusResponse> {
    let record = node.containers.find(&request.container_id)?.entry.get();
    Ok(ContainerStatusResponse {
        status: Some(container::status(&record)),
        info: if request.verbose { info(record.as_ref())? } else { Default::default() },
    })
}
