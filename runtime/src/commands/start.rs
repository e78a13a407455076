//! `husk start`: starts the program of a created container.

use crate::cli::Global;
use std::process::ExitCode;

/// Arguments of `husk start`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Id of the container
    #[arg(value_name = "CONTAINER-ID")]
    pub id: String,
}

/// Starts the container.
pub fn run(_global: &Global, args: &Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("start {}: not implemented", args.id);
}
