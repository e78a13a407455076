//! `husk restore`: restores a container from a checkpoint.

use super::{run, target::Target};
use crate::{
    checkpoint::{
        flags::Flags,
        restore::{self, Restored, Wanted},
    },
    cli::Global,
    clock,
    foreground::{Foreground, Signals},
    launch::Options,
    record,
};
use husk_exit::{SignalCause, WaitStatus};
use std::{path::PathBuf, process::ExitCode};

/// Arguments of `husk restore`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Flags that `checkpoint` has, too.
    #[command(flatten)]
    pub flags: Flags,
    /// Directory of the bundle (default: the current directory)
    #[arg(long, short, value_name = "DIR")]
    pub bundle: Option<PathBuf>,
    /// Unix socket that is sent the terminal's master descriptor
    #[arg(long, value_name = "PATH")]
    pub console_socket: Option<PathBuf>,
    /// Return as soon as the process runs
    #[arg(long, short)]
    pub detach: bool,
    /// File to write the process id to
    #[arg(long, value_name = "FILE")]
    pub pid_file: Option<PathBuf>,
    /// Do not become the reaper of orphaned processes
    #[arg(long)]
    pub no_subreaper: bool,
    /// Of no effect: criu changes the root itself
    #[arg(long)]
    pub no_pivot: bool,
    /// LSM profile to use, as TYPE:NAME
    #[arg(long, value_name = "PROFILE")]
    pub lsm_profile: Option<String>,
    /// LSM mount context to use
    #[arg(long, value_name = "CONTEXT")]
    pub lsm_mount_context: Option<String>,
    /// Id of the container
    #[arg(value_name = "CONTAINER-ID")]
    pub id: String,
}

/// Restores the container, and waits for its end unless it is to be left alone.
pub fn run(global: &Global, args: &Args) -> anyhow::Result<ExitCode> {
    if !args.detach && !args.no_subreaper {
        run::become_subreaper()?;
    }
    let wanted = Wanted {
        flags: &args.flags,
        options: Options {
            id: &args.id,
            bundle: args.bundle.as_deref(),
            console_socket: args.console_socket.as_deref(),
            pidfd_socket: None,
            pid_file: args.pid_file.as_deref(),
            no_pivot: args.no_pivot,
            no_new_keyring: false,
            preserve_fds: 0,
            detach: args.detach,
            fifo: false,
        },
        lsm_profile: args.lsm_profile.as_deref(),
        lsm_mount_context: args.lsm_mount_context.as_deref(),
    };
    let Restored { dir, state, child, master, lock } = restore::restore(global, &wanted)?;
    let target = Target { dir, state };
    if args.detach {
        return Ok(ExitCode::SUCCESS);
    }
    let signals = Signals::hold()?;
    record::reserve(&target.dir);
    drop(lock);
    let started_ns = clock::now_ns();
    let note = |number| super::kill::record(&target.dir, number, SignalCause::Forwarded);
    let mut foreground = Foreground::new(signals, master).inspect_err(|_| {
        let _ = target.dir.lock().map(|_lock| super::delete::delete(&target, true));
    })?;
    let ended = foreground.wait(&child, None, note)?;
    run::finish(&target, false, started_ns, ended)?;
    foreground.flush()?;
    Ok(ExitCode::from(WaitStatus::new(ended.raw).shell_code()))
}
