//! Status.

use std::sync::Arc;

use std::collections::HashMap;

use husk_cri_api::{
    RuntimeCondition, RuntimeFeatures, RuntimeHandler, RuntimeHandlerFeatures, RuntimeStatus, StatusRequest,
    StatusResponse,
};

use super::info;
use crate::error::Result;
use crate::node::Node;
use crate::store::blocking;

/// Whether pods can be run, and which features a pod may ask for. Nothing is claimed that does not work.
pub async fn status(node: &Arc<Node>, request: StatusRequest) -> Result<StatusResponse> {
    let conditions = vec![runtime(node), network(node).await?];
    let mut names = vec![String::new()];
    names.extend(node.config.runtime.handlers.keys().cloned());
    let mut handlers = Vec::new();
    for name in names {
        let features = RuntimeHandlerFeatures {
            recursive_read_only_mounts: node.features.has_rro(node.handler(&name)?).await,
            user_namespaces: false,
        };
        handlers.push(RuntimeHandler { name, features: Some(features) });
    }
    Ok(StatusResponse {
        status: Some(RuntimeStatus { conditions }),
        info: if request.verbose { info(&node.config)? } else { HashMap::new() },
        runtime_handlers: handlers,
        features: Some(RuntimeFeatures { supplemental_groups_policy: true, ..RuntimeFeatures::default() }),
    })
}

fn condition(kind: &str, problem: Option<(&str, String)>) -> RuntimeCondition {
    let status = problem.is_none();
    let (reason, message) = problem.unwrap_or_default();
    RuntimeCondition { r#type: kind.into(), status, reason: reason.into(), message }
}

fn runtime(node: &Node) -> RuntimeCondition {
    let handlers = node.config.runtime.handlers.values().map(|handler| &handler.path);
    let missing = handlers.chain([&node.config.shim]).find(|path| !path.is_file());
    condition("RuntimeReady", missing.map(|path| ("BinaryMissing", format!("no file {}", path.display()))))
}

async fn network(node: &Arc<Node>) -> Result<RuntimeCondition> {
    let cni = node.cni.clone();
    let ready = blocking(move || Ok(cni.ready().map_err(|error| error.to_string()))).await?;
    Ok(condition("NetworkReady", ready.err().map(|error| ("NetworkPluginNotReady", error))))
}
