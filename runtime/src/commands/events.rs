//! `husk events`: shows statistics and OOM notifications of a container.

use crate::cli::Global;
use std::process::ExitCode;

/// Arguments of `husk events`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Time between two statistics, as 5s
    #[arg(long, value_name = "TIME", default_value = "5s")]
    pub interval: String,
    /// Show the statistics once and end
    #[arg(long)]
    pub stats: bool,
    /// Id of the container
    #[arg(value_name = "CONTAINER-ID")]
    pub id: String,
}

/// Shows the events.
pub fn run(_global: &Global, args: &Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("events {}: not implemented", args.id);
}
