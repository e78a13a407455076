//! The conversation between husk and the process that it forks, over a pair of SOCK_SEQPACKET sockets.
//!
//! ```text
//!  husk (parent)                                   child
//!      │ ◄──────────── Pid (from the stage, where there is one)
//!      │ ◄──────────── NeedMaps ──────────────────────┤ after clone3, in the new user namespace
//!      ├── Go [+ Tree…] ──────────────────────────────► mappings are written
//!      │ ◄──────────── MapIds(n) + descriptor ────────┤ later on, for mounts whose source is in the root filesystem
//!      ├── Go ────────────────────────────────────────► the mount has its id mapping
//!      │ ◄──────────── NeedDevices ───────────────────┤ where there are linux.netDevices
//!      ├── Go ────────────────────────────────────────► they are in the child's network namespace
//!      │ ◄──────────── Mounted ───────────────────────┤ mounts are made; where the parent has hooks to run
//!      ├── Go ────────────────────────────────────────► prestart and createRuntime hooks have run
//!      │ ◄──────────── Console + descriptor ──────────┤
//!      │ ◄──────────── Listener(number) ──────────────┤ seccomp notification descriptor
//!      │ ◄──────────── Ready ─────────────────────────┤ all but exec is done
//!      ├── Go ────────────────────────────────────────► `run` and `exec`; `create` uses the exec FIFO
//!      │ ◄──────────── end of file: exec succeeded, or Failed
//! ```
//! A message that is not due is an error; a closed socket before its time means that the other side was killed.

