//! Attached clients, and the way a terminal comes from the runtime.

use crate::container::{Container, Sink};
use crate::poll::{EventFlags, Poll, Token};
use crate::server::{Shim, failure, internal};
use husk_shim_api::{Failure, FailureKind, Status};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketAddrUnix, SocketFlags,
    SocketType,
};
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// A client that is further behind is dropped.
const MAX_BEHIND: usize = 1024 * 1024;

impl Shim {
    /// A socket that the runtime sends the terminal's master to. Stream type and the message's form are runc's.
    pub(crate) fn console_socket(&self, slot: u32) -> Result<(OwnedFd, PathBuf), Failure> {
        let path = self.job_file(slot, "tty");
        let address = SocketAddrUnix::new(&path).map_err(|_| {
            failure(FailureKind::Invalid, format!("{} is too long for a socket", path.display()))
        })?;
        let make = || -> rustix::io::Result<OwnedFd> {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
            rustix::fs::fchmod(&socket, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR)?;
            rustix::net::bind(&socket, &address)?;
            rustix::net::listen(&socket, 1)?;
            Ok(socket)
        };
        let socket = make().map_err(|e| internal("console socket", e))?;
        Ok((socket, path))
    }

    pub(crate) fn attach(
        &mut self,
        id: &str,
        stdin: bool,
        stdout: bool,
        stderr: bool,
        fds: Vec<OwnedFd>,
    ) -> Result<Option<OwnedFd>, Failure> {
        let slots = [self.slot(), self.slot()];
        let container = self.containers.iter_mut().find(|c| c.id == id);
        let container = container
            .ok_or_else(|| failure(FailureKind::NotFound, format!("no container {id} in this pod")))?;
        if !matches!(container.status, Status::Created | Status::Running) {
            return Err(failure(FailureKind::State, format!("container {id} does not run")));
        }
        let input = match (stdin, container.terminal) {
            (false, _) => None,
            (true, true) => container.stdout.as_ref().map(|terminal| &terminal.fd),
            (true, false) => container.stdin.as_ref(),
        };
        if stdin && input.is_none() {
            return Err(failure(FailureKind::State, format!("container {id} has no stdin to attach to")));
        }
        let input = input.map(OwnedFd::try_clone).transpose().map_err(|e| internal("dup", e))?;
        let wanted = [(stdout, false), (stderr, true)].into_iter().filter(|(passed, _)| *passed);
        for ((fd, (_, stderr)), slot) in fds.into_iter().zip(wanted).zip(slots) {
            rustix::io::ioctl_fionbio(&fd, true).map_err(|e| internal("ioctl(FIONBIO)", e))?;
            container.sinks.push(Sink { slot, fd, stderr, behind: Vec::new() });
        }
        Ok(input)
    }

    /// A client takes more again.
    pub(crate) fn sink_writable(&mut self, slot: u32) {
        let found = self.containers.iter_mut().find(|c| c.sinks.iter().any(|sink| sink.slot == slot));
        if let Some(container) = found {
            container.sinks.retain_mut(|sink| sink.slot != slot || sink.push(&[], &self.poll));
        }
    }
}

impl Container {
    /// Copies a chunk to the clients of a stream. No chunk: the stream has ended, and with it the clients' copies.
    pub(crate) fn copy_to_sinks(&mut self, stderr: bool, chunk: &[u8], poll: &Poll) {
        self.sinks.retain_mut(|sink| sink.stderr != stderr || (!chunk.is_empty() && sink.push(chunk, poll)));
    }
}

impl Sink {
    /// False: closed or too far behind.
    fn push(&mut self, chunk: &[u8], poll: &Poll) -> bool {
        let was_behind = !self.behind.is_empty();
        self.behind.extend_from_slice(chunk);
        let mut sent = 0;
        while sent < self.behind.len() {
            match rustix::io::write(&self.fd, &self.behind[sent..]) {
                Ok(n) => sent += n,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(_) => return false,
            }
        }
        self.behind.drain(..sent);
        let is_behind = !self.behind.is_empty();
        if is_behind
            && !was_behind
            && poll.add_for(&self.fd, Token::Sink(self.slot), EventFlags::OUT).is_err()
        {
            return false;
        }
        if !is_behind {
            self.behind = Vec::new();
            if was_behind {
                poll.remove(&self.fd);
            }
        }
        self.behind.len() <= MAX_BEHIND
    }
}

/// Takes the terminal's master that the runtime has sent before it ended.
pub fn receive_terminal(listener: &OwnedFd) -> Result<OwnedFd, Failure> {
    let none = || failure(FailureKind::Runtime, "the runtime sent no terminal");
    let socket = rustix::net::accept_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)
        .map_err(|_| none())?;
    let mut name = [0; 4096];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1)) + 8];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(&mut name)];
    rustix::net::recvmsg(&socket, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC).map_err(|_| none())?;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(mut fds) = message
            && let Some(fd) = fds.next()
        {
            return Ok(fd);
        }
    }
    Err(none())
}
