//! RuntimeConfig.

use std::sync::Arc;

use husk_cri_api::{CgroupDriver, LinuxRuntimeConfiguration, RuntimeConfigRequest, RuntimeConfigResponse};

use crate::error::Result;
use crate::node::Node;

/// The cgroup driver, which the kubelet takes over.
pub async fn runtime_config(
    _node: &Arc<Node>,
    _request: RuntimeConfigRequest,
) -> Result<RuntimeConfigResponse> {
    let linux = LinuxRuntimeConfiguration { cgroup_driver: CgroupDriver::Cgroupfs as i32 };
    Ok(RuntimeConfigResponse { linux: Some(linux) })
}
