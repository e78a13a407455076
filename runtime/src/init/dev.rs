//! /dev: nodes, links, console.

use super::{mount, resolve, resolve::Make};
use crate::{
    plan::{Plan, devices::Device, namespaces::Kind},
    process::{
        failure::{Failure, Result, Step as _},
        procfs::Proc,
    },
};
use husk_sys::Errno;
use rustix::{
    fs::{AtFlags, CWD, FileType, Gid, Mode, OFlags, Uid},
    mount::OpenTreeFlags,
};
use std::{
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd},
    path::Path,
};

/// Links of /dev (config-linux.md, "Dev symbolic links").
const LINKS: [(&str, &str); 4] = [
    ("/proc/self/fd", "fd"),
    ("/proc/self/fd/0", "stdin"),
    ("/proc/self/fd/1", "stdout"),
    ("/proc/self/fd/2", "stderr"),
];

/// Makes the links. /dev itself may be a link of the image's: it is resolved in the root (CVE-2026-41579).
pub fn setup(plan: &Plan, root: BorrowedFd<'_>) -> Result<()> {
    let dev = resolve::ensure(root, Path::new("/dev"), Make::Directory)?;
    let mut links = LINKS.to_vec();
    if rustix::fs::stat("/proc/kcore").is_ok() {
        links.push(("/proc/kcore", "core"));
    }
    for (target, name) in links {
        match rustix::fs::symlinkat(target, &dev, name) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(Failure::call(format!("make link /dev/{name}"), errno)),
        }
    }
    if plan.mounts.iter().any(|mount| mount.destination == Path::new("/dev/pts")) {
        // Any other ptmx would open terminals of the host's devpts.
        resolve::remove_file(dev.as_fd(), Path::new("ptmx")).step(|| "replace /dev/ptmx".into())?;
        rustix::fs::symlinkat("pts/ptmx", &dev, "ptmx").step(|| "make link /dev/ptmx".into())?;
    }
    Ok(())
}

/// Makes the device nodes.
pub fn nodes(plan: &Plan, root: BorrowedFd<'_>) -> Result<()> {
    let old = rustix::process::umask(Mode::empty());
    let result = plan.devices.iter().try_for_each(|device| node(plan, device, root));
    rustix::process::umask(old);
    result
}

fn node(plan: &Plan, device: &Device, root: BorrowedFd<'_>) -> Result<()> {
    // mknod needs rights in the host's user namespace.
    if plan.namespaces.has_own_or_joined(Kind::User) && device.kind != FileType::Fifo {
        return bind(device, root);
    }
    let (dir, name) = resolve::parent(root, &device.path)?;
    let number = rustix::fs::makedev(device.major, device.minor);
    match rustix::fs::mknodat(&dir, &name, device.kind, Mode::from_raw_mode(device.mode), number) {
        Ok(()) => {}
        Err(Errno::EXIST) => return existing(device, dir.as_fd(), &name),
        // In a container around husk, mknod may be forbidden while the device itself is not.
        Err(Errno::PERM) if device.kind != FileType::Fifo => return bind(device, root),
        Err(errno) => return Err(Failure::call(format!("make {}", device.place()), errno)),
    }
    if (device.uid, device.gid) != (0, 0) {
        let (uid, gid) = (Uid::from_raw(device.uid), Gid::from_raw(device.gid));
        rustix::fs::chownat(&dir, &name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
            .step(|| format!("set the owner of {}", device.place()))?;
    }
    Ok(())
}

/// Something is there already: fine if it is that device, otherwise it is the image's and may be anything.
fn existing(device: &Device, dir: BorrowedFd<'_>, name: &Path) -> Result<()> {
    let stat = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)
        .step(|| format!("look at {}", device.place()))?;
    if is(device, &stat) {
        return Ok(());
    }
    Err(Failure::text(format!("make {}: something else is there already", device.place())))
}

fn is(device: &Device, stat: &rustix::fs::Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == device.kind
        && (device.kind == FileType::Fifo || stat.st_rdev == rustix::fs::makedev(device.major, device.minor))
}

/// Binds the host's node of the same path.
fn bind(device: &Device, root: BorrowedFd<'_>) -> Result<()> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let tree = rustix::mount::open_tree(CWD, &device.path, flags)
        .step(|| format!("bind {}: open the host's", device.place()))?;
    let stat = rustix::fs::fstat(&tree).step(|| format!("look at the host's {}", device.path.display()))?;
    if !is(device, &stat) {
        let place = device.place();
        return Err(Failure::text(format!("bind {place}: the host has another device under that path")));
    }
    attach(&tree, root, &device.path, &device.place())
}

/// Binds a file of the host's to a path that the image may have as a link to anywhere, but not into procfs, where husk and
/// whoever looks later would find it in place of the kernel's own file (CVE-2025-52565, CVE-2025-52881).
fn attach(tree: &OwnedFd, root: BorrowedFd<'_>, path: &Path, what: &str) -> Result<()> {
    let target = resolve::ensure(root, path, Make::File)?;
    if mount::is_procfs(target.as_fd()) {
        let path = path.display();
        return Err(Failure::text(format!("bind {what}: {path} of the root filesystem leads into procfs")));
    }
    mount::attach(tree.as_fd(), target.as_fd()).step(|| format!("bind {what}"))
}

/// Gives the program the container's own /dev/null where a standard stream is the host's. containerd opens that for reading
/// alone, and a program could not write to it; and what is of the container's own is no matter of criu's.
pub fn null_streams(root: BorrowedFd<'_>, proc: &Proc) -> Result<()> {
    let number = rustix::fs::makedev(1, 3);
    let is_null = |fd: BorrowedFd<'_>| {
        rustix::fs::fstat(fd).is_ok_and(|stat| {
            FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == number
        })
    };
    let (input, output, error) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    let nulls = [input.as_fd(), output.as_fd(), error.as_fd()].map(is_null);
    if nulls == [false; 3] {
        return Ok(());
    }
    // The image may have something else there, which is not opened, as a device may act on that. The group's device rules may
    // deny it. Then the streams stay.
    let own = resolve::open(root, Path::new("/dev/null")).ok().filter(|fd| is_null(fd.as_fd()));
    let own = own.and_then(|fd| proc.behind("self/fd", &fd.as_raw_fd().to_string(), OFlags::RDWR).ok());
    let Some(own) = own else { return Ok(()) };
    if nulls[0] {
        rustix::stdio::dup2_stdin(&own).step(|| "replace /dev/null as standard input".into())?;
    }
    if nulls[1] {
        rustix::stdio::dup2_stdout(&own).step(|| "replace /dev/null as standard output".into())?;
    }
    if nulls[2] {
        rustix::stdio::dup2_stderr(&own).step(|| "replace /dev/null as standard error".into())?;
    }
    Ok(())
}

/// Puts the terminal's slave on /dev/console, by its descriptor (CVE-2025-52565).
pub fn console(root: BorrowedFd<'_>, slave: &OwnedFd) -> Result<()> {
    let flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    let tree = rustix::mount::open_tree(slave, "", flags).step(|| "bind the terminal: open_tree".into())?;
    attach(&tree, root, Path::new("/dev/console"), "the terminal to /dev/console")
}
