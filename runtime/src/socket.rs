//! Sending a descriptor to a unix socket of the caller's: terminal, pidfd, seccomp listener.

use anyhow::{Context as _, bail};
use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
    net::{
        AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags,
        SocketType,
        sockopt::{Timeout, set_socket_timeout},
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
    time::Duration,
};

/// How long a listener has whose queue is full, before husk gives up.
const PATIENCE: Duration = Duration::from_secs(10);

/// Connects to a stream socket and sends one message with one descriptor. The other side need not accept yet.
pub fn send_fd(path: &Path, fd: BorrowedFd<'_>, text: &[u8]) -> anyhow::Result<()> {
    send_within(PATIENCE, path, fd, text)
}

fn send_within(limit: Duration, path: &Path, fd: BorrowedFd<'_>, text: &[u8]) -> anyhow::Result<()> {
    let socket =
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    // Counts for connecting, too (unix(7) does not say so).
    set_socket_timeout(&socket, Timeout::Send, Some(limit))?;
    let mut full = false;
    let connect = |address: &SocketAddrUnix| {
        rustix::net::connect(&socket, address).inspect_err(|errno| full = *errno == Errno::AGAIN)
    };
    let connected = at(path, connect);
    if full {
        bail!("connect: nobody has accepted for {} s, and the queue of connections is full", limit.as_secs());
    }
    connected.context("connect")?;
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

#[cfg(test)]
mod tests {
    use super::send_within;
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};
    use std::{os::fd::AsFd as _, time::Duration};

    #[test]
    fn a_listener_that_never_accepts_is_not_waited_for_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let listener = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
        rustix::net::bind(&listener, &SocketAddrUnix::new(&path).unwrap()).unwrap();
        // A queue of one.
        rustix::net::listen(&listener, 0).unwrap();
        let limit = Duration::from_millis(50);
        send_within(limit, &path, listener.as_fd(), b"first").unwrap();
        let error = send_within(limit, &path, listener.as_fd(), b"second").unwrap_err().to_string();
        assert!(error.starts_with("connect: nobody has accepted"), "{error}");
    }
}
