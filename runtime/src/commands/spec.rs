//! `husk spec`: writes a config.json to begin with.

use crate::cli::Global;
use std::{path::PathBuf, process::ExitCode};

/// Arguments of `husk spec`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Directory of the bundle (default: the current directory)
    #[arg(long, short, value_name = "DIR")]
    pub bundle: Option<PathBuf>,
    /// For an ordinary user
    #[arg(long)]
    pub rootless: bool,
}

/// Writes the file.
pub fn run(_global: &Global, _args: &Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("spec: not implemented");
}
