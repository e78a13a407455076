//! The other end of a socket that a runtime sends a descriptor to: a terminal, a pidfd, a seccomp listener.

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};
use std::{
    io::IoSliceMut,
    mem::MaybeUninit,
    os::fd::OwnedFd,
    os::unix::net::UnixListener,
    path::{Path, PathBuf},
};

/// A listening socket in a folder of its own.
#[derive(Debug)]
pub struct Receiver {
    socket: UnixListener,
    dir: tempfile::TempDir,
}

impl Receiver {
    /// Listens.
    #[expect(clippy::new_without_default, reason = "it makes a file")]
    pub fn new() -> Self {
        let dir = crate::temp_dir();
        let socket = UnixListener::bind(dir.path().join("socket")).expect("a socket");
        socket.set_nonblocking(true).expect("nonblocking");
        Self { socket, dir }
    }

    /// The socket's path.
    pub fn path(&self) -> PathBuf {
        self.dir.path().join("socket")
    }

    /// Path as text, for arguments and JSON.
    pub fn text(&self) -> String {
        Path::to_str(&self.path()).expect("UTF-8").to_owned()
    }

    /// Waits for a message with a descriptor.
    #[track_caller]
    pub fn receive(&self) -> (String, OwnedFd) {
        let mut found = None;
        crate::wait_until("a descriptor is sent", || {
            found = self.socket.accept().ok();
            found.is_some()
        });
        let (stream, _) = found.expect("a connection");
        stream.set_nonblocking(false).expect("blocking");
        let mut text = vec![0; 64 << 10];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = rustix::net::recvmsg(
            &stream,
            &mut [IoSliceMut::new(&mut text)],
            &mut control,
            RecvFlags::CMSG_CLOEXEC,
        )
        .expect("recvmsg");
        let fd = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
            _ => None,
        });
        (String::from_utf8_lossy(&text[..received.bytes]).into_owned(), fd.expect("a descriptor came along"))
    }
}
