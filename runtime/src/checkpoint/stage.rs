//! The mounts that criu starts from on restore, in a mount namespace of its own: nothing of it is left when criu is gone.

use crate::{
    init::{self, open_bind, open_root, propagate, resolve, resolve::Make},
    plan::{
        Plan,
        mounts::{Mount, Source},
    },
    process::failure::{Result, Step as _},
};
use rustix::{
    fs::{CWD, Mode, OFlags},
    mount::{MountPropagationFlags, UnmountFlags},
};
use std::{
    os::fd::{AsFd as _, OwnedFd},
    path::Path,
};

/// Mounts the root filesystem at `place`, as criu wants it: a mount point of its own, with all mount points in it.
pub fn enter(plan: &Plan, place: &Path) -> Result<()> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let slash = rustix::fs::openat(CWD, "/", flags, Mode::empty()).step(|| "open /".into())?;
    propagate(slash.as_fd(), MountPropagationFlags::DOWNSTREAM, true)
        .step(|| "part criu's mounts from the host's".into())?;
    let root = mount_root(plan, place)?;
    mount_points(plan, &root)?;
    // What was bound there to reach mount points below it would be in the way of criu's own mounts.
    rustix::mount::unmount(place, UnmountFlags::DETACH).step(|| format!("unmount {}", place.display()))?;
    mount_root(plan, place).map(drop)
}

fn mount_root(plan: &Plan, place: &Path) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let target =
        rustix::fs::openat(CWD, place, flags, Mode::empty()).step(|| format!("open {}", place.display()))?;
    let tree = open_root(&plan.rootfs)?;
    init::attach(tree.as_fd(), target.as_fd())
        .step(|| format!("mount the root filesystem at {}", place.display()))?;
    Ok(tree)
}

/// Makes the mount points that are missing, as `create` does. criu restores those in file systems that it restores.
fn mount_points(plan: &Plan, root: &OwnedFd) -> Result<()> {
    for (index, mount) in plan.mounts.iter().enumerate() {
        let earlier = plan.mounts.get(..index).unwrap_or_default();
        let below = |other: &&Mount| {
            mount.destination.starts_with(&other.destination) && !matches!(other.source, Source::Bind { .. })
        };
        if matches!(mount.source, Source::Cgroup) || earlier.iter().any(|other| below(&other)) {
            continue;
        }
        let Source::Bind { path, recursive } = &mount.source else {
            resolve::ensure(root.as_fd(), &mount.destination, Make::Directory)?;
            continue;
        };
        let tree = open_bind(&plan.bundle.join(path), *recursive, &mount.place())?;
        let make = if resolve::is_dir(tree.as_fd()) { Make::Directory } else { Make::File };
        let target = resolve::ensure(root.as_fd(), &mount.destination, make)?;
        init::attach(tree.as_fd(), target.as_fd()).step(|| format!("mount {}", mount.place()))?;
    }
    Ok(())
}
