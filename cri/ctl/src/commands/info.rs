//! `huskctl info` and `huskctl version`.

use std::io::Write;

use husk_cri_api as cri;
use serde_json::json;

use super::inspect;
use crate::client::{Client, rpc};

/// Prints the runtime's conditions, handlers, features and own info as JSON.
pub async fn info(client: &Client) -> anyhow::Result<()> {
    let status = rpc("Status", client.runtime.clone().status(cri::StatusRequest { verbose: true })).await?;
    let object = json!({
        "conditions": status.status.map(|s| s.conditions),
        "runtimeHandlers": status.runtime_handlers,
        "features": status.features,
        "info": inspect::info(status.info),
    });
    writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(&object)?)?;
    Ok(())
}

/// Prints the versions of both sides.
pub async fn version(client: &Client) -> anyhow::Result<()> {
    let there = rpc("Version", client.runtime.clone().version(cri::VersionRequest::default())).await?;
    writeln!(std::io::stdout(), "huskctl  {}", env!("CARGO_PKG_VERSION"))?;
    writeln!(
        std::io::stdout(),
        "runtime  {} {}, CRI {}",
        there.runtime_name,
        there.runtime_version,
        there.runtime_api_version
    )?;
    Ok(())
}
