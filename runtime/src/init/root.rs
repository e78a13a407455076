//! The container's root: built on top of the host's `/`, closed, and changed to.

use super::{Init, dev, hide, mount, resolve, unpivoted::Unpivoted};
use crate::{
    plan::{
        Plan,
        mounts::{Mount, Source},
        namespaces::Kind,
    },
    process::{
        channel::{Channel, Message},
        failure::{Failure, Result, Step as _},
    },
};
use husk_sys::{
    Errno,
    mount::{Attributes, set_attributes},
};
use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags, StatxAttributes, StatxFlags},
    mount::{MountAttrFlags, MountPropagationFlags, OpenTreeFlags, UnmountFlags},
};
use std::{
    collections::HashMap,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    path::Path,
};

/// Mounts that the parent has opened: their sources may be out of reach for a user namespace.
#[derive(Debug)]
pub struct Trees<'a> {
    channel: &'a Channel,
    root: Option<OwnedFd>,
    mounts: HashMap<usize, OwnedFd>,
}

impl<'a> Trees<'a> {
    /// None so far; the parent is asked by `channel`.
    pub fn new(channel: &'a Channel) -> Self {
        Self { channel, root: None, mounts: HashMap::new() }
    }

    /// Takes one from the parent.
    pub fn add(&mut self, index: Option<usize>, fd: OwnedFd) {
        match index {
            None => self.root = Some(fd),
            Some(index) => drop(self.mounts.insert(index, fd)),
        }
    }

    /// The mount for `mounts[index]`.
    pub fn take(&mut self, index: usize) -> Option<OwnedFd> {
        self.mounts.remove(&index)
    }

    /// Has the parent give a mount the id mapping of `mounts[index]`, which takes rights over its file system.
    pub fn map_ids(&self, index: usize, tree: BorrowedFd<'_>) -> Result<()> {
        self.channel
            .send_with(&Message::MapIds(index), Some(tree))
            .step(|| format!("ask husk for the id mapping of mounts[{index}]"))?;
        self.channel.wait_for_go()
    }
}

/// Whether the parent has to open a bind mount.
pub fn needs_parent(plan: &Plan, mount: &Mount) -> bool {
    matches!(mount.source, Source::Bind { .. })
        && (plan.namespaces.has_own_or_joined(Kind::User) || mount.idmap.is_some())
}

/// Makes the root with all that is mounted in it. Gives a handle of it.
pub fn build(plan: &Plan, init: &Init, mut trees: Trees<'_>) -> Result<OwnedFd> {
    let root = match &init.host_root {
        Some(tree) => on_host(plan, tree)?,
        None => on_top(plan, init, &mut trees)?,
    };
    for planned in &plan.mounts {
        mount::perform(plan, planned, root.as_fd(), &mut trees, init.cgroup.as_deref())?;
    }
    if plan.setup_dev {
        dev::setup(plan, root.as_fd())?;
    }
    dev::nodes(plan, root.as_fd())?;
    Ok(root)
}

/// Mounts the root in the creator's namespace, whose other mounts stay as they are.
fn on_host(plan: &Plan, tree: &OwnedFd) -> Result<OwnedFd> {
    let private = || {
        mount::propagate(tree.as_fd(), MountPropagationFlags::PRIVATE, true)
            .step(|| "part the root filesystem from the host".into())
    };
    // Before, since it is a copy of a mount that may be shared; and after, as on a shared one it becomes shared again.
    private()?;
    let Some((place, _)) = own_place(&plan.rootfs).filter(|(place, _)| is_same(place, tree)) else {
        return Err(Failure::text(format!("root.path {}: is another directory now", plan.rootfs.display())));
    };
    mount::attach(tree.as_fd(), place.as_fd()).step(|| "mount the root filesystem: move_mount".into())?;
    private()?;
    tree.try_clone().map_err(|error| Failure::text(format!("duplicate a descriptor: {error}")))
}

/// Mounts the root in a namespace of the container's own.
fn on_top(plan: &Plan, init: &Init, trees: &mut Trees<'_>) -> Result<OwnedFd> {
    let slash = rustix::fs::openat(CWD, "/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
        .step(|| "open /".into())?;
    let propagation = plan.propagation;
    mount::propagate(slash.as_fd(), propagation.kind, propagation.recursive)
        .step(|| "set the propagation of the host's mounts (linux.rootfsPropagation)".into())?;
    // What is mounted on or in these must not get to the host. A slave's mounts do not, and the host's still come in.
    let apart = |mount: &OwnedFd| mount::propagate(mount.as_fd(), parted(propagation.kind), false);
    if init.no_pivot {
        // The new root is moved there in the end.
        apart(&slash).step(|| "part / from the host".into())?;
    }
    // Before it is copied: an unbindable mount can't be.
    let place = own_place(&plan.rootfs).filter(|(_, top)| apart(top).is_ok());
    let tree = match trees.root.take() {
        Some(tree) => tree,
        None => open_root(&plan.rootfs)?,
    };
    // At its own path, where hooks of engines look for it from within this namespace, and where it can be the source of a
    // mount; else on top of `/`, which is always in reach. Host paths still resolve then: a path begins at the process's
    // root, not at what is mounted on it.
    let place = match place.filter(|(place, _)| is_same(place, &tree)) {
        Some((place, _)) => place,
        None => apart(&slash).map(|()| slash).step(|| "part / from the host".into())?,
    };
    mount::attach(tree.as_fd(), place.as_fd()).step(|| "mount the root filesystem: move_mount".into())?;
    // pivot_root(2) refuses a root that is shared, as one on a shared mount of the host is.
    apart(&tree).step(|| "part the root filesystem from the host".into())?;
    Ok(tree)
}

/// The type that keeps a mount's own events from the host: its slave, or nothing to it.
fn parted(wanted: MountPropagationFlags) -> MountPropagationFlags {
    match wanted {
        MountPropagationFlags::DOWNSTREAM => wanted,
        _ => MountPropagationFlags::PRIVATE,
    }
}

/// The directory of the root filesystem, if it is in reach, and that of the mount it is on. Nothing that is mounted there may
/// get to the host, nor does pivot_root(2) take a root below a shared mount.
fn own_place(path: &Path) -> Option<(OwnedFd, OwnedFd)> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let place = rustix::fs::openat(CWD, path, flags, Mode::empty()).ok()?;
    let mut top = place.try_clone().ok()?;
    loop {
        let stat = rustix::fs::statx(&top, "", AtFlags::EMPTY_PATH, StatxFlags::empty()).ok()?;
        if stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT) {
            break;
        }
        top = rustix::fs::openat(&top, "..", flags, Mode::empty()).ok()?;
    }
    Some((place, top))
}

