//! `husk list`: lists the containers under the root directory.

use crate::cli::Global;
use std::process::ExitCode;

/// Arguments of `husk list`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// table or json
    #[arg(long, short, value_name = "FORMAT", default_value = "table")]
    pub format: String,
    /// Show the ids only
    #[arg(long, short)]
    pub quiet: bool,
}

/// Lists the containers.
pub fn run(_global: &Global, _args: &Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("list: not implemented");
}
