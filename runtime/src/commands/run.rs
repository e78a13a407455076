//! `husk run`: creates and starts a container, and waits for its end.

use super::target::Target;
use crate::{
    cli::Global,
    foreground::{self, Signals},
    launch::{self, Launched, Options},
    record,
};
use anyhow::Context as _;
use husk_exit::{SignalCause, WaitStatus};
use rustix::process::Pid;
use std::{path::PathBuf, process::ExitCode};

/// Arguments of `husk run`.
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
    /// Return as soon as the process runs
    #[arg(long, short)]
    pub detach: bool,
    /// Keep the state after the end, until `delete`
    #[arg(long)]
    pub keep: bool,
    /// Do not become the reaper of orphaned processes
    #[arg(long)]
    pub no_subreaper: bool,
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

/// Runs the container.
pub fn run(global: &Global, args: &Args) -> anyhow::Result<ExitCode> {
    launch::protect()?;
    if !args.detach && !args.no_subreaper {
        // Orphans of a container without a PID namespace of its own come to husk, not to the host's init.
        let own = i32::try_from(std::process::id()).ok().and_then(Pid::from_raw);
        rustix::process::set_child_subreaper(own).context("become subreaper")?;
    }
    let options = Options {
        id: &args.id,
        bundle: args.bundle.as_deref(),
        console_socket: args.console_socket.as_deref(),
        pidfd_socket: args.pidfd_socket.as_deref(),
        pid_file: args.pid_file.as_deref(),
        no_pivot: args.no_pivot,
        no_new_keyring: args.no_new_keyring,
        preserve_fds: args.preserve_fds,
        detach: args.detach,
        fifo: false,
    };
    let mut launched = launch::launch(global, &options)?;
    let signals = if args.detach { None } else { Some(Signals::hold()?) };
    if !args.detach {
        record::reserve(&launched.dir);
    }
    let started_ns = record::now_ns();
    launched.start()?;
    let Launched { dir, state, child, master, lock, rollback, .. } = launched;
    rollback.keep();
    // From here on others may kill, pause and delete it.
    drop(lock);
    let Some(signals) = signals else { return Ok(ExitCode::SUCCESS) };

    let target = Target { dir, state };
    let note = |number| super::kill::record(&target, number, SignalCause::Forwarded);
    let raw = foreground::wait(&child, &signals, master, note)?;
    finish(&target, args.keep, started_ns, raw)?;
    Ok(ExitCode::from(WaitStatus::new(raw).shell_code()))
}

/// Writes down the end, and removes the container unless it is to be kept.
fn finish(target: &Target, keep: bool, started_ns: u64, raw: i32) -> anyhow::Result<()> {
    // Another command may have deleted it meanwhile; then there is nothing to do.
    let Ok(_lock) = target.dir.lock() else { return Ok(()) };
    record::ended(&target.dir, &target.state, started_ns, raw);
    if keep { Ok(()) } else { super::delete::delete(target, true) }
}
