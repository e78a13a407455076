//! `husk create`: makes a container whose program waits for `start`.

use crate::{
    cli::Global,
    launch::{self, Options},
};
use std::{path::PathBuf, process::ExitCode};

/// Arguments of `husk create`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Directory of the bundle (default: the current directory)
    #[arg(long, short, value_name = "DIR")]
    pub bundle: Option<PathBuf>,
    /// Unix socket that is sent the terminal's master descriptor
    #[arg(long, value_name = "PATH")]
    pub console_socket: Option<PathBuf>,
    /// Unix socket that is sent a pidfd of the process
    #[arg(long, value_name = "PATH")]
    pub pidfd_socket: Option<PathBuf>,
    /// File to write the process id to
    #[arg(long, value_name = "FILE")]
    pub pid_file: Option<PathBuf>,
    /// Do not use pivot_root; for a root filesystem on a ramdisk
    #[arg(long)]
    pub no_pivot: bool,
    /// Keep the caller's session keyring
    #[arg(long)]
    pub no_new_keyring: bool,
    /// Pass this many further descriptors, beginning with 3 and after those of $LISTEN_FDS
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub preserve_fds: u32,
    /// Id of the container
    #[arg(value_name = "CONTAINER-ID")]
    pub id: String,
}

/// Creates the container.
pub fn run(global: &Global, args: &Args) -> anyhow::Result<ExitCode> {
    launch::protect()?;
    let options = Options {
        id: &args.id,
        bundle: args.bundle.as_deref(),
        console_socket: args.console_socket.as_deref(),
        pidfd_socket: args.pidfd_socket.as_deref(),
        pid_file: args.pid_file.as_deref(),
        no_pivot: args.no_pivot,
        no_new_keyring: args.no_new_keyring,
        preserve_fds: args.preserve_fds,
        detach: true,
        fifo: true,
    };
    launch::launch(global, &options)?.rollback.keep();
    Ok(ExitCode::SUCCESS)
}
