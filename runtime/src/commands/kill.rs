//! `husk kill`: sends a signal to a container's init process.

use crate::cli::Global;
use std::process::ExitCode;

/// Arguments of `husk kill`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Send it to all processes of the container
    #[arg(long, short)]
    pub all: bool,
    /// Id of the container
    #[arg(value_name = "CONTAINER-ID")]
    pub id: String,
    /// Signal by name or number
    #[arg(value_name = "SIGNAL", default_value = "SIGTERM")]
    pub signal: String,
}

/// Sends the signal.
pub fn run(_global: &Global, args: &Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("kill {}: not implemented", args.id);
}