/// Whether two handles are of one directory.
fn is_same(one: &OwnedFd, other: &OwnedFd) -> bool {
    let id = |fd| rustix::fs::fstat(fd).map(|stat| (stat.st_dev, stat.st_ino));
    matches!((id(one), id(other)), (Ok(one), Ok(other)) if one == other)
}

/// A detached copy of the root filesystem.
pub fn open_root(path: &Path) -> Result<OwnedFd> {
    let flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    rustix::mount::open_tree(CWD, path, flags).step(|| format!("open root.path {}", path.display()))
}

/// What comes after the hooks, which may still change the root filesystem: masks and read-only paths.
pub fn finish(plan: &Plan, root: &OwnedFd) -> Result<()> {
    for planned in &plan.mounts {
        let tmpfs = matches!(&planned.source, Source::Filesystem { kind, .. } if kind == "tmpfs");
        if tmpfs && planned.is_readonly() {
            let fd = resolve::open(root.as_fd(), &planned.destination)
                .step(|| format!("open {}", planned.place()))?;
            read_only(&fd, false).step(|| format!("make {} read-only", planned.place()))?;
        }
    }
    hide::read_only(plan, root.as_fd())?;
    hide::mask(plan, root.as_fd())?;
    if plan.readonly {
        read_only(root, false).step(|| "make the root filesystem read-only (root.readonly)".into())?;
    }
    Ok(())
}

/// Makes a mount read-only.
pub fn read_only(fd: &OwnedFd, recursive: bool) -> husk_sys::Result<()> {
    let set = u64::from(MountAttrFlags::MOUNT_ATTR_RDONLY.bits());
    set_attributes(fd.as_fd(), Attributes { set, ..Attributes::default() }, recursive)
}

/// Changes to the new root, and lets go of the host's.
pub fn change(plan: &Plan, root: &OwnedFd, no_pivot: Option<&Unpivoted>) -> Result<()> {
    let old = rustix::fs::openat(CWD, "/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
        .step(|| "open /".into())?;
    rustix::process::fchdir(root).step(|| "enter the root filesystem".into())?;
    if plan.shares_mounts() {
        // No other process of the namespace is to get another root.
        rustix::process::chroot(".").step(|| "chroot".into())?;
    } else if let Some(unpivoted) = no_pivot {
        unpivoted.hide()?;
        rustix::process::fchdir(root).step(|| "enter the root filesystem".into())?;
        // Where it is at its own path: what is on `/` is what a chroot can't be left to.
        let _ = mount::attach(root.as_fd(), old.as_fd());
        rustix::process::chroot(".").step(|| "chroot".into())?;
    } else {
        // Old and new root on the same place: no directory in the new one is needed (pivot_root(2), "pivot_root(".", ".")").
        rustix::process::pivot_root(".", ".").map_err(|errno| {
            // No mount lies below such a root, as pivot_root(2) wants it.
            let hint =
                if errno == Errno::INVAL { "; on a ramdisk the flag --no-pivot is needed" } else { "" };
            Failure::call(format!("pivot_root{hint}"), errno)
        })?;
        // The old root's mounts go from this namespace alone, also where they are shared with the host. By its descriptor:
        // mount(2) on "." would mean the new root, while umount2(2) means what is on top of it.
        mount::propagate(old.as_fd(), MountPropagationFlags::DOWNSTREAM, true)
            .step(|| "part the host's mounts from the host".into())?;
        rustix::mount::unmount(".", UnmountFlags::DETACH).step(|| "let go of the host's root".into())?;
    }
    rustix::process::chdir("/").step(|| "enter the new root".into())?;
    let wanted = plan.propagation;
    if wanted.kind != MountPropagationFlags::DOWNSTREAM {
        // The root alone: each mount in it has a type of its own by now.
        mount::propagate(root.as_fd(), wanted.kind, false).step(|| "set linux.rootfsPropagation".into())?;
    }
    Ok(())
}
