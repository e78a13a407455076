//! `husk ps`: shows the processes of a container.

use crate::cli::Global;
use std::process::ExitCode;

/// Arguments of `husk ps`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// table or json
    #[arg(long, short, value_name = "FORMAT", default_value = "table")]
    pub format: String,
    /// Id of the container
    #[arg(value_name = "CONTAINER-ID")]
    pub id: String,
    /// Options for the ps program
    #[arg(value_name = "PS-OPTION", trailing_var_arg = true, allow_hyphen_values = true)]
    pub ps_options: Vec<String>,
}

/// Shows the processes.
pub fn run(_global: &Global, args: &Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("ps {}: not implemented", args.id);
}
