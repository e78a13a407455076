//! ReopenContainerLog.

use std::sync::Arc;

use husk_cri_api::{ReopenContainerLogRequest, ReopenContainerLogResponse};

use crate::container;
use crate::error::Result;
use crate::node::Node;

/// Opens a log anew.
pub async fn reopen_container_log(
    node: &Arc<Node>,
    request: ReopenContainerLogRequest,
) -> Result<ReopenContainerLogResponse> {
    container::reopen(node, &request.container_id).await?;
    Ok(ReopenContainerLogResponse {})
}
