//! One mount: made detached, given its attributes, then moved to its place by descriptors.

use super::{
    copy, hide, label, resolve,
    resolve::Make,
    root::{Trees, needs_parent},
};
use crate::{
    plan::{
        Plan,
        mounts::{Change, Mount, Source},
        namespaces::Kind,
    },
    process::failure::{Failure, Result, Step as _},
};
use husk_sys::{Errno, mount::Attributes, mount::set_attributes};
use rustix::{
    fs::CWD,
    mount::{
        FsMountFlags, FsOpenFlags, FsPickFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags,
        OpenTreeFlags,
    },
};
use std::{
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    path::Path,
};

/// Makes a mount of the plan. `cgroup` is the container's cgroup directory on the host.
pub fn perform(
    plan: &Plan,
    mount: &Mount,
    root: BorrowedFd<'_>,
    trees: &mut Trees<'_>,
    cgroup: Option<&Path>,
) -> Result<()> {
    let (tree, from_parent) = match &mount.source {
        Source::Bind { path, recursive } => match trees.take(mount.index) {
            Some(tree) => (tree, true),
            None if needs_parent(plan, mount) && plan.inner(path).is_some() => {
                (open_inner(plan, mount, root, trees)?, true)
            }
            None => (open_bind(&plan.bundle.join(path), *recursive, &mount.place())?, false),
        },
        Source::Filesystem { kind, source, options } => {
            let existing = resolve::open(root, &mount.destination).ok();
            (filesystem(plan, mount, kind, source, options, existing.as_ref())?, true)
        }
        Source::Cgroup => (cgroup2(plan, mount, cgroup)?, true),
        Source::Remount { options } => return remount(mount, root, options),
    };
    if let Source::Filesystem { kind, .. } = &mount.source
        && ["proc", "sysfs"].contains(&kind.as_str())
        && resolve::is_link(root, &mount.destination)
    {
        // Whoever looks for it by its path, and what is hidden in it, would end elsewhere (CVE-2023-27561, CVE-2023-28642).
        let place = mount.place();
        return Err(Failure::text(format!(
            "mount {place}: {kind} must be mounted on ordinary directory: a symbolic link is there"
        )));
    }
    let make = if resolve::is_dir(tree.as_fd()) { Make::Directory } else { Make::File };
    let target = resolve::ensure(root, &mount.destination, make).map_err(|failure| Failure {
        what: format!("mount {}: {}", mount.place(), failure.what),
        ..failure
    })?;
    guard_proc(mount, tree.as_fd(), target.as_fd())?;
    if mount.copy_up {
        copy::directory(target.as_fd(), tree.as_fd()).map_err(|failure| Failure {
            what: format!("mount {}: tmpcopyup: {}", mount.place(), failure.what),
            ..failure
        })?;
    }
    if !from_parent {
        attributes(tree.as_fd(), mount)?;
        if plan.shares_mounts() && plan.propagation.kind != MountPropagationFlags::SHARED {
            // As it would be in a mount namespace of the container's.
            propagate(tree.as_fd(), MountPropagationFlags::DOWNSTREAM, true)
                .step(|| format!("set propagation of {}", mount.place()))?;
        }
    }
    let is_dir = [resolve::is_dir(tree.as_fd()), resolve::is_dir(target.as_fd())];
    attach(tree.as_fd(), target.as_fd()).map_err(|errno| match is_dir {
        [true, false] => {
            Failure::text(format!("mount {}: a directory can't be mounted on a file", mount.place()))
        }
        [false, true] => {
            Failure::text(format!("mount {}: a file can't be mounted on a directory", mount.place()))
        }
        _ => Failure::call(format!("mount {}: move_mount", mount.place()), errno),
    })?;
    // Propagation comes after: a mount that is moved below a shared one would become shared again.
    for (kind, recursive) in &mount.propagation {
        propagate(tree.as_fd(), *kind, *recursive)
            .step(|| format!("set propagation of {}", mount.place()))?;
    }
    Ok(())
}

/// Single files of /proc that may be mounted over: what lxcfs and the like replace by the container's own figures.
const REPLACEABLE: [&str; 10] = [
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/net/dev",
    "/proc/slabinfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/uptime",
];

