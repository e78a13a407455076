//! `husk resume`: thaws all processes of a container.

use crate::cli::Global;
use std::process::ExitCode;

/// Arguments of `husk resume`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Id of the container
    #[arg(value_name = "CONTAINER-ID")]
    pub id: String,
}

/// Thaws the container.
pub fn run(_global: &Global, args: &Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("resume {}: not implemented", args.id);
}
