//! ExecSync.

use std::sync::Arc;

use husk_cri_api::{ExecSyncRequest, ExecSyncResponse};

use crate::container;
use crate::error::Result;
use crate::node::Node;

/// Runs a command in a container.
pub async fn exec_sync(node: &Arc<Node>, request: ExecSyncRequest) -> Result<ExecSyncResponse> {
    container::exec_sync(node, request).await
}
