//! `husk delete`: deletes what a container holds.

use crate::cli::Global;
use std::process::ExitCode;

/// Arguments of `husk delete`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Kill it first where it runs (SIGKILL); succeed where it does not exist
    #[arg(long, short)]
    pub force: bool,
    /// Id of the container
    #[arg(value_name = "CONTAINER-ID")]
    pub id: String,
}

/// Deletes the container.
pub fn run(_global: &Global, args: &Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("delete {}: not implemented", args.id);
}
