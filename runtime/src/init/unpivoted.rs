//! A root that is changed to without pivot_root(2): the host's mounts stay below it.

use super::{hide, mount};
use crate::process::{
    failure::{Result, Step as _},
    procfs::Proc,
};
use husk_sys::Errno;
use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags, StatxFlags},
    mount::{MountPropagationFlags, UnmountFlags},
};
use std::{
    ffi::OsString,
    io::Read as _,
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::ffi::OsStringExt as _,
    },
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
        let mut text = String::new();
        let file = proc.file(Path::new("self/mountinfo"), OFlags::RDONLY).step(what)?;
        std::fs::File::from(file).read_to_string(&mut text).step(what)?;
        let found = |(id, place): (u64, PathBuf)| Found { id, top: open(&place), place };
        Ok(Self { mounts: text.lines().filter_map(place).map(found).collect() })
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

/// The id and the place of a mount of procfs or sysfs, from a line of mountinfo (proc(5)).
fn place(line: &str) -> Option<(u64, PathBuf)> {
    let (mount, kind) = line.split_once(" - ")?;
    ["proc", "sysfs"].contains(&kind.split(' ').next()?).then_some(())?;
    let mut fields = mount.split(' ');
    let id = fields.next()?.parse().ok()?;
    let escaped = fields.nth(3)?.as_bytes();
    let mut path = Vec::new();
    let mut at = 0;
    while let Some(byte) = escaped.get(at) {
        let octal = escaped.get(at + 1..at + 4).filter(|_| *byte == b'\\');
        let code = octal.and_then(|octal| std::str::from_utf8(octal).ok());
        match code.and_then(|code| u8::from_str_radix(code, 8).ok()) {
            Some(code) => {
                path.push(code);
                at += 4;
            }
            None => {
                path.push(*byte);
                at += 1;
            }
        }
    }
    Some((id, PathBuf::from(OsString::from_vec(path))))
}

#[cfg(test)]
mod tests {
    use super::place;

    #[test]
    fn places_of_procfs_and_sysfs() {
        let line = |place: &str, kind: &str| format!("22 1 0:21 / {place} rw shared:5 - {kind} none rw");
        assert_eq!(place(&line("/proc", "proc")), Some((22, "/proc".into())));
        assert_eq!(place(&line("/a\\040b\\134", "sysfs")), Some((22, "/a b\\".into())));
        assert_eq!(place(&line("/sys/fs/cgroup", "cgroup2")), None);
        assert_eq!(place("nothing"), None);
    }
}