/// /proc is procfs, whole, or labels and sysctls are written to where an attacker reads them (CVE-2019-16884,
/// CVE-2023-27561). The target is known by its file system, so a link of the image's that leads into /proc is seen, too.
fn guard_proc(mount: &Mount, tree: BorrowedFd<'_>, target: BorrowedFd<'_>) -> Result<()> {
    if is_procfs(tree) || REPLACEABLE.iter().any(|file| mount.destination == Path::new(file)) {
        return Ok(());
    }
    if mount.destination == Path::new("/proc") {
        return Err(Failure::text(format!("mount {}: only procfs can be mounted there", mount.place())));
    }
    if is_procfs(target) {
        return Err(Failure::text(format!("mount {}: is inside procfs", mount.place())));
    }
    Ok(())
}

/// Whether a handle is of a file of procfs.
pub fn is_procfs(fd: BorrowedFd<'_>) -> bool {
    rustix::fs::fstatfs(fd).is_ok_and(|stat| stat.f_type == rustix::fs::PROC_SUPER_MAGIC)
}

/// Moves a detached mount onto what a handle refers to.
pub fn attach(tree: BorrowedFd<'_>, target: BorrowedFd<'_>) -> husk_sys::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(tree, "", target, "", flags)
}

/// A detached copy of the mount at a path of the host.
pub fn open_bind(path: &Path, recursive: bool, place: &str) -> Result<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    rustix::mount::open_tree(CWD, path, flags)
        .step(|| format!("mount {place}: open source {}", path.display()))
}

/// A detached copy of what is at a path of the root by now: earlier mounts may have brought it.
fn open_inner(plan: &Plan, mount: &Mount, root: BorrowedFd<'_>, trees: &Trees<'_>) -> Result<OwnedFd> {
    let Source::Bind { path, recursive } = &mount.source else {
        return Err(Failure::text(format!("mount {}: has no source", mount.place())));
    };
    let what = || format!("mount {}: open source {} in the root filesystem", mount.place(), path.display());
    let inner = plan.inner(path).unwrap_or_default();
    let found = resolve::open(root, &inner).step(what)?;
    let tree = hide::clone(&found, *recursive).step(what)?;
    attributes(tree.as_fd(), mount)?;
    if mount.idmap.is_some() {
        trees.map_ids(mount.index, tree.as_fd())?;
    }
    Ok(tree)
}

/// Gives a bind mount its attributes.
pub fn attributes(tree: BorrowedFd<'_>, mount: &Mount) -> Result<()> {
    change(tree, mount.attributes, false).and_then(|()| change(tree, mount.recursive, true)).map_err(|errno| {
        let place = mount.place();
        match errno {
            Errno::PERM if !(mount.attributes.clear | mount.recursive.clear).is_empty() => Failure::text(format!(
                "set options of {place}: its source is ro, nosuid, nodev or noexec, which a user namespace may not \
                 take off (rw, suid, dev, exec)"
            )),
            errno => Failure::call(format!("set options of {place}"), errno),
        }
    })
}

const ACCESS_TIME: u64 = MountAttrFlags::MOUNT_ATTR__ATIME.bits() as u64;

fn change(tree: BorrowedFd<'_>, change: Change, recursive: bool) -> husk_sys::Result<()> {
    if change.is_empty() {
        return Ok(());
    }
    let (set, clear) = (u64::from(change.set.bits()), u64::from(change.clear.bits()));
    match set_attributes(tree, Attributes { set, clear, ..Attributes::default() }, recursive) {
        // How access times are kept may be locked by the owner of an outer user namespace; no program relies on it.
        Err(Errno::PERM) if clear & ACCESS_TIME != 0 => {
            let (set, clear) = (set & !ACCESS_TIME, clear & !ACCESS_TIME);
            set_attributes(tree, Attributes { set, clear, ..Attributes::default() }, recursive)
        }
        result => result,
    }
}

/// Sets the propagation type of a mount.
pub fn propagate(tree: BorrowedFd<'_>, kind: MountPropagationFlags, recursive: bool) -> husk_sys::Result<()> {
    let propagation = u64::from(kind.bits());
    set_attributes(tree, Attributes { propagation, ..Attributes::default() }, recursive)
}

