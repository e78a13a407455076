//! `husk resume`: lets the processes of a paused container run again.

use super::target::Target;
use crate::cli::Global;
use anyhow::{Context as _, bail};
use std::process::ExitCode;

/// Arguments of `husk resume`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Id of the container
    #[arg(value_name = "CONTAINER-ID")]
    pub id: String,
}

/// Thaws the container.
pub fn run(global: &Global, args: &Args) -> anyhow::Result<ExitCode> {
    let (target, _lock) = Target::lock(global, &args.id)?;
    let group = target.cgroup()?;
    // Asked of the group, and not the status, as a stopped container's group can be frozen, too.
    if !group.is_frozen()? {
        bail!("container not paused: {:?} is {}", args.id, target.status());
    }
    group.thaw().with_context(|| format!("resume container {:?}", args.id))?;
    Ok(ExitCode::SUCCESS)
}
