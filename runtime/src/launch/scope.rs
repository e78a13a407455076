//! The container's group where systemd makes it: a scope, begun with a process that only holds it.
//!
//! A scope can't be empty, and init is to be born in a group whose limits are in force already. So a process is forked
//! first, which does nothing; systemd makes the scope around it; husk sets what systemd doesn't know; init is born there
//! by clone3, as in any other group; and the first process ends. There is no moment in which a process of the container's
//! is outside.

use crate::process::channel::{Channel, Message};
use anyhow::{Context as _, bail};
use husk_cgroup::{
    Cgroup, Leniency,
    systemd::{Manager, Name, Scope as Wanted},
};
use husk_sys::{
    clone::{self, Child, Fork},
    exec::exit_now,
    fd,
};
use oci_spec::runtime::LinuxResources;
use rustix::{
    io::Errno,
    pipe::PipeFlags,
    process::{Signal, WaitId, WaitIdOptions},
};
use std::{
    collections::BTreeMap,
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd},
};

/// A process limit up to this would keep init from being born beside the holder and the process that joins namespaces.
const CROWDED: i64 = 3;

/// A scope that has its holder in it, and no init yet.
#[derive(Debug)]
pub struct Scope {
    manager: Manager,
    unit: String,
    holder: Holder,
    /// Limits that come into force once the holder has gone.
    late: Option<LinuxResources>,
}

/// Whether the systemd to ask is the user's own: husk may not ask the machine's.
pub fn of_user() -> bool {
    !rustix::process::geteuid().is_root() || super::cgroup::in_user_namespace()
}

impl Scope {
    /// Has systemd make it. Also gives its directory, and the limits that are left to be written into it now.
    pub fn make(
        name: &Name,
        id: &str,
        resources: Option<&LinuxResources>,
        annotations: &BTreeMap<String, String>,
    ) -> anyhow::Result<(Self, Cgroup, Option<LinuxResources>)> {
        let (now, late) = match resources {
            Some(resources) => split(resources),
            None => (None, None),
        };
        let mut manager = Manager::connect(of_user()).context("--systemd-cgroup")?;
        let holder = Holder::fork()?;
        let pid = u32::try_from(holder.child.pid)?;
        let wanted = Wanted { name, id, pid, resources: now.as_ref(), annotations };
        let cgroup = Cgroup::ensure(&manager.start(&wanted).context("--systemd-cgroup")?)?;
        Ok((Self { manager, unit: name.unit.clone(), holder, late }, cgroup, now))
    }

    /// Called once init is there: brings it in where it could not be born in the scope, and lets the holder go.
    pub fn filled(mut self, cgroup: &Cgroup, init: &Child, outside: Option<&Channel>) -> anyhow::Result<()> {
        if let Some(channel) = outside {
            bring_in(&mut self.manager, &self.unit, init, channel)?;
        }
        drop(self.holder);
        if let Some(late) = &self.late {
            self.manager.set_limits(&self.unit, late)?;
            cgroup.apply(late, Leniency::Strict)?;
        }
        Ok(())
    }

    /// Ends it where the container can't be made.
    pub fn undo(mut self, cgroup: &Cgroup) {
        drop(self.holder);
        let _ = cgroup.delete();
        let _ = self.manager.stop(&self.unit);
    }
}

/// Whether a process could not be born in a group because it comes from a part of the tree that is not the user's, such as
/// a login session's. systemd may move it.
pub fn is_foreign(error: &anyhow::Error) -> bool {
    // ENOENT: the caller sits outside of a delegated cgroup namespace.
    let foreign = |errno: &Errno| matches!(*errno, Errno::ACCESS | Errno::NOENT);
    of_user() && error.chain().any(|cause| cause.downcast_ref::<Errno>().is_some_and(foreign))
}

/// Has systemd move a process that waits for our word, and gives it.
pub fn bring_in(manager: &mut Manager, unit: &str, child: &Child, channel: &Channel) -> anyhow::Result<()> {
    manager.attach(unit, u32::try_from(child.pid)?).context("--systemd-cgroup")?;
    channel.send(&Message::Go).context("tell the new process that it is in its cgroup")
}

/// Ends a container's unit after its processes. Nothing where systemd has done so by itself.
pub fn end(unit: &str) -> anyhow::Result<()> {
    Ok(Manager::connect(of_user())?.stop(unit)?)
}

/// A small limit of processes comes later, all else at once.
fn split(resources: &LinuxResources) -> (Option<LinuxResources>, Option<LinuxResources>) {
    let mut now = resources.clone();
    match resources.pids() {
        Some(pids) if (0..=CROWDED).contains(&pids.limit()) => {
            now.set_pids(None);
            let mut late = LinuxResources::default();
            late.set_pids(Some(*pids));
            (Some(now), Some(late))
        }
        _ => (Some(now), None),
    }
}

/// A process that does nothing until it is killed, or husk has ended.
#[derive(Debug)]
struct Holder {
    child: Child,
    _lifeline: OwnedFd,
}

impl Holder {
    fn fork() -> anyhow::Result<Self> {
        let (theirs, ours) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).context("pipe")?;
        match clone::clone3(clone::Namespaces::empty(), 0, None).context("clone3 (holder of the scope)")? {
            Fork::Child => {
                fd::close_in_child(ours.as_raw_fd());
                let mut byte = [0];
                // The end of the file: husk was killed.
                while rustix::io::read(&theirs, &mut byte) == Err(Errno::INTR) {}
                exit_now(0)
            }
            Fork::Parent(child) => {
                drop(theirs);
                Ok(Self { child, _lifeline: ours })
            }
        }
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = rustix::process::pidfd_send_signal(&self.child.pidfd, Signal::KILL);
        let _ = rustix::process::waitid(WaitId::PidFd(self.child.pidfd.as_fd()), WaitIdOptions::EXITED);
    }
}

/// Refuses what only the other driver takes.
pub fn check_form(path: Option<&std::path::Path>) -> anyhow::Result<()> {
    if let Some(path) = path.filter(|path| husk_cgroup::path::is_systemd_form(path)) {
        bail!("config.json: linux.cgroupsPath: {:?} is for --systemd-cgroup", path.display().to_string());
    }
    Ok(())
}