/// A new, detached file system.
fn filesystem(
    plan: &Plan,
    mount: &Mount,
    kind: &str,
    source: &str,
    options: &[(usize, String, Option<String>)],
    existing: Option<&OwnedFd>,
) -> Result<OwnedFd> {
    let place = mount.place();
    let context = match rustix::mount::fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC) {
        Err(Errno::PERM) if has_host_form(plan, kind) => return host_form(mount, kind),
        result => result.step(|| format!("mount {place}: file system type {kind:?}"))?,
    };
    let set = |key: &str, value: Option<&str>| match value {
        Some(value) => rustix::mount::fsconfig_set_string(context.as_fd(), key, value),
        None => rustix::mount::fsconfig_set_flag(context.as_fd(), key),
    };
    set("source", Some(source)).step(|| format!("mount {place}: source {source:?}"))?;
    for (number, key, value) in options {
        set(key, value.as_deref()).map_err(|errno| {
            let value = value.as_ref().map(|value| format!("={value}")).unwrap_or_default();
            let reason = kernel_message(&context);
            let what = format!(
                "mount mounts[{}].options[{number}] ({key}{value}) for {}{reason}",
                mount.index,
                mount.destination.display()
            );
            Failure::call(what, errno)
        })?;
    }
    // A tmpfs over a directory of the image keeps the directory's mode, which programs rely on for /tmp and /run.
    if kind == "tmpfs"
        && !options.iter().any(|(_, key, _)| key == "mode")
        && let Some(stat) = existing.and_then(|fd| rustix::fs::fstat(fd).ok())
    {
        let mode = format!("{:o}", stat.st_mode & 0o7777);
        set("mode", Some(&mode)).step(|| format!("mount {place}: mode of the directory"))?;
    }
    if let Some(label) = label::context(plan, kind, options) {
        set("context", Some(label))
            .step(|| format!("mount {place}: set linux.mountLabel {label:?}; does the policy know it?"))?;
    }
    let readonly = mount.is_readonly();
    if readonly && kind != "tmpfs" {
        // As mount(8) does it: the file system too, not the mount alone. Some have no such state.
        let _ = set("ro", None);
    }
    match rustix::mount::fsconfig_create(context.as_fd()) {
        Ok(()) => {}
        Err(Errno::PERM) if has_host_form(plan, kind) => return host_form(mount, kind),
        Err(errno) => {
            let what = format!("mount {place}: make {kind}{}", kernel_message(&context));
            return Err(Failure::call(what, errno));
        }
    }
    let mut attributes = mount.attributes.set;
    if kind == "tmpfs" && readonly {
        // It has to be filled first; `root::finish` makes it read-only.
        attributes -= MountAttrFlags::MOUNT_ATTR_RDONLY;
    }
    let tree = rustix::mount::fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)
        .step(|| format!("mount {place}: fsmount {kind}{}", kernel_message(&context)))?;
    if kind == "mqueue" {
        label::queues(plan, tree.as_fd(), &place)?;
    }
    Ok(tree)
}

/// Changes what is mounted at the destination, as `mount -o remount` does: attributes that are not named are cleared. The file
/// system itself, which others may use, too, is touched only for options of its own.
fn remount(mount: &Mount, root: BorrowedFd<'_>, options: &[(usize, String, Option<String>)]) -> Result<()> {
    let place = mount.place();
    let target =
        resolve::open(root, &mount.destination).step(|| format!("mount {place}: open the destination"))?;
    let all = MountAttrFlags::MOUNT_ATTR_RDONLY
        | MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC
        | MountAttrFlags::MOUNT_ATTR_NODIRATIME
        | MountAttrFlags::MOUNT_ATTR_NOSYMFOLLOW;
    let set = mount.attributes.set;
    let attributes = Change { set, clear: mount.attributes.clear | (all - set) };
    change(target.as_fd(), attributes, false)
        // What is locked stays, unless it was named.
        .or_else(|_| change(target.as_fd(), mount.attributes, false))
        .and_then(|()| change(target.as_fd(), mount.recursive, true))
        .step(|| format!("set options of {place}"))?;
    if !options.is_empty() {
        let flags = FsPickFlags::FSPICK_CLOEXEC | FsPickFlags::FSPICK_EMPTY_PATH;
        let context =
            rustix::mount::fspick(target.as_fd(), "", flags).step(|| format!("mount {place}: fspick"))?;
        for (number, key, value) in options {
            let done = match value {
                Some(value) => rustix::mount::fsconfig_set_string(context.as_fd(), key, value),
                None => rustix::mount::fsconfig_set_flag(context.as_fd(), key),
            };
            done.step(|| format!("mount {place}: options[{number}] ({key}){}", kernel_message(&context)))?;
        }
        rustix::mount::fsconfig_reconfigure(context.as_fd())
            .step(|| format!("mount {place}: remount{}", kernel_message(&context)))?;
    }
    for (kind, recursive) in &mount.propagation {
        propagate(target.as_fd(), *kind, *recursive).step(|| format!("set propagation of {place}"))?;
    }
    Ok(())
}

