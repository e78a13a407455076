//! The other end of a socket that a runtime sends a descriptor to: a terminal, a pidfd, a seccomp listener.

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};
use std::{
    fs::File,
    io::IoSliceMut,
    mem::MaybeUninit,
    os::fd::OwnedFd,
    os::unix::net::UnixListener,
    path::{Path, PathBuf},
    process::Command,
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
        let (text, fds) = self.receive_while(|| true).expect("waited for");
        (text, fds.into_iter().next().expect("a descriptor came along"))
    }

    /// The descriptor that a command sends before it ends.
    #[track_caller]
    pub fn receive_from(&self, command: &mut Command) -> File {
        std::thread::scope(|scope| {
            let called = scope.spawn(|| crate::run(command));
            let received = self.receive_while(|| !called.is_finished());
            let done = called.join().expect("the command was called");
            let Some((_, fds)) = received else { panic!("nothing came: {done:?}") };
            done.ok();
            fds.into_iter().next().expect("a descriptor came along").into()
        })
    }

    /// Waits for a message with all its descriptors; none if there is no hope any more.
    #[track_caller]
    fn receive_while(&self, hope: impl Fn() -> bool) -> Option<(String, Vec<OwnedFd>)> {
        let mut found = None;
        crate::wait_until("a descriptor is sent", || {
            // In this order: what has ended may have sent something before.
            let over = !hope();
            found = self.socket.accept().ok();
            found.is_some() || over
        });
        let (stream, _) = found?;
        stream.set_nonblocking(false).expect("blocking");
        let mut text = vec![0; 64 << 10];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = rustix::net::recvmsg(
            &stream,
            &mut [IoSliceMut::new(&mut text)],
            &mut control,
            RecvFlags::CMSG_CLOEXEC,
        )
        .expect("recvmsg");
        let mut fds = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(more) = message {
                fds.extend(more);
            }
        }
        Some((String::from_utf8_lossy(&text[..received.bytes]).into_owned(), fds))
    }
}
