//! As much of rtnetlink(7) as moving a device takes: requests over a NETLINK_ROUTE socket, one at a time.

use husk_sys::{Errno, Result};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use std::{cell::Cell, os::fd::OwnedFd};

/// Length of a message's header: length, type, flags, sequence number, port.
const HEADER: usize = 16;
/// The largest message that the kernel puts together for one recv of a dump.
const BUFFER: usize = 64 << 10;
/// NLMSG_ERROR, which is the acknowledgement too, and NLMSG_DONE.
const ERROR: u16 = 2;
const DONE: u16 = 3;
/// NLM_F_REQUEST, NLM_F_ACK
const REQUEST: u16 = 0x1;
const ACK: u16 = 0x4;
/// NLM_F_DUMP_INTR: what is listed has changed meanwhile.
const INTERRUPTED: u16 = 0x10;
/// NLM_F_ROOT and NLM_F_MATCH: list all that there are.
pub const DUMP: u16 = 0x300;
/// NLM_F_CREATE and NLM_F_EXCL: it must be new.
pub const CREATE: u16 = 0x600;

/// A request.
#[derive(Debug)]
pub struct Request {
    bytes: Vec<u8>,
    flags: u16,
}

impl Request {
    /// A request of a type, with its fixed part.
    pub fn new(kind: u16, flags: u16, fixed: &[u8]) -> Self {
        let flags = REQUEST | flags | if flags & DUMP == DUMP { 0 } else { ACK };
        let mut bytes = vec![0; HEADER];
        put(&mut bytes, 4, &kind.to_ne_bytes());
        put(&mut bytes, 6, &flags.to_ne_bytes());
        bytes.extend_from_slice(fixed);
        Self { bytes, flags }
    }

    /// Adds an attribute.
    pub fn with(mut self, kind: u16, value: &[u8]) -> Self {
        // Names and numbers alone: far from the 64 KiB that the length can say.
        let length = 4 + value.len() as u16;
        self.bytes.extend_from_slice(&length.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(value);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self
    }

    /// Adds an attribute that is a C string.
    pub fn with_name(self, kind: u16, name: &str) -> Self {
        self.with(kind, &[name.as_bytes(), b"\0"].concat())
    }
}

/// A socket in one network namespace: the one in which it was opened, wherever its owner goes.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
    sequence: Cell<u32>,
}

impl Socket {
    /// Opens one in the caller's network namespace.
    pub fn open() -> Result<Self> {
        // No protocol is protocol 0, which is NETLINK_ROUTE.
        let fd =
            rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
        Ok(Self { fd, sequence: Cell::new(0) })
    }

    /// Sends a request. Gives the bodies of the answers, after the header.
    pub fn call(&self, request: &Request) -> Result<Vec<Vec<u8>>> {
        // A list that changes while it is read is read again; it need not come to rest.
        for _ in 0..10 {
            match self.call_once(request) {
                Err(Errno::INTR) => {}
                result => return result,
            }
        }
        Err(Errno::AGAIN)
    }

    fn call_once(&self, request: &Request) -> Result<Vec<Vec<u8>>> {
        let sequence = self.sequence.get().wrapping_add(1);
        self.sequence.set(sequence);
        let mut bytes = request.bytes.clone();
        let length = u32::try_from(bytes.len()).map_err(|_| Errno::MSGSIZE)?;
        put(&mut bytes, 0, &length.to_ne_bytes());
        put(&mut bytes, 8, &sequence.to_ne_bytes());
        rustix::net::send(&self.fd, &bytes, SendFlags::empty())?;
        let (mut answers, mut interrupted) = (Vec::new(), false);
        let mut buffer = vec![0; BUFFER];
        loop {
            let (_, length) = match rustix::net::recv(&self.fd, &mut buffer[..], RecvFlags::TRUNC) {
                Err(Errno::INTR) => continue,
                result => result?,
            };
            let mut rest = buffer.get(..length).ok_or(Errno::MSGSIZE)?;
            while let Some(message) = Message::first(rest) {
                rest = rest.get(message.length.next_multiple_of(4)..).unwrap_or_default();
                if message.sequence != sequence {
                    continue;
                }
                interrupted |= message.flags & INTERRUPTED != 0;
                match message.kind {
                    ERROR => {
                        return match i32::from_ne_bytes(array(message.body, 0)?) {
                            0 => Ok(answers),
                            code => Err(Errno::from_raw_os_error(-code)),
                        };
                    }
                    DONE if interrupted && request.flags & DUMP == DUMP => return Err(Errno::INTR),
                    DONE => return Ok(answers),
                    _ => answers.push(message.body.to_vec()),
                }
            }
        }
    }
}

/// One message of an answer.
struct Message<'a> {
    length: usize,
    kind: u16,
    flags: u16,
    sequence: u32,
    body: &'a [u8],
}

impl<'a> Message<'a> {
    /// The first message in these bytes; none at their end, or where they make no sense.
    fn first(bytes: &'a [u8]) -> Option<Self> {
        let length = u32::from_ne_bytes(array(bytes, 0).ok()?) as usize;
        Some(Self {
            length,
            kind: u16::from_ne_bytes(array(bytes, 4).ok()?),
            flags: u16::from_ne_bytes(array(bytes, 6).ok()?),
            sequence: u32::from_ne_bytes(array(bytes, 8).ok()?),
            body: bytes.get(HEADER..length)?,
        })
    }
}

/// The attributes in these bytes: type and value.
pub fn attributes(mut bytes: &[u8]) -> Vec<(u16, &[u8])> {
    let mut found = Vec::new();
    while let (Ok(length), Ok(kind)) = (array(bytes, 0), array(bytes, 2)) {
        let length = usize::from(u16::from_ne_bytes(length));
        let Some(value) = bytes.get(4..length) else { break };
        // The two upper bits say how the value is to be read.
        found.push((u16::from_ne_bytes(kind) & 0x3fff, value));
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    found
}

/// Bytes of a fixed part, by their place.
pub fn array<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N]> {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).copied().ok_or(Errno::BADMSG)
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    for (to, from) in bytes.iter_mut().skip(at).zip(value) {
        *to = *from;
    }
}

#[cfg(test)]
mod tests {
    use super::{DUMP, Message, Request, Socket, attributes};

    #[test]
    fn attributes_are_padded_and_found_again() {
        let request = Request::new(16, 0, &[0; 16]).with_name(3, "eth0").with(28, &7_u32.to_ne_bytes());
        assert_eq!(request.bytes.len(), 16 + 16 + 12 + 8);
        let found = attributes(&request.bytes[32..]);
        assert_eq!(found, [(3, &b"eth0\0"[..]), (28, &7_u32.to_ne_bytes()[..])]);
    }

    #[test]
    fn bytes_that_make_no_sense_end_the_reading() {
        for bytes in [&[][..], &[1, 0, 0], &[3, 0, 1, 0], &[200, 0, 1, 0, 5], &[0; 8]] {
            assert!(attributes(bytes).is_empty(), "{bytes:?}");
        }
        assert!(Message::first(&[0; 16]).is_none());
        assert!(Message::first(&[255; 16]).is_none());
    }

    #[test]
    fn the_kernel_lists_its_devices() {
        let answers = Socket::open().unwrap().call(&Request::new(18, DUMP, &[0; 16])).unwrap();
        let named = |body: &Vec<u8>| attributes(&body[16..]).contains(&(3, &b"lo\0"[..]));
        assert!(answers.iter().any(named));
    }
}
