//! OCI seccomp profiles compiled to BPF.
//!
//! [`compile`] turns `linux.seccomp` of config.json into the words that seccomp(2) takes. Nothing in a profile is dropped
//! in silence: what the machine does not know is listed in [`Filter::unknown_syscalls`] and
//! [`Filter::foreign_architectures`], anything else is an error.
//!
//! Read in this order: `model.rs` (what a profile means), `codegen.rs` (how BPF says it), `default.rs` (husk's own profile).

mod arch;
mod codegen;
mod default;
mod model;
mod table;

use std::path::PathBuf;

use oci_spec::runtime::{LinuxSeccomp, LinuxSeccompFilterFlag};

pub use arch::Abi;
pub use default::default_profile;

/// The kernel takes no longer program (linux/bpf_common.h: BPF_MAXINSNS).
pub const MAX_INSTRUCTIONS: usize = 4096;

// linux/seccomp.h: SECCOMP_FILTER_FLAG_*
const TSYNC: u32 = 1;
const LOG: u32 = 2;
const SPEC_ALLOW: u32 = 4;
const NEW_LISTENER: u32 = 8;
const TSYNC_ESRCH: u32 = 16;
const WAIT_KILLABLE_RECV: u32 = 32;

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
    /// The program, at most [`MAX_INSTRUCTIONS`] long.
    pub program: Vec<Instruction>,
    /// SECCOMP_FILTER_FLAG_* for seccomp(2). NEW_LISTENER is among them exactly where `listener` is `Some`.
    pub flags: u32,
    /// Where the notification descriptor goes to, where the profile has SCMP_ACT_NOTIFY.
    pub listener: Option<Listener>,
    /// Names in the profile that no architecture has. The field's runtimes skip them too; they are to be logged.
    pub unknown_syscalls: Vec<String>,
    /// Architectures in the profile whose programs this machine cannot run. A call from one would be killed.
    pub foreign_architectures: Vec<String>,
}

/// `listenerPath` and `listenerMetadata`.
///
/// write(2) is never notified (that is an error of [`compile`]), so the process that loads the filter can still tell its
/// parent the number of the descriptor; the parent takes it by pidfd_getfd(2).
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
    /// husk has no table of system calls for this machine.
    #[error("linux.seccomp: husk does not know the system calls of {0}")]
    Machine(&'static str),
    /// An errno or trace value that does not fit.
    #[error("{path}: {value} is more than the {max} that a {what} action can return")]
    BadErrno {
        /// JSON path.
        path: String,
        /// "default" or "rule".
        what: &'static str,
        /// The value.
        value: u32,
        /// The largest one.
        max: u32,
    },
    /// A rule about nothing.
    #[error("linux.seccomp.syscalls[{rule}].names: must name at least one system call")]
    NoNames {
        /// Index of the rule.
        rule: usize,
    },
    /// A rule with an empty name in it.
    #[error("linux.seccomp.syscalls[{rule}].names: contains an empty string")]
    EmptyName {
        /// Index of the rule.
        rule: usize,
    },
    /// A system call has six arguments.
    #[error(
        "linux.seccomp.syscalls[{rule}].args[{arg}].index: {index} is no argument of a system call (0 to 5)"
    )]
    BadIndex {
        /// Index of the rule.
        rule: usize,
        /// Index of the condition.
        arg: usize,
        /// What stands there.
        index: usize,
    },
    /// The process that loads the filter must be able to write.
    #[error(
        "linux.seccomp.syscalls[{rule}]: SCMP_ACT_NOTIFY cannot be used for the write syscall, the container would hang at its start"
    )]
    NotifyOfWrite {
        /// Index of the rule.
        rule: usize,
    },
    /// The same for all calls.
    #[error(
        "linux.seccomp.defaultAction: SCMP_ACT_NOTIFY cannot be the default, the container would hang at its start"
    )]
    NotifyByDefault,
    /// Only SCMP_ACT_ERRNO and SCMP_ACT_TRACE return a number.
    #[error("{path}: {value} is of no use, {action} returns no error number")]
    ErrnoOfNoUse {
        /// Where it stands.
        path: String,
        /// The number.
        value: u32,
        /// The action's name.
        action: String,
    },
    /// Nobody to notify.
    #[error("linux.seccomp.listenerPath: must be set where a rule has SCMP_ACT_NOTIFY")]
    NoListener,
    /// Nothing to be notified of.
    #[error("linux.seccomp.listenerMetadata: makes no sense without listenerPath")]
    NothingToNotify,
    /// Longer than the kernel takes.
    #[error(
        "linux.seccomp: the profile needs {0} BPF instructions, the kernel takes at most {MAX_INSTRUCTIONS}"
    )]
    TooLong(usize),
}

