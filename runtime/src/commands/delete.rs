//! `husk delete`: deletes what a container holds.

use super::kill;
use super::target::Target;
use crate::cli::Global;
use crate::launch;
use crate::log;
use crate::plan::{self, hooks::Hook};
use crate::record;
use crate::state::{Dir, Status, id};
use anyhow::{Context as _, bail};
use husk_cgroup::{Cgroup, Hierarchy, path};
use husk_exit::{Kept, SignalCause};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::os::fd::AsFd as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Arguments of `husk delete`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Kill it with SIGKILL first where it runs, and succeed where it does not exist
    #[arg(long, short)]
    pub force: bool,
    /// Id of the container
    #[arg(value_name = "CONTAINER-ID")]
    pub id: String,
}

const SIGKILL: i32 = 9;
/// How long init may take to die of SIGKILL; a process in an uninterruptible call takes as long as that call.
const PATIENCE: Duration = Duration::from_secs(10);

/// Deletes the container.
pub fn run(global: &Global, args: &Args) -> anyhow::Result<ExitCode> {
    id::check(&args.id)?;
    let Some(dir) = Dir::find(&global.root(), &args.id)? else {
        if args.force {
            return Ok(ExitCode::SUCCESS);
        }
        bail!("container {:?} does not exist (looked in {})", args.id, global.root().display());
    };
    let lock = match dir.lock() {
        Ok(lock) => lock,
        // Another delete was faster: what --force asks for is so.
        Err(_) if args.force && !dir.path().exists() => return Ok(ExitCode::SUCCESS),
        Err(error) => return Err(error),
    };
    match dir.load() {
        Ok(state) => delete(&Target { dir, state }, args.force)?,
        Err(error) => remains(&dir, &args.id, args.force, error)?,
    }
    drop(lock);
    Ok(ExitCode::SUCCESS)
}

/// Deletes a container whose lock the caller holds.
pub fn delete(target: &Target, force: bool) -> anyhow::Result<()> {
    match target.status() {
        Status::Stopped => {}
        // It has not run yet, so nothing is lost: runc needs no --force for it, either.
        Status::Created => {}
        Status::Creating | Status::Running | Status::Paused if force => {}
        status => {
            let id = &target.state.id;
            bail!(
                "cannot delete container {id} that is not stopped: {status} (kill it first, or use --force)"
            )
        }
    }
    destroy(target, SignalCause::Delete)
}

/// Undoes what `create` has made, whatever the container does at the moment. `why` is noted where init is still there.
pub fn destroy(target: &Target, why: SignalCause) -> anyhow::Result<()> {
    // One that was never started has no end to explain.
    let started = !target.dir.has_fifo() && target.state.creator.is_none();
    end_init(target, why)?;
    if started {
        record::keep_unwatched(&target.dir, &target.state);
    }
    if let Some(path) = &target.state.cgroup {
        remove_group(&Cgroup::open(path))?;
    }
    if let Some(root) = &target.state.host_root {
        root.remove()?;
    }
    if let Some(unit) = &target.state.unit
        && let Err(error) = launch::scope::end(unit)
    {
        // Its group is gone, which systemd sees for itself.
        log::warn(&format!("delete {}: unit {unit}: {error:#}", target.state.id));
    }
    keep_record(target);
    // Read before the directory goes, run after it has gone.
    let hooks = poststop_hooks(target);
    target.dir.remove()?;
    launch::poststop(&hooks, &target.state);
    Ok(())
}

/// The poststop hooks of the configuration as it was at create.
fn poststop_hooks(target: &Target) -> Vec<Hook> {
    let Ok(text) = std::fs::read(target.dir.path().join("config.json")) else { return Vec::new() };
    // Parsing is not free, and hardly any container has hooks.
    if !text.windows(8).any(|window| window == b"poststop") {
        return Vec::new();
    }
    let hooks = plan::config::parse(&text)
        .and_then(|spec| plan::hooks::plan(spec.hooks().as_ref()).map_err(Into::into));
    match hooks {
        Ok(hooks) => hooks.poststop,
        Err(error) => {
            log::warn(&format!("delete {}: poststop hooks: {error:#}", target.state.id));
            Vec::new()
        }
    }
}

/// For `husk explain` after this. A root that can't take it any more must not keep the container from going.
fn keep_record(target: &Target) {
    let Some(root) = target.dir.path().parent() else { return };
    let kept = Kept::new(root).keep(&target.state.id, &target.dir.path().join("exit.json"));
    if let Err(error) = kept {
        log::warn(&format!("delete {}: its exit record is not kept: {error}", target.state.id));
    }
}

/// Kills init where it still is, and waits for its end.
fn end_init(target: &Target, why: SignalCause) -> anyhow::Result<()> {
    let Some(init) = target.state.init.filter(|_| target.has_init()) else { return Ok(()) };
    let Some(pidfd) = init.open() else { return Ok(()) };
    kill::record(&target.dir, SIGKILL, why);
    kill::send(target, SIGKILL, false)
        .or_else(|error| if target.has_init() { Err(error) } else { Ok(()) })?;
    let deadline = Instant::now() + PATIENCE;
    // Readable once it is a zombie: whether its parent ever fetches the status is not this command's to wait for.
    while target.has_init() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let (id, pid) = (&target.state.id, init.pid);
            bail!(
                "container {id:?}: init (pid {pid}) is still there {} s after SIGKILL; it hangs in the kernel, or waits for the \
                 parent of a process that was executed into the container to reap it",
                PATIENCE.as_secs()
            );
        }
        let nap = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) };
        // EINTR and a wake-up are the same: look again.
        let _ = poll(&mut [PollFd::from_borrowed_fd(pidfd.as_fd(), PollFlags::IN)], Some(&nap));
    }
    Ok(())
}

/// Without a PID namespace of its own a container may leave processes behind, and an exec's may be on its way in.
fn remove_group(group: &Cgroup) -> anyhow::Result<()> {
    if group.exists() {
        group.kill_all().and_then(|()| group.delete()).context("remove the container's cgroup")?;
    }
    Ok(())
}

/// What a killed `husk create` leaves: a directory whose `state.json` is not there, or cannot be read.
fn remains(dir: &Dir, id: &str, force: bool, error: anyhow::Error) -> anyhow::Result<()> {
    if !force {
        return Err(
            error.context(format!("container {id:?} was not created completely (delete --force removes it)"))
        );
    }
    log::warn(&format!("delete {id}: {error:#}; removing what is left of it"));
    if let Some(path) = group_of_config(dir, id) {
        remove_group(&Cgroup::open(path))?;
    }
    dir.remove()
}

/// The group that the container would have had by its configuration, if that was kept before the end.
fn group_of_config(dir: &Dir, id: &str) -> Option<std::path::PathBuf> {
    let text = std::fs::read(dir.path().join("config.json")).ok()?;
    let config: serde_json::Value = serde_json::from_slice(&text).ok()?;
    let cgroups_path = config.pointer("/linux/cgroupsPath").and_then(|value| value.as_str());
    // Only a path that says which group it is: without one the group is named after the id, and cannot be another's.
    let found =
        path::resolve(&Hierarchy::detect().ok()?, cgroups_path.map(std::path::Path::new), id, false).ok()?;
    found.join("cgroup.procs").exists().then_some(found)
}
