//! criu's view of cgroups.
//!
//! criu mounts cgroup2 for itself, and a mount without options by a process of the first cgroup namespace takes nsdelegate and
//! the like away from the whole machine. From another cgroup namespace it can't; so criu gets one that begins at the root.

use crate::process::failure::{Result, Step as _};
use husk_cgroup::{Cgroup, Hierarchy};
use husk_sys::clone::{self, Namespaces};
use rustix::fs::{Mode, OFlags};
use std::{
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    path::PathBuf,
};

/// Where the process that becomes criu is born, and what it does there.
#[derive(Debug, Default)]
pub struct View {
    birthplace: Option<OwnedFd>,
    unshares: bool,
    /// Group to go to after that: it is not the one of the birth.
    then: Option<PathBuf>,
}

impl View {
    /// A namespace that begins at the root of cgroup2; then the process goes to `group`, or back to husk's.
    pub fn of_all(group: Option<&Cgroup>) -> Self {
        let Ok(hierarchy) = Hierarchy::detect() else { return Self::default() };
        let own = || Some(hierarchy.group(&husk_cgroup::path::of_process("self")?));
        let Some(then) = group.map(|group| group.path().to_owned()).or_else(own) else {
            return Self::default();
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match rustix::fs::open(hierarchy.root(), flags, Mode::empty()) {
            Ok(root) => Self { birthplace: Some(root), unshares: true, then: Some(then) },
            Err(_) => Self::default(),
        }
    }

    /// The container's group, in a namespace that begins there where `unshares` says so.
    pub fn of_group(group: Option<&Cgroup>, unshares: bool) -> husk_cgroup::Result<Self> {
        let birthplace = group.map(Cgroup::dir).transpose()?;
        Ok(Self { unshares: unshares && birthplace.is_some(), birthplace, then: None })
    }

    /// The group to be born in.
    pub fn birthplace(&self) -> Option<BorrowedFd<'_>> {
        self.birthplace.as_ref().map(OwnedFd::as_fd)
    }

    /// In the new process: makes the namespace, and goes where it belongs.
    pub fn enter(&self) -> Result<()> {
        if self.unshares {
            clone::unshare(Namespaces::NEWCGROUP).step(|| "make a cgroup namespace for criu".into())?;
        }
        if let Some(then) = &self.then {
            std::fs::write(then.join("cgroup.procs"), "0")
                .step(|| format!("move criu into the cgroup {}", then.display()))?;
        }
        Ok(())
    }
}
