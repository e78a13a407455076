//! Copying in a thread of its own, for descriptors that may not be set to O_NONBLOCK: the caller's standard streams share
//! their open file with other processes. A stream that nobody reads holds up the thread alone.

use rustix::{
    event::{PollFd, PollFlags},
    io::Errno,
    net::{AddressFamily, SocketFlags, SocketType},
};
use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    thread,
};

/// Bytes of one read.
pub const CHUNK: usize = 16 << 10;
/// The thread has its buffer on the stack, and calls nothing deep.
const STACK: usize = 128 << 10;

/// Reads from `stream` into the socket that is returned. Its end is the stream's end; when it is closed the thread ends
/// with its next read.
pub fn from(stream: OwnedFd) -> io::Result<OwnedFd> {
    let (near, far) = pair()?;
    start("stdin", stream, far)?;
    Ok(near)
}

/// Writes to `stream` what is sent to the socket that is returned. The socket's peer is closed when the stream takes no
/// more, or when all has been written after a shutdown for writing.
pub fn to(stream: OwnedFd) -> io::Result<OwnedFd> {
    let (near, far) = pair()?;
    start("stdout", far, stream)?;
    Ok(near)
}

fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC;
    Ok(rustix::net::socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None)?)
}

fn start(name: &str, from: OwnedFd, to: OwnedFd) -> io::Result<()> {
    thread::Builder::new()
        .name(name.to_owned())
        .stack_size(STACK)
        .spawn(move || copy(&from, &to).unwrap_or(()))
        .map(drop)
}

/// Until the end of `from`, or until one of both fails.
fn copy(from: &OwnedFd, to: &OwnedFd) -> rustix::io::Result<()> {
    let mut buffer = [0; CHUNK];
    loop {
        let length = match rustix::io::read(from, &mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => length,
            Err(Errno::INTR) => continue,
            // Someone else has set the shared file to O_NONBLOCK.
            Err(Errno::AGAIN) => {
                wait(from, PollFlags::IN);
                continue;
            }
            Err(errno) => return Err(errno),
        };
        let mut rest = buffer.get(..length).unwrap_or_default();
        while !rest.is_empty() {
            match rustix::io::write(to, rest) {
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => wait(to, PollFlags::OUT),
                Err(errno) => return Err(errno),
            }
        }
    }
}

fn wait(fd: &impl AsFd, what: PollFlags) {
    // Whatever comes of it, the next call says what is the matter.
    let _ = rustix::event::poll(&mut [PollFd::new(fd, what)], None);
}
