//! What can go wrong with a group, each with the object and the kernel's answer.

use std::io;
use std::path::{Path, PathBuf};

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// A failed operation on a cgroup. The text is complete: it names the call, the object and the errno.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither `/sys/fs/cgroup` nor another mount point of this mount namespace is a cgroup2 file system.
    #[error(
        "no cgroup2 file system is mounted (looked at /sys/fs/cgroup, /sys/fs/cgroup/unified and /proc/self/mountinfo)"
    )]
    NoHierarchy,
    /// A call on a file or directory of the hierarchy failed.
    #[error("{call} {}: {errno}", path.display())]
    Call {
        /// The system call, by name.
        call: &'static str,
        /// What it was called on.
        path: PathBuf,
        /// The kernel's answer.
        errno: io::Error,
    },
    /// The kernel refused a value.
    #[error("{field}: write {value:?} to {}: {errno}{hint}", path.display())]
    Write {
        /// The spec's field that asked for it, for example `linux.resources.cpu.quota`.
        field: String,
        /// What was written.
        value: String,
        /// The file.
        path: PathBuf,
        /// The kernel's answer.
        errno: io::Error,
        /// What usually is the cause; starts with a separator, or is empty.
        hint: String,
    },
    /// A limit was asked for whose controller this group does not have.
    #[error("{field} needs the {controller} controller, which {} does not have: {reason}", path.display())]
    NoController {
        /// The spec's field that asked for it.
        field: String,
        /// The controller's name.
        controller: String,
        /// The group.
        path: PathBuf,
        /// Where the controller is instead, or what is in the way.
        reason: String,
    },
    /// The kernel has the controller, but not this file.
    #[error("{field}: {} does not exist: {reason}", path.display())]
    NoFile {
        /// The spec's field that asked for it.
        field: String,
        /// The missing file.
        path: PathBuf,
        /// What is known about it.
        reason: String,
    },
    /// A value that cannot be meant.
    #[error("{field}: {reason}")]
    Invalid {
        /// The spec's field.
        field: String,
        /// What is wrong with its value.
        reason: String,
    },
    /// `cgroupsPath` cannot be a group.
    #[error("linux.cgroupsPath: {value:?} {reason}")]
    Path {
        /// The value.
        value: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A new container's group exists and has processes in it.
    #[error("the container's cgroup is not empty: {} is in use by {count} process{} (first: pid {first})", path.display(), if *count == 1 { "" } else { "es" })]
    NotEmpty {
        /// The group.
        path: PathBuf,
        /// How many processes it has.
        count: usize,
        /// One of them.
        first: u32,
    },
    /// A new container's group exists and is frozen: a process started in it would never run.
    #[error("found the container's cgroup unexpectedly frozen: {} exists already, and nothing would run in it", path.display())]
    Frozen {
        /// The group.
        path: PathBuf,
    },
    /// The group cannot hold processes and controllers together.
    #[error("cgroup {} is of type {kind:?}: one of its ancestors is threaded or has processes of its own", path.display())]
    Type {
        /// The group.
        path: PathBuf,
        /// Contents of `cgroup.type`.
        kind: String,
    },
    /// The kernel did not reach the state in time.
    #[error("cgroup {} was not {wanted} after {seconds} s{detail}", path.display())]
    Timeout {
        /// The group.
        path: PathBuf,
        /// The state waited for.
        wanted: &'static str,
        /// How long.
        seconds: u64,
        /// Which processes are in the way; starts with a separator, or is empty.
        detail: String,
    },
    /// A file of the hierarchy did not read as the kernel documents it.
    #[error("{}: cannot read {text:?} as {wanted}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// The text.
        text: String,
        /// What it should be.
        wanted: &'static str,
    },
    /// The device program could not be loaded or attached.
    #[error("linux.resources.devices: {step} for cgroup {}: {errno}", path.display())]
    Devices {
        /// Which step failed.
        step: &'static str,
        /// The group.
        path: PathBuf,
        /// The kernel's answer.
        errno: io::Error,
    },
    /// There is no systemd to ask, or it cannot be spoken to.
    #[error("systemd: {reason}")]
    NoSystemd {
        /// What is in the way.
        reason: String,
    },
    /// systemd has said no.
    #[error("systemd: {call} {unit}: {reason}")]
    Systemd {
        /// The method of its D-Bus interface.
        call: &'static str,
        /// The unit it was about.
        unit: String,
        /// Its answer.
        reason: String,
    },
}

impl Error {
    pub(crate) fn call(call: &'static str, path: &Path, errno: impl Into<io::Error>) -> Self {
        Self::Call { call, path: path.to_path_buf(), errno: errno.into() }
    }

    /// The errno, where the kernel gave one.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Call { errno, .. } | Self::Write { errno, .. } | Self::Devices { errno, .. } => {
                errno.raw_os_error()
            }
            _ => None,
        }
    }

    /// Whether the caller lacks the right to do this: what an ordinary user without a delegated group gets.
    pub fn is_permission(&self) -> bool {
        use rustix::io::Errno;
        let denied = [Errno::ACCESS, Errno::PERM, Errno::ROFS].map(Errno::raw_os_error);
        self.errno().is_some_and(|e| denied.contains(&e))
    }
}
