//! Descriptors by number: those that this process was started with, and ranges.

use crate::{Result, check};
use rustix::io::FdFlags;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};

/// Marks all descriptors from `first` on as to be closed at exec (Linux 5.11).
pub fn close_on_exec_from(first: RawFd) -> Result<()> {
    // SAFETY: takes three numbers; sets a flag and closes nothing.
    check(unsafe {
        libc::syscall(
            libc::SYS_close_range,
            first as libc::c_uint,
            libc::c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC as libc::c_uint,
        )
    })?;
    Ok(())
}

/// Closes all descriptors from `first` on but those of `keep` (Linux 5.9), for a forked child that is about to become
/// visible to others.
///
/// As for [`close_in_child`]: the child must not go on to use or drop the owners of what is closed.
pub fn close_in_child_but(first: RawFd, keep: &[RawFd]) -> Result<()> {
    let mut keep: Vec<libc::c_uint> =
        keep.iter().filter(|number| **number >= first).map(|number| *number as _).collect();
    keep.sort_unstable();
    let mut from = first.max(0) as libc::c_uint;
    for number in keep.into_iter().chain([libc::c_uint::MAX]) {
        if from < number {
            // SAFETY: the caller is a forked child; the owners of these numbers are objects of the parent's copy of the
            // memory, whose destructors never run in the child (documented precondition).
            check(unsafe { libc::syscall(libc::SYS_close_range, from, number - 1, 0) })?;
        }
        from = number.saturating_add(1);
    }
    Ok(())
}

/// A copy of a descriptor that this process was started with, such as 3 for `LISTEN_FDS`. `EBADF` where it is not open.
pub fn duplicate(number: RawFd) -> Result<OwnedFd> {
    if number < 0 {
        return Err(crate::Errno::BADF);
    }
    // SAFETY: the descriptor is used for this one call only, and the kernel says EBADF if it is not open.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    rustix::io::fcntl_dupfd_cloexec(borrowed, 3)
}

/// Whether a descriptor is open.
pub fn is_open(number: RawFd) -> bool {
    if number < 0 {
        return false;
    }
    // SAFETY: as in duplicate.
    rustix::io::fcntl_getfd(unsafe { BorrowedFd::borrow_raw(number) }).is_ok()
}

/// Lets a descriptor live on over exec.
pub fn keep_over_exec(number: RawFd) -> Result<()> {
    if number < 0 {
        return Err(crate::Errno::BADF);
    }
    // SAFETY: as in duplicate; only a flag is changed.
    rustix::io::fcntl_setfd(unsafe { BorrowedFd::borrow_raw(number) }, FdFlags::empty())
}

/// Closes a descriptor by number, for a forked child that must not keep what its parent's objects own.
///
/// The child must not go on to use or drop the owner: it is for processes that end by exec or `exit_now`.
pub fn close_in_child(number: RawFd) {
    // SAFETY: the caller is a forked child; the owner of the number is an object of the parent's copy of the memory, whose
    // destructor never runs in the child (documented precondition).
    unsafe { libc::close(number) };
}
