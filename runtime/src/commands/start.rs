//! `husk start`: starts the program of a created container.

use super::{ExitWith, target::Target};
use crate::notify::Notify;
use crate::{cli::Global, init, plan, process::failure::Failure, record, state::Status};
use anyhow::{Context as _, anyhow, bail};
use husk_exit::SignalCause;
use rustix::{
    event::{PollFd, PollFlags},
    fs::{Mode, OFlags},
    io::Errno,
};
use std::{fs::File, io::Read as _, os::fd::AsFd as _, process::ExitCode};

/// Arguments of `husk start`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Id of the container
    #[arg(value_name = "CONTAINER-ID")]
    pub id: String,
}

/// What init waits for at its FIFO.
const GO: u8 = b'0';

/// Starts the container.
pub fn run(global: &Global, args: &Args) -> anyhow::Result<ExitCode> {
    let (target, lock) = Target::lock(global, &args.id)?;
    match target.status() {
        Status::Created => {}
        // The words are those that tools know runc by.
        Status::Stopped => bail!("cannot start a container that has stopped: {:?}", args.id),
        Status::Paused if target.dir.has_fifo() => {
            bail!("cannot start a container that is paused: {:?} must be resumed first", args.id)
        }
        Status::Running | Status::Paused => bail!("cannot start an already running container: {:?}", args.id),
        status => bail!("cannot start a container in the {status} state: {:?}", args.id),
    }
    let notify = Notify::listen(target.dir.path())?;
    let started = release(&target);
    // The barrier is passed, or init is gone: in either case there is nothing left to wait at it.
    let _ = std::fs::remove_file(target.dir.fifo());
    match started? {
        // What is amiss is the program: the container stays, stopped, for the caller to delete.
        Some(failure) if failure.start.is_some() => return Err(ExitWith::from(failure).into()),
        Some(failure) => return Err(destroy(&target, &failure.to_string())),
        None => {}
    }
    if let Some(failure) = poststart(&target)? {
        return Err(destroy(&target, &failure));
    }
    drop(lock);
    if let (Some(notify), Some(init)) = (notify, target.state.init)
        && let Some(pidfd) = init.open()
    {
        notify.wait(pidfd.as_fd(), init.pid)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Lets init pass its barrier, and waits until the program has replaced it. Gives what kept it from that.
fn release(target: &Target) -> anyhow::Result<Option<Failure>> {
    let path = target.dir.fifo();
    let open = |flags: OFlags| {
        rustix::fs::open(&path, flags | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())
            .with_context(|| format!("open {}", path.display()))
    };
    // ENXIO: nobody waits at the other end.
    let go = open(OFlags::WRONLY).context("the container's init has ended")?;
    let result = open(OFlags::RDONLY)?;
    rustix::io::write(&go, &[GO]).context("pass the start on to the container's init")?;
    drop(go);
    // Not for anything to read, as that may be this command's own byte: for the hangup. Init was the last writer, and has
    // become the program or ended.
    loop {
        let mut fds = [PollFd::from_borrowed_fd(result.as_fd(), PollFlags::empty())];
        match rustix::event::poll(&mut fds, None) {
            Err(Errno::INTR) => {}
            other => {
                other.context("wait for the program")?;
                break;
            }
        }
    }
    let mut text = Vec::new();
    File::from(result).read_to_end(&mut text).context("read why the program was not started")?;
    match text.first() {
        None => return Ok(None),
        Some(&GO) => bail!("the container's init has ended"),
        Some(_) => {}
    }
    let failure: Failure = serde_json::from_slice(&text).context("read why the program was not started")?;
    record::not_started(&target.dir, &target.state, &failure);
    Ok(Some(failure))
}

/// After a startContainer or poststart hook has failed the lifecycle goes on with the container's destruction and its
/// poststop hooks (runtime.md, "Lifecycle"). Gives the error that `start` ends with.
fn destroy(target: &Target, failure: &str) -> anyhow::Error {
    match super::delete::destroy(target, SignalCause::Hook) {
        Ok(()) => anyhow!("{failure}; the container was deleted"),
        Err(error) => anyhow!("{failure}; the container could not be deleted: {error:#}"),
    }
}

/// Runs the poststart hooks. Gives what is to be said of one that failed.
fn poststart(target: &Target) -> anyhow::Result<Option<String>> {
    let config = target.dir.path().join("config.json");
    // Parsing is not free, and hardly any container has hooks.
    let text = std::fs::read(&config).with_context(|| format!("read {}", config.display()))?;
    if !contains(&text, b"poststart") {
        return Ok(None);
    }
    let spec = plan::config::parse(&text)?;
    let hooks = plan::hooks::plan(spec.hooks().as_ref())?;
    let mut ran = hooks.poststart.iter().map(|hook| init::hooks::run(hook, &target.state, Status::Running));
    Ok(ran.find_map(Result::err))
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window == word)
}
