//! The one place where husk forks: clone3(2) in a process of one thread; and unshare(2).

use crate::{Result, check};
use rustix::thread::UnshareFlags;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};

/// Flags of namespaces to be made, by clone3 or unshare. The cgroup namespace is not for clone3 together with a cgroup:
/// it would have the parent's group as its root.
pub type Namespaces = UnshareFlags;

/// Be the child of the caller's parent: a process that only joins namespaces hands its child on this way.
pub const AS_SIBLING: u64 = libc::CLONE_PARENT as u64;

/// `CLONE_INTO_CGROUP`; the constant of the libc crate is cut to 32 bits.
const INTO_CGROUP: u64 = 0x2_0000_0000;

/// Which of the two processes returns from [`clone3`].
#[derive(Debug)]
pub enum Fork {
    /// The new process.
    Child,
    /// The caller.
    Parent(Child),
}

/// The new process, as its parent sees it.
#[derive(Debug)]
pub struct Child {
    /// Its pid in the caller's PID namespace.
    pub pid: i32,
    /// Its descriptor.
    pub pidfd: OwnedFd,
}

#[repr(C, align(8))]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// Forks into new namespaces and into a cgroup (Linux 5.7).
///
/// # Errors
/// The errno of clone3; `EBUSY` when this process has more than one thread, since the others, and the locks that they
/// hold, would be missing in the child.
pub fn clone3(namespaces: Namespaces, extra: u64, cgroup: Option<BorrowedFd<'_>>) -> Result<Fork> {
    if !single_threaded() {
        return Err(crate::Errno::BUSY);
    }
    let mut pidfd: RawFd = -1;
    let mut args = CloneArgs {
        flags: u64::from(namespaces.bits()) | libc::CLONE_PIDFD as u64 | extra,
        pidfd: &raw mut pidfd as u64,
        // With CLONE_PARENT the caller's own exit signal is used, and this field must be 0.
        exit_signal: if extra & AS_SIBLING == 0 { libc::SIGCHLD as u64 } else { 0 },
        ..CloneArgs::default()
    };
    if let Some(cgroup) = cgroup {
        args.flags |= INTO_CGROUP;
        args.cgroup = cgroup.as_raw_fd() as u64;
    }
    // SAFETY: args is a valid clone_args of the size given, and its pidfd field points to a live RawFd. No CLONE_VM and
    // no stack: the child gets a copy of this address space and returns here. The process has one thread (checked
    // above), so the copy has no lock held by a thread that it lacks.
    let pid = check(unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size_of::<CloneArgs>()) })?;
    if pid == 0 {
        return Ok(Fork::Child);
    }
    // SAFETY: the kernel has stored a new descriptor in pidfd, which nobody else owns.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok(Fork::Parent(Child { pid: pid as i32, pidfd }))
}

/// Makes new namespaces for the calling process (for its children in the case of time namespaces).
pub fn unshare(namespaces: Namespaces) -> Result<()> {
    debug_assert!(!namespaces.contains(UnshareFlags::FILES));
    // SAFETY: the flags are of namespaces, not FILES, so no descriptor table changes under another thread.
    unsafe { rustix::thread::unshare_unsafe(namespaces) }
}

/// Whether this process has one thread.
pub fn single_threaded() -> bool {
    let count = || std::fs::read_dir("/proc/self/task").map(Iterator::count);
    #[cfg(target_env = "gnu")]
    {
        unsafe extern "C" {
            static __libc_single_threaded: libc::c_char;
        }
        // SAFETY: glibc (2.32) defines this variable; it is only written when threads are made or joined.
        if unsafe { (&raw const __libc_single_threaded).read_volatile() } != 0 {
            return true;
        }
    }
    // glibc does not set its variable back in every case; /proc may be missing, then nothing can be said.
    count().is_ok_and(|count| count == 1)
}

#[cfg(test)]
mod tests {
    use super::{Fork, Namespaces, clone3, single_threaded};

    #[test]
    fn a_process_with_threads_may_not_fork() {
        // The test harness runs each test in a thread of its own.
        if !single_threaded() {
            assert!(matches!(clone3(Namespaces::empty(), 0, None), Err(crate::Errno::BUSY)));
        } else if let Fork::Child = clone3(Namespaces::empty(), 0, None).unwrap() {
            std::process::exit(0);
        }
    }
}
