//! One packet: a JSON body and descriptors beside it.

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};
use serde::{Serialize, de::DeserializeOwned};
use std::io::{IoSlice, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;

/// Bytes of a body that travel in the packet itself; above, a memory file carries them. The kernel's default send
/// buffer (net.core.wmem_default, 208 KiB) must hold a few of them.
pub const INLINE_MAX: usize = 32 * 1024;
/// Bytes of a body, at most.
pub const MAX_BODY: usize = 4 * 1024 * 1024;
/// Descriptors beside a packet, at most, without the memory file.
pub const MAX_FDS: usize = 4;

/// First byte of a packet whose body follows.
const INLINE: u8 = b'J';
/// First byte of a packet whose body is in the first descriptor.
const IN_FILE: u8 = b'F';
const CONTROL: usize = rustix::cmsg_space!(ScmRights(MAX_FDS + 1)) + align_of::<usize>();

/// A packet could not be sent or received. After an error other than [`PacketError::Full`] on sending and
/// [`PacketError::Empty`] on receiving, the peer speaks something else: close the connection.
#[derive(Debug, thiserror::Error)]
pub enum PacketError {
    /// Non-blocking: the socket takes no more at present.
    #[error("send: the peer does not read")]
    Full,
    /// Non-blocking: nothing to read at present.
    #[error("recv: nothing there")]
    Empty,
    /// The peer closed the connection.
    #[error("the peer closed the connection")]
    Closed,
    /// A body above [`MAX_BODY`].
    #[error("message of {0} bytes is above the limit of {MAX_BODY}")]
    TooLarge(usize),
    /// More than [`MAX_FDS`] descriptors.
    #[error("more than {MAX_FDS} descriptors beside a message")]
    TooManyFds,
    /// Not one of our packets.
    #[error("malformed packet: {0}")]
    Malformed(&'static str),
    /// The body is not the JSON of a known message.
    #[error("malformed message: {0}")]
    Json(#[from] serde_json::Error),
    /// A kernel call failed.
    #[error("{0}: {1}")]
    Io(&'static str, std::io::Error),
}

fn io(call: &'static str) -> impl Fn(Errno) -> PacketError {
    move |errno| PacketError::Io(call, errno.into())
}

/// What was received.
#[derive(Debug)]
pub struct Packet {
    body: Vec<u8>,
    /// Descriptors, close-on-exec.
    pub fds: Vec<OwnedFd>,
}

impl Packet {
    /// Reads the body as a message.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, PacketError> {
        Ok(serde_json::from_slice(&self.body)?)
    }

    /// The JSON itself.
    pub fn body(&self) -> &[u8] {
        &self.body
    }
}

/// One end of a connected socket. Whether calls block is the descriptor's own flag (`O_NONBLOCK`), which
/// [`Connection::set_nonblocking`] changes; `try_send` and `try_recv` never block.
#[derive(Debug)]
pub struct Connection {
    socket: OwnedFd,
}

impl From<OwnedFd> for Connection {
    fn from(socket: OwnedFd) -> Self {
        Self { socket }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl std::os::fd::AsRawFd for Connection {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.socket.as_raw_fd()
    }
}

impl Connection {
    /// Two connected ends, for tests and for handing one to a child.
    pub fn pair() -> Result<(Self, Self), PacketError> {
        let (a, b) = rustix::net::socketpair(
            rustix::net::AddressFamily::UNIX,
            rustix::net::SocketType::SEQPACKET,
            rustix::net::SocketFlags::CLOEXEC,
            None,
        )
        .map_err(io("socketpair"))?;
        Ok((a.into(), b.into()))
    }

    /// Sets or clears `O_NONBLOCK`.
    pub fn set_nonblocking(&self, nonblocking: bool) -> Result<(), PacketError> {
        rustix::io::ioctl_fionbio(&self.socket, nonblocking).map_err(io("ioctl(FIONBIO)"))
    }

    /// Fails unless the peer runs under this process' effective user id.
    pub fn check_peer(&self) -> Result<(), PacketError> {
        let peer =
            rustix::net::sockopt::socket_peercred(&self.socket).map_err(io("getsockopt(SO_PEERCRED)"))?;
        if peer.uid == rustix::process::geteuid() {
            Ok(())
        } else {
            Err(PacketError::Io("peer of another user", Errno::PERM.into()))
        }
    }

    /// Sends one message, waiting for room if the descriptor blocks.
    pub fn send<T: Serialize>(&self, message: &T, fds: &[BorrowedFd<'_>]) -> Result<(), PacketError> {
        self.send_body(&serde_json::to_vec(message)?, fds, SendFlags::NOSIGNAL)
    }

    /// Sends one message or says [`PacketError::Full`]; then nothing of it was sent.
    pub fn try_send<T: Serialize>(&self, message: &T, fds: &[BorrowedFd<'_>]) -> Result<(), PacketError> {
        self.try_send_body(&serde_json::to_vec(message)?, fds)
    }

    /// [`Connection::try_send`] of a message that is JSON already.
    pub fn try_send_body(&self, body: &[u8], fds: &[BorrowedFd<'_>]) -> Result<(), PacketError> {
        self.send_body(body, fds, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)
    }

    fn send_body(&self, body: &[u8], fds: &[BorrowedFd<'_>], flags: SendFlags) -> Result<(), PacketError> {
        if body.len() > MAX_BODY {
            return Err(PacketError::TooLarge(body.len()));
        }
        if fds.len() > MAX_FDS {
            return Err(PacketError::TooManyFds);
        }
        let file = if body.len() > INLINE_MAX { Some(body_file(body)?) } else { None };
        let mut all: Vec<BorrowedFd<'_>> = Vec::with_capacity(fds.len() + 1);
        all.extend(file.as_ref().map(|f| f.as_fd()));
        all.extend_from_slice(fds);
        let (kind, inline) = if file.is_some() { (FILE_MARK, &[][..]) } else { (BODY_MARK, body) };
        let mut space = [MaybeUninit::uninit(); CONTROL];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !all.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&all)) {
            return Err(PacketError::TooManyFds);
        }
        let parts = [IoSlice::new(kind), IoSlice::new(inline)];
        loop {
            return match rustix::net::sendmsg(&self.socket, &parts, &mut control, flags) {
                Ok(_) => Ok(()),
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => Err(PacketError::Full),
                Err(Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN) => Err(PacketError::Closed),
                Err(errno) => Err(PacketError::Io("sendmsg", errno.into())),
            };
        }
    }

    /// Receives one message, waiting for it if the descriptor blocks.
    pub fn recv(&self) -> Result<Packet, PacketError> {
        self.recv_flags(RecvFlags::CMSG_CLOEXEC)
    }

    /// Receives one message or says [`PacketError::Empty`].
    pub fn try_recv(&self) -> Result<Packet, PacketError> {
        self.recv_flags(RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT)
    }

    fn recv_flags(&self, flags: RecvFlags) -> Result<Packet, PacketError> {
        let mut buffer = vec![0u8; INLINE_MAX + 1];
        let mut space = [MaybeUninit::uninit(); CONTROL];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let got = loop {
            match rustix::net::recvmsg(&self.socket, &mut [IoSliceMut::new(&mut buffer)], &mut control, flags)
            {
                Ok(got) => break got,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Err(PacketError::Empty),
                Err(Errno::CONNRESET) => return Err(PacketError::Closed),
                Err(errno) => return Err(PacketError::Io("recvmsg", errno.into())),
            }
        };
        // Collected first, so that every descriptor is closed whatever else is wrong with the packet.
        let mut fds: Vec<OwnedFd> = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                fds.extend(rights);
            }
        }
        if got.bytes == 0 {
            return Err(PacketError::Closed);
        }
        if got.flags.contains(ReturnFlags::TRUNC) {
            return Err(PacketError::TooLarge(got.bytes));
        }
        if got.flags.contains(ReturnFlags::CTRUNC) {
            return Err(PacketError::TooManyFds);
        }
        buffer.truncate(got.bytes);
        let body = match buffer[0] {
            INLINE => {
                buffer.remove(0);
                buffer
            }
            IN_FILE if got.bytes == 1 && !fds.is_empty() => read_body_file(fds.remove(0))?,
            IN_FILE => return Err(PacketError::Malformed("a body file is announced and not there")),
            _ => return Err(PacketError::Malformed("unknown first byte")),
        };
        if fds.len() > MAX_FDS {
            return Err(PacketError::TooManyFds);
        }
        Ok(Packet { body, fds })
    }
}

const BODY_MARK: &[u8] = &[INLINE];
const FILE_MARK: &[u8] = &[IN_FILE];

fn body_file(body: &[u8]) -> Result<OwnedFd, PacketError> {
    let fd = rustix::fs::memfd_create(c"husk-message", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)
        .map_err(io("memfd_create"))?;
    let mut file = std::fs::File::from(fd);
    file.write_all(body).map_err(|e| PacketError::Io("write(memfd)", e))?;
    let fd = OwnedFd::from(file);
    rustix::fs::fcntl_add_seals(&fd, SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE)
        .map_err(io("fcntl(F_ADD_SEALS)"))?;
    Ok(fd)
}

/// The seals are asked for, so that only a memory file is ever read (a FIFO would block, a device answer anything)
/// and its size can't change meanwhile.
fn read_body_file(fd: OwnedFd) -> Result<Vec<u8>, PacketError> {
    let seals =
        rustix::fs::fcntl_get_seals(&fd).map_err(|_| PacketError::Malformed("body file without seals"))?;
    if !seals.contains(SealFlags::SHRINK | SealFlags::WRITE) {
        return Err(PacketError::Malformed("body file without seals"));
    }
    let file = std::fs::File::from(fd);
    let size = file.metadata().map_err(|e| PacketError::Io("fstat", e))?.len();
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    if size > MAX_BODY {
        return Err(PacketError::TooLarge(size));
    }
    let mut body = vec![0; size];
    file.read_exact_at(&mut body, 0).map_err(|e| PacketError::Io("pread", e))?;
    Ok(body)
}
