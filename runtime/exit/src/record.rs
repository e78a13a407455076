//! The exit record: facts of one run, as they are kept on disk.

use serde::{Deserialize, Serialize};

use crate::WaitStatus;

/// Version that this husk writes. Readers accept any version: unknown fields are skipped, unknown words become `Other`.
pub const RECORD_VERSION: u32 = 1;

/// What is known about the end of one run of a container, or of one exec in it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ExitRecord {
    /// [`RECORD_VERSION`] of the writer.
    pub version: u32,
    /// Container id.
    pub id: String,
    /// Exec id, where the record is about a process that joined the container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exec_id: Option<String>,
    /// Pid in the PID namespace of the writer; 0 where no process was made.
    pub pid: u32,
    /// Start in nanoseconds since the epoch; 0 where it never started or is not known.
    pub started_ns: u64,
    /// End in nanoseconds since the epoch, or the time at which the end was found out ([`Outcome::Unknown`]).
    pub finished_ns: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// Signals that husk itself sent, oldest first. A signal that is not here came from elsewhere.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sent: Vec<SentSignal>,
    /// What the kernel said about OOM kills during this run; `None` where nothing was killed or nothing could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oom: Option<OomEvidence>,
    /// The system call for which seccomp killed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seccomp: Option<SeccompEvidence>,
    /// Forks that `pids.max` refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pids_max: Option<PidsMax>,
    /// CPU throttling by `cpu.max`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub throttling: Option<Throttling>,
    /// Resources used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rusage: Option<Rusage>,
    /// The last lines of output, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub log_tail: Vec<LogLine>,
    /// Limits on the evidence itself, in words: "/dev/kmsg is not readable".
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<String>,
}

impl ExitRecord {
    /// A record of this version about container `id` whose end is not known yet.
    pub fn new(id: impl Into<String>) -> Self {
        ExitRecord { version: RECORD_VERSION, id: id.into(), ..Self::default() }
    }

    /// The wait status, where there is one.
    pub fn status(&self) -> Option<WaitStatus> {
        match self.outcome {
            Outcome::Status { raw } => Some(WaitStatus::new(raw)),
            _ => None,
        }
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Outcome {
    /// The kernel gave a wait status (wait4(2), or PIDFD_INFO_EXIT).
    Status {
        /// As wait4(2) returns it.
        raw: i32,
    },
    /// The program was never executed.
    NotStarted {
        /// Why.
        failure: StartFailure,
    },
    /// Nobody saw the end.
    Unknown {
        /// Why nobody saw it.
        reason: UnknownReason,
    },
    /// A word of a newer husk.
    #[serde(other)]
    Other,
}

impl Default for Outcome {
    fn default() -> Self {
        Outcome::Unknown { reason: UnknownReason::NotRecorded }
    }
}

/// Why an end is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum UnknownReason {
    /// No record was written and nothing says why.
    NotRecorded,
    /// The process that waited for the container was killed, and the kernel no longer had the status.
    MonitorDied,
    /// The machine was started anew while the container ran.
    NodeRebooted,
    /// The record on disk is damaged.
    Damaged,
    /// Another program waited for the container: an engine, which was told the status and did not pass it on.
    WatchedElsewhere,
    /// A word of a newer husk.
    #[serde(other)]
    Other,
}

/// A signal that husk sent to the container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SentSignal {
    /// Signal number.
    pub signal: i32,
    /// When, in nanoseconds since the epoch.
    pub at_ns: u64,
    /// On whose behalf.
    pub cause: SignalCause,
}

/// Why husk sent a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SignalCause {
    /// The stop signal of a StopContainer call.
    Stop,
    /// The grace period of a stop was over.
    GraceExpired,
    /// The pod was stopped.
    PodStop,
    /// `husk kill`.
    Kill,
    /// `husk delete --force`, or removal of a running container.
    Delete,
    /// An exec ran longer than its timeout.
    Timeout,
    /// `husk run` passed on a signal that it had got itself.
    Forwarded,
    /// `husk checkpoint`, which ends what it has written to disk.
    Checkpoint,
    /// A startContainer or poststart hook failed.
    Hook,
    /// A word of a newer husk.
    #[serde(other)]
    Other,
}