use super::failure::Failure;
use husk_sys::{Errno, Result};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};
use serde::{Deserialize, Serialize};
use std::{
    cell::RefCell,
    collections::VecDeque,
    io::{IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

/// Longest message; a failure's text is cut to fit.
const MAX: usize = 16 << 10;

/// One message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// The pid of the process that the stage has made, in the parent's namespace.
    Pid(i32),
    /// The child waits for its id mappings and for the mounts that only the parent can open.
    NeedMaps,
    /// A detached mount for `mounts[n]`, or for the root where there is no n; the descriptor goes along.
    Tree(Option<usize>),
    /// The detached mount for `mounts[n]`, which the child could open itself but not give its id mapping; goes along.
    MapIds(usize),
    /// The child is in its network namespace, and waits for the devices that are moved there.
    NeedDevices,
    /// The child waits for the hooks of the runtime's namespace.
    Mounted,
    /// The terminal's master descriptor goes along.
    Console,
    /// The number of the seccomp notification descriptor in the child.
    Listener(i32),
    /// The child waits for the order to execute the program.
    Ready,
    /// Go on.
    Go,
    /// A step failed; the child ends.
    Failed(Failure),
    /// Something that the log should have.
    Warning(String),
}

/// One end of the conversation.
#[derive(Debug)]
pub struct Channel {
    fd: OwnedFd,
    /// Messages that were received before they were due.
    early: RefCell<VecDeque<(Message, Option<OwnedFd>)>>,
}

impl Channel {
    /// Two connected ends.
    pub fn pair() -> Result<(Self, Self)> {
        let (a, b) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        let end = |fd| Self { fd, early: RefCell::default() };
        Ok((end(a), end(b)))
    }

    /// The descriptor.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Sends a message.
    pub fn send(&self, message: &Message) -> Result<()> {
        self.send_with(message, None)
    }

    /// Sends a message, and a descriptor along with it.
    pub fn send_with(&self, message: &Message, fd: Option<BorrowedFd<'_>>) -> Result<()> {
        let mut text = serde_json::to_vec(message).map_err(|_| Errno::INVAL)?;
        if text.len() > MAX {
            // Only a failure's text is ever that long.
            let Message::Failed(failure) = message else { return Err(Errno::MSGSIZE) };
            let what = failure.what.chars().take(MAX / 8).collect();
            let cut = Failure { what, start: None, ..failure.clone() };
            text = serde_json::to_vec(&Message::Failed(cut)).map_err(|_| Errno::INVAL)?;
        }
        let fds: Vec<_> = fd.into_iter().collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&fds)) {
            return Err(Errno::MSGSIZE);
        }
        loop {
            match rustix::net::sendmsg(&self.fd, &[IoSlice::new(&text)], &mut control, SendFlags::NOSIGNAL) {
                Err(Errno::INTR) => {}
                result => return result.map(drop),
            }
        }
    }

    /// Waits for a message; none at the end of the conversation.
    pub fn receive(&self) -> Result<Option<(Message, Option<OwnedFd>)>> {
        if let Some(message) = self.early.borrow_mut().pop_front() {
            return Ok(Some(message));
        }
        self.receive_new()
    }

    /// Waits for a message that `wanted` likes; others that come before it are kept for [`Channel::receive`]. The stage and
    /// the child that it has made speak on the same socket, and the child may be faster.
    pub fn receive_first(
        &self,
        wanted: impl Fn(&Message) -> bool,
    ) -> Result<Option<(Message, Option<OwnedFd>)>> {
        loop {
            match self.receive_new()? {
                Some((message, fd)) if !wanted(&message) => self.early.borrow_mut().push_back((message, fd)),
                found => return Ok(found),
            }
        }
    }

    fn receive_new(&self) -> Result<Option<(Message, Option<OwnedFd>)>> {
        let mut text = vec![0; MAX];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::CMSG_CLOEXEC;
        let received = loop {
            match rustix::net::recvmsg(&self.fd, &mut [IoSliceMut::new(&mut text)], &mut control, flags) {
                Err(Errno::INTR) => {}
                // The other side ended with our messages unread.
                Err(Errno::CONNRESET) => return Ok(None),
                result => break result?,
            }
        };
        let fd = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
            _ => None,
        });
        if received.bytes == 0 {
            return Ok(None);
        }
        let text = text.get(..received.bytes).ok_or(Errno::BADMSG)?;
        let message = serde_json::from_slice(text).map_err(|_| Errno::BADMSG)?;
        Ok(Some((message, fd)))
    }

    /// For the child: waits for `Go`. Anything else means that the parent has given up.
    pub fn wait_for_go(&self) -> super::failure::Result<()> {
        match self.receive() {
            Ok(Some((Message::Go, _))) => Ok(()),
            Ok(_) => Err(Failure::text("husk ended before the container was ready")),
            Err(errno) => Err(Failure::call("wait for husk", errno)),
        }
    }

    /// For the child: tells the number of its seccomp listener. By write(2), the one call that no rule may notify of: nobody
    /// could answer before this message has arrived.
    pub fn report_listener(&self, number: i32) -> super::failure::Result<()> {
        let text = serde_json::to_vec(&Message::Listener(number)).unwrap_or_default();
        rustix::io::write(&self.fd, &text)
            .map(drop)
            .map_err(|errno| Failure::call("report the seccomp listener to husk", errno))
    }

    /// For the child: sends a message of its progress.
    pub fn report(&self, message: &Message) -> super::failure::Result<()> {
        self.send(message).map_err(|errno| Failure::call("report to husk", errno))
    }
}

#[cfg(test)]
mod tests {
    use super::{Channel, Failure, Message};
    use std::os::fd::AsFd as _;

    #[test]
    fn early_messages_keep_their_order() {
        let (a, b) = Channel::pair().unwrap();
        for message in [Message::Console, Message::Ready, Message::Pid(3), Message::Go] {
            a.send(&message).unwrap();
        }
        let first = b.receive_first(|message| matches!(message, Message::Pid(_))).unwrap().unwrap();
        assert_eq!(first.0, Message::Pid(3));
        for message in [Message::Console, Message::Ready, Message::Go] {
            assert_eq!(b.receive().unwrap().unwrap().0, message);
        }
    }

    #[test]
    fn messages_descriptors_and_the_end() {
        let (a, b) = Channel::pair().unwrap();
        a.send(&Message::Pid(7)).unwrap();
        let null = std::fs::File::open("/dev/null").unwrap();
        a.send_with(&Message::Console, Some(null.as_fd())).unwrap();
        let long = Failure::text("x".repeat(100_000));
        a.send(&Message::Failed(long)).unwrap();
        drop(a);
        assert_eq!(b.receive().unwrap().unwrap().0, Message::Pid(7));
        let (message, fd) = b.receive().unwrap().unwrap();
        assert!(message == Message::Console && fd.is_some());
        assert!(matches!(b.receive().unwrap().unwrap().0, Message::Failed(_)));
        assert!(b.receive().unwrap().is_none());
    }
}
