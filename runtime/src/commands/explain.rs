//! `husk explain`: says why a container ended, with the evidence.

use crate::cli::Global;
use std::process::ExitCode;

/// Arguments of `husk explain`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// As JSON, for programs
    #[arg(long)]
    pub json: bool,
    /// Explain this exec session of the container
    #[arg(long, value_name = "EXEC-ID")]
    pub exec_id: Option<String>,
    /// Id of the container
    #[arg(value_name = "CONTAINER-ID")]
    pub id: String,
}

/// Explains the end.
pub fn run(_global: &Global, args: &Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("explain {}: not implemented", args.id);
}