/// Rights on sysfs and mqueue come with the network and IPC namespace: a container in a user namespace that has no own
/// one is shown the host's, whose files it has no rights on.
fn has_host_form(plan: &Plan, kind: &str) -> bool {
    ["sysfs", "mqueue"].contains(&kind) && plan.namespaces.has_own_or_joined(Kind::User)
}

fn host_form(mount: &Mount, kind: &str) -> Result<OwnedFd> {
    let host = if kind == "sysfs" { "/sys" } else { "/dev/mqueue" };
    let tree = open_bind(Path::new(host), true, &mount.place())?;
    attributes(tree.as_fd(), mount)?;
    Ok(tree)
}

/// What the kernel says about a refused option, as ` [tmpfs: Bad value for 'size']`.
fn kernel_message(context: &OwnedFd) -> String {
    let mut buffer = [0; 512];
    match rustix::io::read(context, &mut buffer) {
        // A message begins with its level and a space.
        Ok(length) if length > 2 => {
            let text = String::from_utf8_lossy(buffer.get(2..length).unwrap_or_default());
            format!(" [{}]", text.trim())
        }
        _ => String::new(),
    }
}

/// The container's view of cgroup2: by its cgroup namespace, or the host's tree where it is in the host's, as then the
/// paths in its /proc/self/cgroup are those of the host. With a user namespace never the host's tree (CVE-2023-25809), but
/// the container's own directory; an ordinary user's container may have none, and is shown nothing.
fn cgroup2(plan: &Plan, mount: &Mount, cgroup: Option<&Path>) -> Result<OwnedFd> {
    let confined = plan.namespaces.has_own_or_joined(Kind::Cgroup);
    if (confined || !plan.namespaces.has_own_or_joined(Kind::User))
        && let Ok(tree) = new_cgroup2(mount)
    {
        return Ok(tree);
    }
    let Some(cgroup) = cgroup else { return nothing(plan, mount) };
    let tree = open_bind(cgroup, false, &mount.place())?;
    attributes(tree.as_fd(), mount)?;
    Ok(tree)
}

/// An empty file system that nobody can write to.
fn nothing(plan: &Plan, mount: &Mount) -> Result<OwnedFd> {
    let make = || {
        let context = rustix::mount::fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
        rustix::mount::fsconfig_set_string(context.as_fd(), "mode", "555")?;
        if let Some(label) = label::context(plan, "tmpfs", &[]) {
            rustix::mount::fsconfig_set_string(context.as_fd(), "context", label)?;
        }
        rustix::mount::fsconfig_create(context.as_fd())?;
        let attributes = mount.attributes.set | MountAttrFlags::MOUNT_ATTR_RDONLY;
        rustix::mount::fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)
    };
    make().step(|| format!("mount {}: an empty file system in place of cgroup2", mount.place()))
}

fn new_cgroup2(mount: &Mount) -> husk_sys::Result<OwnedFd> {
    let context = rustix::mount::fsopen("cgroup2", FsOpenFlags::FSOPEN_CLOEXEC)?;
    rustix::mount::fsconfig_set_string(context.as_fd(), "source", "cgroup")?;
    // The file system is shared by all mounts of it, so that its own options, such as nsdelegate, are not touched.
    rustix::mount::fsconfig_create(context.as_fd())?;
    rustix::mount::fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, mount.attributes.set)
}
