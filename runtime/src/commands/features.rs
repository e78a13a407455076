//! `husk features`: shows what this runtime can do, as JSON.

use crate::cli::Global;
use std::process::ExitCode;

/// Arguments of `husk features`.
#[derive(clap::Args, Debug)]
pub struct Args {}

/// Shows the features.
pub fn run(_global: &Global, _args: &Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("features: not implemented");
}
