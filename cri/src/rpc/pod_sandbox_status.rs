//! PodSandboxStatus.

use std::sync::Arc;

use husk_cri_api::{PodSandboxStatusRequest, PodSandboxStatusResponse};

use super::info;
use crate::container;
use crate::error::Result;
use crate::node::Node;
use crate::sandbox;

/// State of one sandbox and its containers.
pub async fn pod_sandbox_status(
    node: &Arc<Node>,
    request: PodSandboxStatusRequest,
) -> Result<PodSandboxStatusResponse> {
    let record = node.sandboxes.find(&request.pod_sandbox_id)?.entry.get();
    let containers = node.containers_of(&record.id);
    Ok(PodSandboxStatusResponse {
        status: Some(sandbox::status(&record)),
        info: if request.verbose { info(record.as_ref())? } else { Default::default() },
        containers_statuses: containers.iter().map(|found| container::status(&found.entry.get())).collect(),
        timestamp: crate::id::now(),
    })
}
