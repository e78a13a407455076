//! `husk pause`: freezes all processes of a container.

use crate::cli::Global;
use std::process::ExitCode;

/// Arguments of `husk pause`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Id of the container
    #[arg(value_name = "CONTAINER-ID")]
    pub id: String,
}

/// Freezes the container.
pub fn run(_global: &Global, args: &Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("pause {}: not implemented", args.id);
}