/// OOM kills during the run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct OomEvidence {
    /// Whom the OOM killer killed.
    pub victim: OomVictim,
    /// Whose limit fired.
    pub scope: OomScope,
    /// `oom_kill` of memory.events.local (memory.events where there is no local file), grown by this during the run.
    pub kills: u64,
    /// `oom_group_kill` of memory.events, grown by this during the run.
    pub group_kills: u64,
    /// `max` of memory.events: how often the limit was met, grown by this during the run.
    pub max_hits: u64,
    /// memory.max in bytes; `None`: no limit, or not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// memory.peak in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak: Option<u64>,
    /// Name of the process that was killed (/dev/kmsg).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// Its pid in the machine's first PID namespace (/dev/kmsg).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Its anonymous memory in bytes (/dev/kmsg).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anon_rss: Option<u64>,
    /// Cgroup whose limit fired (/dev/kmsg).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit_cgroup: Option<String>,
}

/// Whom the OOM killer killed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OomVictim {
    /// The counters grew, but nothing says which process it was.
    #[default]
    NotKnown,
    /// The container's init (the exec's own process, in the record of an exec).
    Init,
    /// Another process of the container.
    Child,
    /// All of it (memory.oom.group).
    Group,
    /// A word of a newer husk.
    #[serde(other)]
    Other,
}

/// Whose memory limit fired.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OomScope {
    /// Nothing says whose.
    #[default]
    NotKnown,
    /// The container's own.
    Container,
    /// That of a cgroup above it: the pod's, the QoS class's, a slice's.
    Parent,
    /// The machine's memory was used up.
    Node,
    /// A word of a newer husk.
    #[serde(other)]
    Other,
}

/// A kill by seccomp.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SeccompEvidence {
    /// AUDIT_ARCH_* of the call.
    pub arch: u32,
    /// System call number.
    pub nr: u32,
    /// Name of the system call, where the number is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub syscall: Option<String>,
}

/// Forks that the pids controller refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PidsMax {
    /// `max` of pids.events, grown by this during the run.
    pub hits: u64,
    /// pids.max; `None`: none of its own, the refusal came from a cgroup above, or not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
}

/// CPU throttling, from cpu.stat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Throttling {
    /// Periods that elapsed.
    pub periods: u64,
    /// Periods in which it was throttled.
    pub throttled: u64,
    /// Time for which it was throttled, in microseconds.
    pub throttled_us: u64,
}

/// Resources used; of the cgroup where it is the container's, else of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Rusage {
    /// User time in microseconds.
    pub user_us: u64,
    /// System time in microseconds.
    pub system_us: u64,
    /// Largest resident set of one process among init and those that it waited for, in KiB (getrusage(2)), husk itself before
    /// it executed the program included; 0: not known.
    pub max_rss_kib: u64,
}

/// A line of output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogLine {
    /// Where it was written.
    pub stream: Stream,
    /// The line without its end; bytes that are no UTF-8 are replaced.
    pub text: String,
}

/// Output stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// A word of a newer husk.
    #[serde(other)]
    Other,
}

/// Why a program could not be started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct StartFailure {
    /// What is wrong.
    pub kind: StartFailureKind,
    /// The file, user or directory that it is about, as the container sees it.
    pub subject: String,
    /// The second name that the kind needs: the interpreter, the machine it was built for, the PATH that was searched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// errno of the call that failed; 0 where there was none.
    pub errno: i32,
}

/// What is wrong with a program that could not be started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StartFailureKind {
    /// No such file at the path (`subject`).
    NotFound,
    /// No such program (`subject`) in any directory of PATH (`detail`).
    NotInPath,
    /// A link on the way points to nothing (`detail`: its target).
    DanglingLink,
    /// It is a directory.
    IsDirectory,
    /// It has no execute permission for this user.
    NotExecutable,
    /// A directory on the way may not be searched by this user.
    PathDenied,
    /// It lies on a mount with noexec (`detail`: the mount point).
    NoexecMount,
    /// It is for another machine (`detail`: which).
    WrongArchitecture,
    /// The dynamic loader that it names (`detail`) is missing.
    MissingLoader,
    /// The interpreter of its `#!` line (`detail`) is missing.
    MissingInterpreter,
    /// Its `#!` line ends in CR LF (`detail`: the interpreter as the kernel reads it).
    CrlfShebang,
    /// It is neither a program of this machine nor has it a `#!` line.
    UnknownFormat,
    /// The file is empty.
    EmptyFile,
    /// The user (`subject`) is not in the image's /etc/passwd, or the group not in /etc/group.
    UserNotInImage,
    /// The working directory (`subject`) is missing.
    CwdMissing,
    /// The working directory (`subject`) may not be entered.
    CwdDenied,
    /// Arguments and environment are too long together.
    ArgumentsTooLong,
    /// Another step of the start failed; `subject` says which and how.
    #[default]
    Setup,
    /// A word of a newer husk.
    #[serde(other)]
    Other,
}
