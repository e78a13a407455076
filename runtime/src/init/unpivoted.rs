//! A root that is changed to without pivot_root(2): the host's mounts stay below it.

use super::{hide, mount};
use crate::process::{
    failure::{Result, Step as _},
    procfs::Proc,
};
use husk_sys::{Errno, mountinfo};
use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags, StatxFlags},
    mount::{MountPropagationFlags, UnmountFlags},
};
use std::{
    io::Read as _,
    os::fd::{AsFd as _, OwnedFd},
    path::{Path, PathBuf},
};

/// The host's mounts of procfs and sysfs. As long as one of them is there in full, a user namespace in the container may
/// mount these file systems anew, with nothing masked (user_namespaces(7), mount_namespaces(7)).
#[derive(Debug)]
pub struct Unpivoted {
    mounts: Vec<Found>,
}

/// One of them.
#[derive(Debug)]
struct Found {
    id: u64,
    place: PathBuf,
    /// What is on top at its place, if that is in reach.
    top: Option<OwnedFd>,
}

impl Unpivoted {
    /// Finds them, before anything of the container is mounted.
    pub fn find(proc: &Proc) -> Result<Self> {
        let what = || "read /proc/self/mountinfo".to_owned();
        let mut text = Vec::new();
        let file = proc.file(Path::new("self/mountinfo"), OFlags::RDONLY).step(what)?;
        std::fs::File::from(file).read_to_end(&mut text).step(what)?;
        let host = mountinfo::parse(&text).filter(|mount| ["proc", "sysfs"].contains(&mount.kind.as_str()));
        let found = |mountinfo::Mount { id, point: place, .. }| Found { id, top: open(&place), place };
        Ok(Self { mounts: host.map(found).collect() })
    }

    /// Takes them away, or covers those that are locked.
    pub fn hide(&self) -> Result<()> {
        for top in self.mounts.iter().filter_map(|found| found.top.as_ref()) {
            hide_one(top)?;
        }
        // Where one lay on another, as after `unshare --mount-proc`, the lower one has come to light.
        for found in &self.mounts {
            while let Some(lower) = open(&found.place).filter(|fd| self.has(fd)) {
                if !hide_one(&lower)? {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Whether it is one of the host's, and not what the container has at the same path.
    fn has(&self, fd: &OwnedFd) -> bool {
        let stat = rustix::fs::statx(fd, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID);
        stat.is_ok_and(|stat| self.mounts.iter().any(|found| found.id == stat.stx_mnt_id))
    }
}

/// Nothing where it is out of reach.
fn open(place: &Path) -> Option<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    rustix::fs::openat(CWD, place, flags, Mode::empty()).ok()
}

/// Takes a mount away, or covers it. Whether it has gone.
fn hide_one(found: &OwnedFd) -> Result<bool> {
    let what = || "hide the host's procfs and sysfs (--no-pivot)".to_owned();
    rustix::process::fchdir(found).step(what)?;
    // The host is not to lose them.
    let _ = mount::propagate(found.as_fd(), MountPropagationFlags::PRIVATE, true);
    if rustix::mount::unmount(".", UnmountFlags::DETACH).is_ok() {
        return Ok(true);
    }
    let empty = hide::empty_directory(None).step(what)?;
    match mount::attach(empty.as_fd(), found.as_fd()) {
        // It is in no namespace any more: it was below one that has gone.
        Err(Errno::NOENT | Errno::INVAL) => {}
        result => result.step(what)?,
    }
    Ok(false)
}
