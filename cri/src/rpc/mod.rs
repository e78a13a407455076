//! CRI v1, one file per RPC: a request in, an answer out. What is done is elsewhere.

mod container_stats;
mod container_status;
mod create_container;
mod exec_sync;
mod get_container_events;
mod image_fs_info;
mod image_service;
mod image_status;
mod list_container_stats;
mod list_containers;
mod list_images;
mod list_pod_sandbox;
mod list_pod_sandbox_stats;
mod pod_sandbox_stats;
mod pod_sandbox_status;
mod pull_image;
mod remove_container;
mod remove_image;
mod remove_pod_sandbox;
mod reopen_container_log;
mod run_pod_sandbox;
mod runtime_config;
mod runtime_service;
mod start_container;
mod status;
mod stop_container;
mod stop_pod_sandbox;
mod update_container_resources;
mod update_pod_sandbox_resources;
mod update_runtime_config;
mod version;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;
use tonic::{Response, Status};

use crate::error::{Context, Error, Result};
use crate::node::Node;

/// Both services of the CRI, on one node.
#[derive(Clone)]
pub struct Service {
    node: Arc<Node>,
}

impl Service {
    /// Serves `node`.
    pub fn new(node: Arc<Node>) -> Self {
        Self { node }
    }
}

/// Logs a call and turns its result into gRPC's.
async fn answer<T>(op: &'static str, call: impl Future<Output = Result<T>>) -> Result<Response<T>, Status> {
    let begun = Instant::now();
    let result = call.await;
    let elapsed_ms = begun.elapsed().as_millis() as u64;
    match &result {
        Ok(_) => tracing::debug!(op, elapsed_ms, "done"),
        Err(error @ (Error::NotFound { .. } | Error::Unimplemented { .. })) => {
            tracing::debug!(op, elapsed_ms, %error, "refused");
        }
        Err(error) => tracing::warn!(op, elapsed_ms, %error, "failed"),
    }
    Ok(Response::new(result?))
}

/// A method's body: the RPC's own function, or the refusal of one that husk-cri does not have.
macro_rules! call {
    ($service:ident, $module:ident, $request:ident) => {
        super::answer(stringify!($module), super::$module::$module(&$service.node, $request.into_inner()))
            .await
    };
    (none $rpc:literal) => {
        super::answer($rpc, async { Err(crate::error::Error::Unimplemented { rpc: $rpc }) }).await
    };
}
use call;

/// For people who ask a verbose question: all that husk-cri knows, as JSON.
fn info(record: &impl Serialize) -> Result<HashMap<String, String>> {
    let text = serde_json::to_string(record).on("encode", "verbose information")?;
    Ok(HashMap::from([("info".to_owned(), text)]))
}
