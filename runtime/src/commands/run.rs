//! `husk run`: creates and starts a container, and waits for its end.

use super::{new::New, target::Target};
use crate::{
    cli::Global,
    clock,
    foreground::{Foreground, Signals},
    launch::{self, Launched, Options},
    notify::Notify,
    record, terminal,
};
use anyhow::Context as _;
use husk_exit::{SignalCause, WaitStatus};
use husk_sys::wait::Ended;
use rustix::process::Pid;
use std::os::fd::AsFd as _;
use std::process::ExitCode;

/// Arguments of `husk run`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Return as soon as the program runs, instead of waiting for its end
    #[arg(long, short)]
    pub detach: bool,
    /// Keep the state after the end, until `husk delete`
    #[arg(long)]
    pub keep: bool,
    /// Do not become the parent of the container's orphaned processes
    #[arg(long)]
    pub no_subreaper: bool,
    /// The container.
    #[command(flatten)]
    pub new: New,
}

/// Runs the container.
pub fn run(global: &Global, args: &Args) -> anyhow::Result<ExitCode> {
    launch::protect()?;
    if !args.detach && !args.no_subreaper {
        become_subreaper()?;
    }
    let options = Options { detach: args.detach, fifo: false, ..args.new.options() };
    // What comes while the container is made is the program's, too.
    let signals = if args.detach { None } else { Some(Signals::hold()?) };
    let mut launched = launch::launch(global, &options)?;
    launched.master.iter().for_each(terminal::prepare);
    if !args.detach {
        record::reserve(&launched.dir);
    }
    let notify = Notify::listen(launched.dir.path())?;
    let started_ns = clock::now_ns();
    launched.start()?;
    let Launched { dir, state, child, master, lock, rollback, .. } = launched;
    rollback.keep();
    // From here on others may kill, pause and delete it.
    drop(lock);
    let Some(signals) = signals else {
        if let Some(notify) = notify {
            notify.wait(child.pidfd.as_fd(), child.pid)?;
        }
        return Ok(ExitCode::SUCCESS);
    };

    let target = Target { dir, state };
    let note = |number| super::kill::record(&target.dir, number, SignalCause::Forwarded);
    let mut foreground = Foreground::new(signals, master).inspect_err(|_| {
        let _ = target.dir.lock().map(|_lock| super::delete::delete(&target, true));
    })?;
    let ended = foreground.wait(&child, notify, note)?;
    finish(&target, args.keep, started_ns, ended)?;
    foreground.flush()?;
    Ok(ExitCode::from(WaitStatus::new(ended.raw).shell_code()))
}

/// Orphans of a container without a PID namespace of its own come to husk then, not to the host's init.
pub fn become_subreaper() -> anyhow::Result<()> {
    let own = i32::try_from(std::process::id()).ok().and_then(Pid::from_raw);
    rustix::process::set_child_subreaper(own).context("become subreaper")
}

/// Writes down the end, and removes the container unless it is to be kept.
pub fn finish(target: &Target, keep: bool, started_ns: u64, ended: Ended) -> anyhow::Result<()> {
    // Another command may have deleted it meanwhile; then there is nothing to do.
    let Ok(_lock) = target.dir.lock() else { return Ok(()) };
    record::ended(&target.dir, &target.state, started_ns, ended);
    if keep { Ok(()) } else { super::delete::delete(target, true) }
}
