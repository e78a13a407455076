//! `husk state`: shows the state of a container as JSON.

use crate::cli::Global;
use std::process::ExitCode;

/// Arguments of `husk state`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Id of the container
    #[arg(value_name = "CONTAINER-ID")]
    pub id: String,
}

/// Shows the state.
pub fn run(_global: &Global, args: &Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("state {}: not implemented", args.id);
}