/// Compiles `profile` for this machine.
pub fn compile(profile: &LinuxSeccomp) -> Result<Filter, Error> {
    let native = Abi::native().ok_or(Error::Machine(std::env::consts::ARCH))?;
    compile_for(profile, native)
}

/// Compiles `profile` for a machine whose own ABI is `native`.
pub fn compile_for(profile: &LinuxSeccomp, native: Abi) -> Result<Filter, Error> {
    // The machine's own is always there: a profile that lists others only would kill everything.
    let mut abis = vec![native];
    let mut foreign = Vec::new();
    for arch in profile.architectures().iter().flatten() {
        match Abi::from_oci(*arch, native) {
            Some(abi) if abi.runs_on(native) => abis.push(abi),
            _ => foreign.push(arch.to_string()),
        }
    }
    abis.sort();
    abis.dedup();

    let model = model::Model::new(profile, &abis)?;
    let listener = listener(profile, model.notifies)?;
    let program = codegen::generate(&model);
    if program.len() > MAX_INSTRUCTIONS {
        return Err(Error::TooLong(program.len()));
    }
    let flags = flags(profile, listener.is_some());
    Ok(Filter { program, flags, listener, unknown_syscalls: model.unknown, foreign_architectures: foreign })
}

fn listener(profile: &LinuxSeccomp, notifies: bool) -> Result<Option<Listener>, Error> {
    // An empty path is what tools write that mean none.
    let path = profile.listener_path().as_ref().filter(|p| !p.as_os_str().is_empty());
    let metadata = profile.listener_metadata().clone().filter(|m| !m.is_empty());
    match (notifies, path) {
        (true, Some(path)) => Ok(Some(Listener { path: path.clone(), metadata })),
        (true, None) => Err(Error::NoListener),
        // Its agent has nothing to hear of (config-linux.md, "listenerPath": where SCMP_ACT_NOTIFY is used).
        (false, Some(_)) => Ok(None),
        (false, None) if metadata.is_some() => Err(Error::NothingToNotify),
        (false, None) => Ok(None),
    }
}

fn flags(profile: &LinuxSeccomp, listener: bool) -> u32 {
    use LinuxSeccompFilterFlag as F;
    let mut flags = match profile.flags() {
        // As runc does: no list at all means that, an empty list means none.
        None => SPEC_ALLOW,
        Some(list) => list.iter().fold(0, |all, flag| {
            all | match flag {
                F::SeccompFilterFlagTsync => TSYNC,
                F::SeccompFilterFlagLog => LOG,
                F::SeccompFilterFlagSpecAllow => SPEC_ALLOW,
                F::SeccompFilterFlagWaitKillableRecv => WAIT_KILLABLE_RECV,
            }
        }),
    };
    if listener {
        flags |= NEW_LISTENER;
        if flags & TSYNC != 0 {
            // Without it the return value of seccomp(2) could be a descriptor or a thread.
            flags |= TSYNC_ESRCH;
        }
    } else {
        // EINVAL for the kernel where there is no listener.
        flags &= !WAIT_KILLABLE_RECV;
    }
    flags
}

#[cfg(test)]
mod interpreter;
#[cfg(test)]
mod tests;
