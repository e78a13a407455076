//! Sending signals by number: real-time ones (systemd's stop signal is SIGRTMIN+3) have no name in rustix.

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};

/// kill(2) on one process. Signal 0 asks whether it is there. Pids below 1, which mean groups, are EINVAL.
pub fn to_pid(pid: u32, signal: i32) -> io::Result<()> {
    let pid = match i32::try_from(pid) {
        Ok(pid) if pid > 0 => pid,
        _ => return Err(io::Error::from_raw_os_error(libc::EINVAL)),
    };
    // SAFETY: kill has no memory arguments.
    check(unsafe { libc::kill(pid, signal) }.into())
}

/// pidfd_send_signal(2). Signal 0 asks whether the process is there.
pub fn to_pidfd(pidfd: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    let no_info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: the descriptor is valid while borrowed; a null siginfo is allowed and means what kill(2) would fill in.
    check(unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, no_info, 0) })
}

fn check(result: libc::c_long) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    #[test]
    fn numbers_that_mean_groups_are_refused() {
        assert_eq!(super::to_pid(0, 0).unwrap_err().raw_os_error(), Some(libc::EINVAL));
        assert_eq!(super::to_pid(u32::MAX, 0).unwrap_err().raw_os_error(), Some(libc::EINVAL));
        assert!(super::to_pid(std::process::id(), 0).is_ok());
    }
}
