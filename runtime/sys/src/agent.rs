//! The agent's side of `SCMP_ACT_NOTIFY`: seccomp_unotify(2). husk only passes the descriptor on; its tests are the agent.

use crate::{Result, check};
use std::os::fd::{AsRawFd as _, BorrowedFd};

/// `SECCOMP_IOCTL_NOTIF_RECV` and `SECCOMP_IOCTL_NOTIF_SEND`, which have the sizes of their structures in them.
const RECEIVE: libc::Ioctl = 0xc050_2100_u32 as libc::Ioctl;
const SEND: libc::Ioctl = 0xc018_2101_u32 as libc::Ioctl;
/// `SECCOMP_USER_NOTIF_FLAG_CONTINUE`
const CONTINUE: u32 = 1;

/// A system call that waits for an answer (`struct seccomp_notif`).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Notification {
    /// Names the call in the answer.
    pub id: u64,
    /// The thread that calls, in the PID namespace of the agent.
    pub pid: u32,
    flags: u32,
    /// Number of the system call.
    pub number: i32,
    /// `AUDIT_ARCH_…`
    pub arch: u32,
    instruction: u64,
    /// The arguments.
    pub args: [u64; 6],
}

/// `struct seccomp_notif_resp`
#[repr(C)]
struct Response {
    id: u64,
    value: i64,
    error: i32,
    flags: u32,
}

/// What the caller gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The call is done by the kernel after all.
    Continue,
    /// It returns this.
    Value(i64),
    /// It fails with this errno.
    Errno(i32),
}

/// Waits for a call. `ENOENT` where the caller was killed meanwhile.
pub fn receive(listener: BorrowedFd<'_>) -> Result<Notification> {
    // All zeros is what the kernel asks for.
    let mut notification = Notification::default();
    // SAFETY: the structure has the kernel's layout and the size that the number says; the kernel fills it in.
    check(unsafe { libc::ioctl(listener.as_raw_fd(), RECEIVE, &raw mut notification) }.into())?;
    Ok(notification)
}

/// Answers a call. `ENOENT` where the caller was killed meanwhile.
pub fn answer(listener: BorrowedFd<'_>, id: u64, answer: Answer) -> Result<()> {
    let (value, error, flags) = match answer {
        Answer::Continue => (0, 0, CONTINUE),
        Answer::Value(value) => (value, 0, 0),
        Answer::Errno(errno) => (0, -errno, 0),
    };
    let mut response = Response { id, value, error, flags };
    // SAFETY: the structure has the kernel's layout and the size that the number says.
    check(unsafe { libc::ioctl(listener.as_raw_fd(), SEND, &raw mut response) }.into())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_structures_have_the_sizes_in_the_numbers() {
        assert_eq!(size_of::<super::Notification>() as u64, super::RECEIVE >> 16 & 0x3fff);
        assert_eq!(size_of::<super::Response>() as u64, super::SEND >> 16 & 0x3fff);
    }
}
