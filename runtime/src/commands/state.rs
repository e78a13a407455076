//! `husk state`: shows the state of a container as JSON.

use super::target::Target;
use crate::cli::Global;
use crate::state::Status;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

/// Arguments of `husk state`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Id of the container
    #[arg(value_name = "CONTAINER-ID")]
    pub id: String,
}

/// A container as `state` and `list` show it: runc's fields in runc's order.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Shown<'a> {
    oci_version: &'a str,
    /// The container's id.
    pub id: &'a str,
    /// Pid of init, 0 when stopped.
    pub pid: i32,
    /// Status at this moment.
    pub status: Status,
    /// Directory of the bundle.
    pub bundle: &'a Path,
    rootfs: &'a Path,
    /// When it was created, RFC 3339.
    pub created: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: &'a BTreeMap<String, String>,
    /// Name of the owner; `state` leaves it empty, as runc does.
    pub owner: String,
}

impl<'a> Shown<'a> {
    /// What is to be shown of a container.
    pub fn new(target: &'a Target, owner: String) -> Self {
        let (state, status) = (&target.state, target.status());
        let pid = match (status, &state.init) {
            (Status::Stopped, _) | (_, None) => 0,
            (_, Some(init)) => init.pid,
        };
        Self {
            oci_version: &state.oci_version,
            id: &state.id,
            pid,
            status,
            bundle: &state.bundle,
            rootfs: &state.rootfs,
            created: &state.created,
            annotations: &state.annotations,
            owner,
        }
    }
}

/// Shows the state.
pub fn run(global: &Global, args: &Args) -> anyhow::Result<ExitCode> {
    let target = Target::open(global, &args.id)?;
    let text = serde_json::to_string_pretty(&Shown::new(&target, String::new()))?;
    writeln!(std::io::stdout(), "{text}")?;
    Ok(ExitCode::SUCCESS)
}
