//! UpdateRuntimeConfig.

use std::sync::{Arc, PoisonError};

use husk_cri_api::{UpdateRuntimeConfigRequest, UpdateRuntimeConfigResponse};

use crate::error::Result;
use crate::node::Node;

/// Takes the node's pod range, for network plugins that want it.
pub async fn update_runtime_config(
    node: &Arc<Node>,
    request: UpdateRuntimeConfigRequest,
) -> Result<UpdateRuntimeConfigResponse> {
    let network = request.runtime_config.unwrap_or_default().network_config.unwrap_or_default();
    if !network.pod_cidr.is_empty() {
        *node.pod_cidr.lock().unwrap_or_else(PoisonError::into_inner) = network.pod_cidr;
    }
    Ok(UpdateRuntimeConfigResponse {})
}
