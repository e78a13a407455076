//! Version.

use std::sync::Arc;

use husk_cri_api::{VersionRequest, VersionResponse};

use crate::error::Result;
use crate::node::Node;

/// Version of the kubelet's runtime API, which the kubelet compares with its own.
const KUBELET_API: &str = "0.1.0";

/// Names the server.
pub async fn version(_node: &Arc<Node>, _request: VersionRequest) -> Result<VersionResponse> {
    Ok(VersionResponse {
        version: KUBELET_API.into(),
        runtime_name: "husk".into(),
        runtime_version: env!("CARGO_PKG_VERSION").into(),
        runtime_api_version: "v1".into(),
    })
}
