//! Sending a descriptor to a unix socket of the caller's: terminal, pidfd, seccomp listener.

use anyhow::Context as _;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags,
    SocketType,
};
use std::{
    io::IoSlice,
    mem::MaybeUninit,
    os::fd::{AsFd as _, BorrowedFd},
    path::Path,
};

/// Connects to a stream socket and sends one message with one descriptor.
pub fn send_fd(path: &Path, fd: BorrowedFd<'_>, text: &[u8]) -> anyhow::Result<()> {
    let socket =
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    connect(&socket, path)?;
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

/// Connects, also to a path longer than the 107 bytes of an address: by its directory's descriptor.
fn connect(socket: &std::os::fd::OwnedFd, path: &Path) -> anyhow::Result<()> {
    let address = match SocketAddrUnix::new(path) {
        Ok(address) => address,
        Err(_) => {
            let dir = path.parent().unwrap_or(Path::new("."));
            let dir = std::fs::File::open(dir).with_context(|| format!("open {}", dir.display()))?;
            let name = path.file_name().unwrap_or_default();
            let number = std::os::fd::AsRawFd::as_raw_fd(&dir.as_fd());
            let short = Path::new("/proc/self/fd").join(number.to_string()).join(name);
            let address = SocketAddrUnix::new(&short).context("the socket's name is too long")?;
            return rustix::net::connect(socket, &address).context("connect");
        }
    };
    rustix::net::connect(socket, &address).context("connect")
}
