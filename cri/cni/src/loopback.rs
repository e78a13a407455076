//! The loopback interface of a new network namespace.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::error::Error;

/// `RTM_NEWLINK` (linux/rtnetlink.h).
const NEWLINK: u16 = 16;
/// `NLM_F_REQUEST | NLM_F_ACK` (linux/netlink.h).
const REQUEST_ACK: u16 = 1 | 4;
/// `NLMSG_ERROR`, which is also the acknowledgement.
const ERROR: u16 = 2;
/// `IFF_UP` (linux/if.h).
const UP: u32 = 1;
/// The loopback device has this index in every network namespace.
const LOOPBACK_INDEX: i32 = 1;

/// Brings `lo` up in the network namespace at `netns`. Repeating it is harmless.
///
/// # Errors
/// The namespace can't be opened or joined, or the kernel refuses.
pub fn loopback_up(netns: &Path) -> Result<(), Error> {
    let namespace = File::open(netns).map_err(|e| Error::io("open", netns, e))?;
    // A thread of its own: it ends in the other namespace, and no other code ever runs there.
    let joined = std::thread::scope(|scope| scope.spawn(|| up_in(&namespace)).join());
    let done = joined.unwrap_or(Err(("clone", Errno::AGAIN)));
    done.map_err(|(call, errno)| Error::io(call, netns, errno))
}

fn up_in(namespace: &File) -> Result<(), (&'static str, Errno)> {
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
        .map_err(|e| ("setns", e))?;
    // No protocol is NETLINK_ROUTE.
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)
        .map_err(|e| ("socket", e))?;
    sendto(&socket, &request(), SendFlags::empty(), &SocketAddrNetlink::new(0, 0))
        .map_err(|e| ("sendto", e))?;
    let mut answer = [0; 256];
    let (got, _) = recv(&socket, &mut answer, RecvFlags::empty()).map_err(|e| ("recvfrom", e))?;
    acknowledged(&answer[..got]).map_err(|e| ("RTM_NEWLINK", e))
}

/// struct nlmsghdr, then struct ifinfomsg.
fn request() -> Vec<u8> {
    let mut message = Vec::with_capacity(32);
    message.extend(32u32.to_ne_bytes());
    message.extend(NEWLINK.to_ne_bytes());
    message.extend(REQUEST_ACK.to_ne_bytes());
    message.extend([0; 8]); // sequence, port
    message.extend([0; 4]); // family, padding, type
    message.extend(LOOPBACK_INDEX.to_ne_bytes());
    message.extend(UP.to_ne_bytes()); // flags
    message.extend(UP.to_ne_bytes()); // which of them change
    message
}

/// Reads struct nlmsgerr: error 0 says yes, otherwise it is a negative errno.
fn acknowledged(answer: &[u8]) -> Result<(), Errno> {
    let kind = answer.get(4..6).and_then(|b| b.try_into().ok()).map(u16::from_ne_bytes);
    let error = answer.get(16..20).and_then(|b| b.try_into().ok()).map(i32::from_ne_bytes);
    match (kind, error) {
        (Some(ERROR), Some(0)) => Ok(()),
        (Some(ERROR), Some(errno)) => Err(Errno::from_raw_os_error(errno.saturating_neg())),
        _ => Err(Errno::PROTO),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_and_short_ones_refused() {
        let answer = |errno: i32| {
            [&36u32.to_ne_bytes()[..], &2u16.to_ne_bytes(), &[0; 10], &errno.to_ne_bytes()].concat()
        };
        assert_eq!(acknowledged(&answer(0)), Ok(()));
        assert_eq!(acknowledged(&answer(-1)), Err(Errno::PERM));
        assert_eq!(acknowledged(&answer(0)[..18]), Err(Errno::PROTO));
        assert_eq!(acknowledged(&[]), Err(Errno::PROTO));
        assert_eq!(request().len(), 32);
    }

    #[test]
    fn a_file_that_is_no_namespace_is_named() {
        let said = loopback_up(Path::new("/proc/self/status")).unwrap_err().to_string();
        assert!(said.starts_with("setns /proc/self/status: "), "{said}");
    }
}
