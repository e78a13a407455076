//! Masked and read-only paths.

use super::{label, mount, resolve, root};
use crate::{
    plan::Plan,
    process::failure::{Failure, Result, Step as _},
};
use husk_sys::Errno;
use rustix::{
    fs::{CWD, FileType, Mode, OFlags},
    mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, OpenTreeFlags},
};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

/// Makes the read-only paths read-only, with what is mounted below them.
pub fn read_only(plan: &Plan, root: BorrowedFd<'_>) -> Result<()> {
    for path in &plan.readonly_paths {
        let place = || format!("linux.readonlyPaths {}", path.display());
        let target = match resolve::open(root, path) {
            Ok(target) => target,
            Err(Errno::NOENT | Errno::NOTDIR) => continue,
            Err(errno) => return Err(Failure::call(format!("open {}", place()), errno)),
        };
        let tree = clone(&target, true).step(|| format!("bind {}", place()))?;
        root::read_only(&tree, true).step(|| format!("make {} read-only", place()))?;
        mount::attach(tree.as_fd(), target.as_fd()).step(|| format!("mount {}", place()))?;
    }
    Ok(())
}

/// Hides the masked paths: directories behind an empty tmpfs, files behind /dev/null.
pub fn mask(plan: &Plan, root: BorrowedFd<'_>) -> Result<()> {
    let mut null = None;
    let mut empty: Option<OwnedFd> = None;
    for path in &plan.masked {
        let place = || format!("linux.maskedPaths {}", path.display());
        let target = match resolve::open(root, path) {
            Ok(target) => target,
            Err(Errno::NOENT | Errno::NOTDIR) => continue,
            Err(errno) => return Err(Failure::call(format!("open {}", place()), errno)),
        };
        let tree = if resolve::is_dir(target.as_fd()) {
            match &empty {
                // One file system for all: making one costs more than all else here.
                Some(empty) => clone(empty, false).step(|| format!("mask {}", place()))?,
                None => empty_directory(label::context(plan, "tmpfs", &[]))
                    .step(|| format!("make an empty directory for {}", place()))?,
            }
        } else {
            if null.is_none() {
                null = Some(open_null()?);
            }
            let Some(null) = &null else { continue };
            clone(null, false).step(|| format!("mask {}", place()))?
        };
        mount::attach(tree.as_fd(), target.as_fd()).step(|| format!("mask {}", place()))?;
        if empty.is_none() && resolve::is_dir(tree.as_fd()) {
            empty = Some(tree);
        }
    }
    Ok(())
}

/// The host's /dev/null. Checked, since what is bound over a masked file must not be something else (CVE-2025-31133).
fn open_null() -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let null = rustix::fs::openat(CWD, "/dev/null", flags, Mode::empty()).step(|| "open /dev/null".into())?;
    let stat = rustix::fs::fstat(&null).step(|| "fstat /dev/null".into())?;
    let is_null = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice
        && (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev)) == (1, 3);
    if !is_null {
        return Err(Failure::text("/dev/null of the host is not the null device"));
    }
    Ok(null)
}

/// An empty, read-only directory, with an SELinux label where one is given.
pub fn empty_directory(label: Option<&str>) -> husk_sys::Result<OwnedFd> {
    let context = rustix::mount::fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    rustix::mount::fsconfig_set_string(context.as_fd(), "source", "tmpfs")?;
    rustix::mount::fsconfig_set_string(context.as_fd(), "mode", "755")?;
    rustix::mount::fsconfig_set_string(context.as_fd(), "nr_blocks", "1")?;
    rustix::mount::fsconfig_set_string(context.as_fd(), "nr_inodes", "1")?;
    if let Some(label) = label {
        rustix::mount::fsconfig_set_string(context.as_fd(), "context", label)?;
    }
    rustix::mount::fsconfig_set_flag(context.as_fd(), "ro")?;
    rustix::mount::fsconfig_create(context.as_fd())?;
    let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY
        | MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    rustix::mount::fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

/// A detached copy of the mount that a handle is on, beginning at the handle.
pub fn clone(handle: &OwnedFd, recursive: bool) -> husk_sys::Result<OwnedFd> {
    let mut flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    rustix::mount::open_tree(handle, "", flags)
}
