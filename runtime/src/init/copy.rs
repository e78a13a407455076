//! Copying a directory of the root filesystem into a tmpfs that is to cover it (`tmpcopyup`).

use crate::process::failure::{Failure, Result, Step as _};
use husk_sys::Errno;
use rustix::fs::{AtFlags, Dir, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid};
use std::{
    ffi::CStr,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
};

/// Deeper trees are an attack.
const MAX_DEPTH: u32 = 256;

/// Copies what is in the directory `from` into the directory `to`: files, directories, links, with owner, mode and times.
pub fn directory(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let from = rustix::fs::openat(from, ".", flags, Mode::empty()).step(|| "open the directory".into())?;
    let to = rustix::fs::openat(to, ".", flags, Mode::empty()).step(|| "open the tmpfs".into())?;
    entries(&from, &to, 0)?;
    attributes(&from, &to)
}

fn entries(from: &OwnedFd, to: &OwnedFd, depth: u32) -> Result<()> {
    if depth > MAX_DEPTH {
        return Err(Failure::text(format!("more than {MAX_DEPTH} directories deep")));
    }
    let dir = Dir::read_from(from).step(|| "list a directory".into())?;
    for entry in dir {
        let entry = entry.step(|| "list a directory".into())?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        one(from, to, name, depth).map_err(|failure| Failure {
            what: format!("{}: {}", name.to_string_lossy(), failure.what),
            ..failure
        })?;
    }
    Ok(())
}

fn one(from: &OwnedFd, to: &OwnedFd, name: &CStr, depth: u32) -> Result<()> {
    let stat = rustix::fs::statat(from, name, AtFlags::SYMLINK_NOFOLLOW).step(|| "stat".into())?;
    let safe = OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | safe;
            let source = rustix::fs::openat(from, name, flags, Mode::empty()).step(|| "open".into())?;
            rustix::fs::mkdirat(to, name, Mode::RWXU).step(|| "mkdir".into())?;
            let target = rustix::fs::openat(to, name, flags, Mode::empty()).step(|| "open".into())?;
            entries(&source, &target, depth + 1)?;
            attributes(&source, &target)
        }
        FileType::RegularFile => {
            let source = rustix::fs::openat(from, name, OFlags::RDONLY | safe, Mode::empty())
                .step(|| "open".into())?;
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | safe;
            let target = rustix::fs::openat(to, name, flags, Mode::RWXU).step(|| "create".into())?;
            content(&source, &target).step(|| "copy".into())?;
            attributes(&source, &target)
        }
        FileType::Symlink => {
            let link = rustix::fs::readlinkat(from, name, Vec::new()).step(|| "readlink".into())?;
            rustix::fs::symlinkat(link, to, name).step(|| "symlink".into())?;
            let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
            rustix::fs::chownat(to, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
                .step(|| "chown".into())
        }
        // Sockets, fifos and devices belong to what made them.
        _ => Ok(()),
    }
}

fn content(from: &OwnedFd, to: &OwnedFd) -> husk_sys::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let length = match rustix::io::read(from, &mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => length,
            Err(Errno::INTR) => continue,
            Err(errno) => return Err(errno),
        };
        let mut rest = buffer.get(..length).unwrap_or_default();
        while !rest.is_empty() {
            let written = rustix::io::write(to, rest)?;
            rest = rest.get(written..).unwrap_or_default();
        }
    }
}

fn attributes(from: &OwnedFd, to: &OwnedFd) -> Result<()> {
    let stat = rustix::fs::fstat(from).step(|| "stat".into())?;
    rustix::fs::fchown(to.as_fd(), Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)))
        .step(|| "chown".into())?;
    // After chown, which clears set-user-id bits.
    rustix::fs::fchmod(to, Mode::from_raw_mode(stat.st_mode & 0o7777)).step(|| "chmod".into())?;
    let at = |seconds: i64, nanos: u64| Timespec { tv_sec: seconds, tv_nsec: nanos as _ };
    let times = Timestamps {
        last_access: at(stat.st_atime as i64, stat.st_atime_nsec as u64),
        last_modification: at(stat.st_mtime as i64, stat.st_mtime_nsec as u64),
    };
    rustix::fs::futimens(to, &times).step(|| "utimens".into())
}
