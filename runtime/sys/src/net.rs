//! Network interfaces by ioctl: netdevice(7).

use crate::{Errno, Result, check};
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use std::os::fd::AsRawFd as _;

/// Sets an interface of the caller's network namespace up.
pub fn interface_up(name: &str) -> Result<()> {
    let socket =
        rustix::net::socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    // SAFETY: ifreq is plain data for which all zeros is valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    if name.len() >= request.ifr_name.len() {
        return Err(Errno::NAMETOOLONG);
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    // SAFETY: request is a valid ifreq with a terminated name, which lives during the calls; the kernel fills in the flags
    // member, which is then valid to be read.
    unsafe {
        check(libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFFLAGS, &raw mut request).into())?;
        request.ifr_ifru.ifru_flags |= libc::IFF_UP as libc::c_short;
        check(libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw mut request).into())?;
    }
    Ok(())
}
