//! OCI seccomp profiles compiled to BPF.
//!
//! [`compile`] turns `linux.seccomp` of config.json into the words that seccomp(2) takes. Nothing in a profile is dropped
//! in silence: what the machine does not know is listed in [`Filter::unknown_syscalls`], anything else is an error.

use std::path::PathBuf;

use oci_spec::runtime::LinuxSeccomp;

/// One instruction, laid out as `struct sock_filter` (linux/filter.h).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// Operation.
    pub code: u16,
    /// Instructions to skip when the comparison is true.
    pub jt: u8,
    /// Instructions to skip when it is false.
    pub jf: u8,
    /// Operand.
    pub k: u32,
}

/// A compiled profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// The program, at most 4096 instructions.
    pub program: Vec<Instruction>,
    /// SECCOMP_FILTER_FLAG_* for seccomp(2). NEW_LISTENER is among them exactly where `listener` is `Some`.
    pub flags: u32,
    /// Where the notification descriptor goes to, where the profile has SCMP_ACT_NOTIFY.
    pub listener: Option<Listener>,
    /// Names in the profile that no architecture of it has. The field's runtimes skip them too; they are to be logged.
    pub unknown_syscalls: Vec<String>,
}

/// `listenerPath` and `listenerMetadata`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Unix socket to which the container's state and the descriptor are sent.
    pub path: PathBuf,
    /// Passed on as it is.
    pub metadata: Option<String>,
}

/// An error of compiling a profile; each names the JSON path.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not done yet.
    #[error("linux.seccomp: not implemented")]
    NotImplemented,
}

/// Compiles `profile` for this machine.
///
/// `Ok(None)`: the profile allows everything and needs no filter.
pub fn compile(profile: &LinuxSeccomp) -> Result<Option<Filter>, Error> {
    let _ = profile;
    Err(Error::NotImplemented)
}

/// The profile that `RuntimeDefault` stands for, for a process whose bounding set is `capabilities` (`CAP_…`).
pub fn default_profile(capabilities: &[&str]) -> LinuxSeccomp {
    let _ = capabilities;
    LinuxSeccomp::default()
}
