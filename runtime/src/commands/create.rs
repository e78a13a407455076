//! `husk create`: makes a container whose program waits for `start`.

use super::new::New;
use crate::{cli::Global, launch};
use std::process::ExitCode;

/// Arguments of `husk create`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The container.
    #[command(flatten)]
    pub new: New,
}

/// Creates the container.
pub fn run(global: &Global, args: &Args) -> anyhow::Result<ExitCode> {
    launch::protect()?;
    launch::launch(global, &args.new.options())?.rollback.keep();
    Ok(ExitCode::SUCCESS)
}
