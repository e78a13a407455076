//! `husk pause`: freezes all processes of a container.

use super::target::Target;
use crate::cli::Global;
use crate::state::Status;
use anyhow::{Context as _, bail};
use std::process::ExitCode;

/// Arguments of `husk pause`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Id of the container
    #[arg(value_name = "CONTAINER-ID")]
    pub id: String,
}

/// Freezes the container. It has stopped when the command returns.
pub fn run(global: &Global, args: &Args) -> anyhow::Result<ExitCode> {
    let (target, _lock) = Target::lock(global, &args.id)?;
    target.need_init()?;
    if target.status() == Status::Paused {
        bail!("container {:?} is paused already", args.id);
    }
    target.cgroup()?.freeze().with_context(|| format!("pause container {:?}", args.id))?;
    Ok(ExitCode::SUCCESS)
}
