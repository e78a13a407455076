//! Starting a shim, and finding it again.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use husk_shim_api::SOCKET_NAME;
use tokio::process::Command;
use tokio::sync::mpsc;

use super::{Notice, Shim};
use crate::config::Handler;
use crate::error::{Context, Error, Result};

/// What a shim is started with.
pub struct Launch<'a> {
    /// husk-shim.
    pub binary: &'a Path,
    /// Id of its sandbox.
    pub sandbox: &'a str,
    /// Its own folder: socket, namespaces.
    pub dir: &'a Path,
    /// The OCI runtime of its containers.
    pub handler: &'a Handler,
    /// Folder for the OCI runtime's own state.
    pub runtime_root: &'a Path,
    /// Time that the runtime may take for one command.
    pub runtime_timeout: Duration,
    /// Group for the shim, from the root of the cgroup tree.
    pub cgroup: &'a str,
}

/// Time that a shim has to open its socket and leave us.
const OPEN: Duration = Duration::from_secs(20);

/// Starts a shim and connects to it. It is no child of ours then.
pub async fn start(launch: &Launch<'_>, notices: mpsc::UnboundedSender<Notice>) -> Result<Shim> {
    let mut command = Command::new(launch.binary);
    command.arg("start").arg("--id").arg(launch.sandbox).arg("--dir").arg(launch.dir);
    command.arg("--runtime").arg(&launch.handler.path).arg("--cgroup").arg(launch.cgroup);
    for arg in &launch.handler.args {
        command.arg("--runtime-arg").arg(arg);
    }
    command.args(["--runtime-arg", "--root", "--runtime-arg"]).arg(launch.runtime_root);
    command.stdin(Stdio::null()).stdout(Stdio::null()).current_dir("/").kill_on_drop(true);
    let shown = launch.binary.display().to_string();
    let late = || Error::Deadline { what: "husk-shim's start".into(), seconds: OPEN.as_secs() };
    let output =
        tokio::time::timeout(OPEN, command.output()).await.map_err(|_| late())?.on("start", &shown)?;
    if !output.status.success() {
        let what = format!("{shown}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
        return Err(Error::State { what });
    }
    reconnect(launch.dir, launch.runtime_timeout, notices).await
}

/// Connects to the shim whose folder is `dir`, if it lives.
pub async fn reconnect(
    dir: &Path,
    runtime_timeout: Duration,
    notices: mpsc::UnboundedSender<Notice>,
) -> Result<Shim> {
    Shim::connect(&dir.join(SOCKET_NAME), runtime_timeout, notices).await
}
