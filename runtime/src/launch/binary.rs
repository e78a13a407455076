//! Keeping husk's own file out of a container's reach for writing (CVE-2019-5736).
//!
//! A process of the container can get at the executable of a process that is about to become the container's program, by
//! /proc/PID/exe. So husk executes itself once more from a detached read-only mount of its own file: a write through it
//! fails with EROFS, and pages stay shared with all other husk processes.

use anyhow::Context as _;
use husk_sys::mount::{Attributes, set_attributes};
use rustix::{
    fs::{CWD, MemfdFlags, Mode, OFlags, SealFlags},
    mount::{MountAttrFlags, OpenTreeFlags},
};
use std::{
    ffi::CString,
    io::{Read as _, Write as _},
    os::fd::{AsFd as _, OwnedFd},
    os::unix::ffi::OsStringExt as _,
};

/// Makes sure that this process runs from a file that can't be written through it; executes itself anew where it does not.
pub fn protect() -> anyhow::Result<()> {
    let exe = std::fs::File::open("/proc/self/exe").context("open /proc/self/exe")?;
    if is_protected(&exe.as_fd().try_clone_to_owned()?) {
        return Ok(());
    }
    // An ordinary user may not make mounts: then a sealed copy in memory does it.
    let (file, copied) = match read_only_mount() {
        Ok(file) => (file, false),
        Err(_) => (sealed_copy(exe).context("copy husk to memory")?, true),
    };
    if !copied && !is_protected(&file) {
        // Never seen; but executing oneself for ever would be worse than an error.
        anyhow::bail!("the read-only mount of husk's own file is not read-only");
    }
    let args = std::env::args_os().filter_map(|arg| CString::new(arg.into_vec()).ok()).collect::<Vec<_>>();
    let env = std::env::vars_os()
        .filter_map(|(key, value)| {
            let mut entry = key.into_vec();
            entry.push(b'=');
            entry.extend(value.into_vec());
            CString::new(entry).ok()
        })
        .collect::<Vec<_>>();
    let errno = husk_sys::exec::fexecve(file.as_fd(), &args, &env);
    Err(errno).context("execute husk from a read-only mount of itself")
}

/// Whether the file is on a read-only mount, or is a sealed copy.
fn is_protected(file: &OwnedFd) -> bool {
    let read_only = rustix::fs::fstatvfs(file)
        .is_ok_and(|found| found.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY));
    read_only || rustix::fs::fcntl_get_seals(file).is_ok_and(|seals| seals.contains(SealFlags::WRITE))
}

fn read_only_mount() -> husk_sys::Result<OwnedFd> {
    let exe = rustix::fs::openat(CWD, "/proc/self/exe", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    let tree = rustix::mount::open_tree(&exe, "", flags)?;
    let set = MountAttrFlags::MOUNT_ATTR_RDONLY
        | MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV;
    let attributes = Attributes { set: u64::from(set.bits()), ..Attributes::default() };
    set_attributes(tree.as_fd(), attributes, false)?;
    Ok(tree)
}

fn sealed_copy(mut exe: std::fs::File) -> anyhow::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING | MemfdFlags::EXEC;
    let memfd = rustix::fs::memfd_create("husk", flags)
        // Before Linux 6.3 there is no such flag, and every memfd may be executed.
        .or_else(|_| rustix::fs::memfd_create("husk", flags - MemfdFlags::EXEC))?;
    let mut copy = std::fs::File::from(memfd);
    let mut buffer = vec![0; 256 << 10];
    loop {
        let length = exe.read(&mut buffer)?;
        if length == 0 {
            break;
        }
        copy.write_all(buffer.get(..length).unwrap_or_default())?;
    }
    let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    rustix::fs::fcntl_add_seals(&copy, seals)?;
    Ok(copy.into())
}
