//! Forking into namespaces: directly where clone3 can do it all, by a process in between where it can't.

use super::{
    channel::{Channel, Message},
    failure::{Failure, Result, Step as _},
    maps,
    procfs::Proc,
};
use crate::plan::namespaces::{Kind, Plan};
use husk_sys::{
    Errno,
    clone::{self, Child, Fork},
    exec::exit_now,
    fd, signal,
};
use rustix::{
    fs::{CWD, Mode, OFlags},
    process::{Pid, PidfdFlags, WaitId, WaitIdOptions},
    thread::ThreadNameSpaceType,
};
use std::{
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd, RawFd},
    path::Path,
};

/// Namespaces that are joined.
#[derive(Debug)]
pub enum Join<'a> {
    /// Those that the plan names by path.
    Paths,
    /// Those of a running process.
    Process {
        /// Its pidfd.
        pidfd: BorrowedFd<'a>,
        /// Which ones.
        kinds: Vec<Kind>,
        /// The child closes its descriptors from this number on before the container can see it, because others there may
        /// look into it by /proc (CVE-2016-9962).
        close_from: RawFd,
        /// But not these.
        keep: Vec<RawFd>,
    },
}

/// What [`spawn`] forks into.
#[derive(Debug)]
pub struct Target<'a> {
    /// Namespaces to make, and paths to join.
    pub namespaces: &'a Plan,
    /// What to join.
    pub join: Join<'a>,
    /// The cgroup to be born in.
    pub cgroup: Option<BorrowedFd<'a>>,
    /// The host's procfs.
    pub proc: &'a Proc,
}

/// In which process [`spawn`] returned.
#[derive(Debug)]
pub enum Side {
    /// The new process. A joined user namespace and all others that are joined by a stage are entered.
    Child(Channel),
    /// husk, with the child and its end of the conversation, and whether a new user namespace has its mappings already.
    Parent(Child, Channel, bool),
}

/// Forks. The child has entered every namespace but those that [`enter_late`] makes, and joined ones
/// where no stage is needed, which it joins too.
pub fn spawn(target: &Target<'_>) -> anyhow::Result<Side> {
    use anyhow::Context as _;
    let (ours, theirs) = Channel::pair().context("socketpair")?;
    let stage = match &target.join {
        Join::Paths => target.namespaces.needs_stage(),
        Join::Process { .. } => true,
    };
    let flags = if stage { clone::Namespaces::empty() } else { target.namespaces.clone_flags() };
    let fork = clone::clone3(flags, 0, target.cgroup).with_context(|| clone_error(target))?;
    match fork {
        Fork::Child => {
            drop(ours);
            // husk may hold signals back for the program; what is not the program yet ends by them.
            let _ = signal::set_mask(&signal::Set::empty());
            if stage {
                let result = run_stage(target, &theirs);
                if let Err(failure) = result {
                    let _ = theirs.send(&Message::Failed(failure));
                    exit_now(1);
                }
            }
            Ok(Side::Child(theirs))
        }
        Fork::Parent(child) => {
            drop(theirs);
            if !stage {
                return Ok(Side::Parent(child, ours, false));
            }
            let (child, mapped) = adopt(&child, &ours, target)?;
            Ok(Side::Parent(child, ours, mapped))
        }
    }
}

/// Waits for a process that has ended without a word. Gives how: a part of a sentence, in which `killed` says what is likely
/// after SIGKILL.
pub fn ending(child: &Child, killed: &str) -> String {
    match rustix::process::waitid(WaitId::PidFd(child.pidfd.as_fd()), WaitIdOptions::EXITED) {
        Ok(Some(status)) => match status.terminating_signal() {
            Some(9) => format!("was killed (SIGKILL){killed}"),
            Some(number) => format!("was killed by signal {number}"),
            None => format!("ended with code {}", status.exit_status().unwrap_or(-1)),
        },
        _ => "ended".to_owned(),
    }
}

fn clone_error(target: &Target<'_>) -> String {
    let kinds: Vec<_> = target.namespaces.new.iter().map(|kind| kind.word()).collect();
    let list = if kinds.is_empty() { "none".into() } else { kinds.join(", ") };
    if !rustix::process::geteuid().is_root() && !target.namespaces.new.contains(&Kind::User) {
        return format!(
            "make the namespaces {list}: who is not root needs a user namespace in linux.namespaces: clone3"
        );
    }
    format!("clone3 (new namespaces: {list})")
}

/// In the parent: the stage tells the pid of the process that it has made, which is our child, and ends.
fn adopt(stage: &Child, channel: &Channel, target: &Target<'_>) -> anyhow::Result<(Child, bool)> {
    let mut mapped = false;
    let plan = target.namespaces;
    if plan.is_new(Kind::Time) && plan.is_new(Kind::User) {
        match channel.receive()? {
            Some((Message::NeedMaps, _)) => {}
            Some((Message::Failed(failure), _)) => return Err(failure.into()),
            _ => anyhow::bail!("the process that joins namespaces was killed"),
        }
        maps::write(target.proc, stage.pid, &plan.maps)?;
        mapped = true;
        channel.send(&Message::Go)?;
    }
    // What comes before the pid is the child's, which may be faster than the stage; or there is no child, and it is the
    // stage's failure.
    let mut message = channel.receive_first(|message| matches!(message, Message::Pid(_)))?;
    let _ = rustix::process::waitid(WaitId::PidFd(stage.pidfd.as_fd()), WaitIdOptions::EXITED);
    if message.is_none() {
        message = channel.receive()?;
    }
    match message {
        Some((Message::Pid(pid), _)) => {
            let raw = Pid::from_raw(pid).ok_or_else(|| anyhow::anyhow!("the stage told no pid"))?;
            // It is our child and not waited for, so the pid can't have become another process's.
            let pidfd = rustix::process::pidfd_open(raw, PidfdFlags::empty())?;
            Ok((Child { pid, pidfd }, mapped))
        }
        Some((Message::Failed(failure), _)) => Err(failure.into()),
        _ => anyhow::bail!("the process that joins namespaces was killed"),
    }
}

