//! Sending a descriptor to a unix socket of the caller's: terminal, pidfd, seccomp listener.

use anyhow::Context as _;
use rustix::{
    fs::{Mode, OFlags},
    net::{
        AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags,
        SocketType,
    },
};
use std::{
    ffi::OsStr,
    io::IoSlice,
    mem::MaybeUninit,
    os::{
        fd::{AsFd as _, AsRawFd as _, BorrowedFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
};

/// Connects to a stream socket and sends one message with one descriptor.
pub fn send_fd(path: &Path, fd: BorrowedFd<'_>, text: &[u8]) -> anyhow::Result<()> {
    let socket =
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    at(path, |address| rustix::net::connect(&socket, address)).context("connect")?;
    let fds = [fd];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&fds));
    let mut sent = rustix::net::sendmsg(&socket, &[IoSlice::new(text)], &mut control, SendFlags::NOSIGNAL)?;
    // The descriptor went with the first bytes.
    while let Some(rest) = text.get(sent..).filter(|rest| !rest.is_empty()) {
        sent += rustix::net::send(&socket, rest, SendFlags::NOSIGNAL)?;
    }
    Ok(())
}

/// Calls with the address of a path, also of one longer than the 107 bytes of an address: by its directory's descriptor.
pub fn at(path: &Path, call: impl FnOnce(&SocketAddrUnix) -> husk_sys::Result<()>) -> anyhow::Result<()> {
    if let Ok(address) = SocketAddrUnix::new(path) {
        return Ok(call(&address)?);
    }
    // By the socket itself where there is one, as its name alone may be too long.
    if let Ok(found) = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()) {
        let address = SocketAddrUnix::new(format!("/proc/self/fd/{}", found.as_raw_fd()))?;
        return Ok(call(&address)?);
    }
    let dir = path.parent().unwrap_or(Path::new("."));
    let dir = std::fs::File::open(dir).with_context(|| format!("open {}", dir.display()))?;
    let number = dir.as_fd().as_raw_fd();
    let short =
        Path::new("/proc/self/fd").join(number.to_string()).join(path.file_name().unwrap_or_default());
    let address = SocketAddrUnix::new(&short).context("the socket's name is too long")?;
    Ok(call(&address)?)
}

/// The same for a name of systemd's: a path, or `@` and a name without a file.
pub fn named(name: &OsStr, call: impl FnOnce(&SocketAddrUnix) -> husk_sys::Result<()>) -> anyhow::Result<()> {
    match name.as_bytes().strip_prefix(b"@") {
        Some(name) => {
            let address = SocketAddrUnix::new_abstract_name(name).context("the socket's name is too long")?;
            Ok(call(&address)?)
        }
        None => at(Path::new(name), call),
    }
}
