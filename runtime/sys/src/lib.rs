//! Kernel calls wrapped once: the only crate of husk in which unsafe is allowed.
//!
//! `rustix` has safe forms of most calls; what is here is what it lacks, or what is safe only under a condition that
//! this crate checks. Each function does one call, and gives the errno as it came.

pub mod agent;
pub mod bpf;
pub mod caps;
pub mod clone;
pub mod exec;
pub mod fd;
pub mod keyring;
pub mod mount;
pub mod mountinfo;
pub mod net;
pub mod pidfd;
pub mod sched;
pub mod seccomp;
pub mod send;
pub mod signal;
pub mod wait;

pub use rustix::io::{Errno, Result};

/// The errno of a libc call that returned -1.
fn errno() -> Errno {
    // An errno is always set after -1; EIO would be a libc that breaks this rule.
    std::io::Error::last_os_error().raw_os_error().map_or(Errno::IO, Errno::from_raw_os_error)
}

/// The result of a libc call that returns -1 on error.
fn check(result: libc::c_long) -> Result<libc::c_long> {
    if result == -1 { Err(errno()) } else { Ok(result) }
}