/// In the stage: joins and makes what must be there before the child, forks it as a sibling, and ends. Returns in the
/// child only.
fn run_stage(target: &Target<'_>, channel: &Channel) -> Result<()> {
    let plan = target.namespaces;
    match &target.join {
        Join::Paths => join_paths(plan)?,
        Join::Process { pidfd, kinds, close_from, keep } => {
            join_process(*pidfd, kinds)?;
            let mut keep = keep.clone();
            keep.push(channel.fd().as_raw_fd());
            fd::close_in_child_but(*close_from, &keep).step(|| "close_range".into())?;
        }
    }
    let mut flags = plan.clone_flags();
    if plan.is_new(Kind::Time) {
        // A new time namespace belongs to the user namespace in which it is made.
        if plan.is_new(Kind::User) {
            clone::unshare(Kind::User.flag()).step(|| "make the user namespace".into())?;
            flags -= Kind::User.flag();
            channel.report(&Message::NeedMaps)?;
            channel.wait_for_go()?;
        }
        clone::unshare(Kind::Time.flag()).step(|| "make the time namespace".into())?;
        flags -= Kind::Time.flag();
        write_time_offsets(plan, target.proc)?;
    }
    match clone::clone3(flags, clone::AS_SIBLING, None).step(|| clone_error(target))? {
        Fork::Child => Ok(()),
        Fork::Parent(child) => {
            let sent = channel.send(&Message::Pid(child.pid));
            exit_now(i32::from(sent.is_err()));
        }
    }
}

fn write_time_offsets(plan: &Plan, proc: &Proc) -> Result<()> {
    if plan.time_offsets.is_empty() {
        return Ok(());
    }
    let text: String = plan
        .time_offsets
        .iter()
        .map(|offset| format!("{} {} {}\n", offset.clock, offset.secs, offset.nanosecs))
        .collect();
    proc.write(Path::new("self/timens_offsets"), text.as_bytes())
        .step(|| "write linux.timeOffsets to timens_offsets".into())
}

/// Joins the namespaces that the plan names by path. The user namespace comes after those that its rights do not reach,
/// and before those that only its rights reach.
pub fn join_paths(plan: &Plan) -> Result<()> {
    let mut open: Vec<(Kind, OwnedFd, &Path)> = Vec::new();
    for (kind, path) in &plan.join {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let fd = rustix::fs::openat(CWD, path, flags, Mode::empty())
            .step(|| format!("open {} namespace {}", kind.word(), path.display()))?;
        open.push((*kind, fd, path));
    }
    let join = |kind: Kind, fd: &OwnedFd, path: &Path| {
        rustix::thread::move_into_link_name_space(fd.as_fd(), Some(kind.link())).map_err(|errno| {
            let what = format!("join {} namespace {}", kind.word(), path.display());
            match errno {
                // Of the file's type; a user namespace may be the caller's own, too.
                Errno::INVAL if kind != Kind::User => Failure::text(format!("{what}: it is not one")),
                errno => Failure::call(what, errno),
            }
        })
    };
    let user = open.iter().position(|(kind, ..)| *kind == Kind::User).map(|index| open.remove(index));
    // The mount namespace last: paths mean something else afterwards.
    open.sort_by_key(|(kind, ..)| *kind == Kind::Mount);
    match user {
        None => open.iter().try_for_each(|(kind, fd, path)| join(*kind, fd, path)),
        Some((kind, fd, path)) => {
            open.retain(|(kind, fd, path)| *kind == Kind::Mount || join(*kind, fd, path).is_err());
            join(kind, &fd, path)?;
            open.iter().try_for_each(|(kind, fd, path)| join(*kind, fd, path))
        }
    }
}

fn join_process(pidfd: BorrowedFd<'_>, kinds: &[Kind]) -> Result<()> {
    let types = kinds.iter().fold(ThreadNameSpaceType::empty(), |types, kind| {
        types | ThreadNameSpaceType::from_bits_retain(kind.flag().bits())
    });
    rustix::thread::move_into_thread_name_spaces(pidfd, types)
        .step(|| "join the container's namespaces: setns".into())
}

/// In the child: what can only be done by itself.
pub fn enter_late(plan: &Plan) -> Result<()> {
    if !plan.needs_stage() {
        join_paths(plan)?;
    }
    match plan.late_flags() {
        none if none.is_empty() => Ok(()),
        flags => clone::unshare(flags).step(|| "make the cgroup and IPC namespaces".into()),
    }
}
