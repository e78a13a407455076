//! Every message: who sends it, what answers it, which errors it has.
//!
//! Times are nanoseconds since the epoch. Unknown fields are ignored and missing optional fields take their default,
//! so that a daemon and a shim of different builds understand each other within one [`crate::VERSION`].

use crate::state::{Exit, State};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Daemon to shim: one call, answered by one [`Message::Reply`] of the same `id`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Chosen by the daemon, unique among its calls under way.
    pub id: u64,
    /// What to do.
    pub call: Call,
}

/// Shim to daemon.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Message {
    /// The call `id` succeeded.
    Reply {
        /// Id of the request.
        id: u64,
        /// Its answer.
        reply: Reply,
    },
    /// The call `id` failed; nothing of it was done unless the failure's text says so.
    Failed {
        /// Id of the request.
        id: u64,
        /// Why.
        failure: Failure,
    },
    /// Something happened by itself.
    Event(Event),
}

/// The daemon's calls. Any call may fail with [`FailureKind::Invalid`] (a field is wrong),
/// [`FailureKind::NotFound`] (no such container or exec) and [`FailureKind::Internal`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    /// First call on each connection; it subscribes the connection to events and unsubscribes the one before.
    /// Answer: [`Reply::Hello`]. Errors: `Version`.
    Hello {
        /// The daemon's [`crate::VERSION`].
        version: u32,
    },
    /// Makes and pins the pod's namespaces, writes its sysctls and starts the pause process if asked. Once per shim;
    /// the same call again answers the same. Answer: [`Reply::Pinned`]. Errors: `Invalid` (a sysctl that is not
    /// namespaced), `Runtime` (the pause container), `Timeout`.
    Pin(Pin),
    /// Runs the runtime's `create`. Answer: [`Reply::Created`]. Errors: `Exists`, `Runtime` (its last error as
    /// text), `Timeout`.
    Create(Create),
    /// Runs the runtime's `start`. Answer: [`Reply::Started`]. Errors: `State` (not created), `Runtime`, `Timeout`.
    /// A program that can't be executed fails here or exits at once with 126 or 127, as the runtime does it.
    Start {
        /// Container id.
        container: String,
    },
    /// Sends a signal. Answer: [`Reply::Done`], also when the process has just ended. The exit itself comes as
    /// [`Event::Exited`].
    Kill(Kill),
    /// Runs the runtime's `delete` and forgets the container and its execs. The exit record's file stays.
    /// Answer: [`Reply::Done`]. Errors: `State` (still running, without `force`), `Runtime`, `Timeout`.
    Delete {
        /// Container id.
        container: String,
        /// Kill it first if it runs.
        force: bool,
    },
    /// Starts a further process in a running container. Answer: [`Reply::Exec`], with the pty's master as the one
    /// descriptor if `terminal`. Its end comes as [`Event::Exited`]. Errors: `State` (container not running),
    /// `Exists`, `Runtime`, `Timeout`.
    Exec(Exec),
    /// Sets the size of a container's terminal. (An exec's terminal belongs to the daemon, see [`Call::Exec`].)
    /// Answer: [`Reply::Done`]. Errors: `State` (no terminal).
    Resize {
        /// Container id.
        container: String,
        /// Columns.
        width: u16,
        /// Rows.
        height: u16,
    },
    /// Closes the container's stdin: the program reads end of file. Answer: [`Reply::Done`].
    CloseStdin {
        /// Container id.
        container: String,
    },
    /// Joins a container's streams. Descriptors, in this order and only those announced: what the shim writes stdout
    /// to, and stderr. Output from now on is copied to them as well as to the log; one that is closed or whose reader
    /// is 1 MiB behind is dropped: the container is never held up. With `stdin` the answer carries a descriptor that
    /// the daemon writes to itself: the container's stdin pipe, or its terminal's master.
    /// Answer: [`Reply::Done`]; the shim closes its copies at the container's end. Errors: `State`.
    Attach {
        /// Container id.
        container: String,
        /// Ask for a descriptor of stdin.
        stdin: bool,
        /// A descriptor for stdout is passed.
        stdout: bool,
        /// A descriptor for stderr is passed.
        stderr: bool,
    },
    /// Opens the log file anew by its path (after a rename by log rotation). Everything read before the call is in
    /// the old file, whole lines only (lines that a full disk refused come to the new one). Answer: [`Reply::Done`]. Errors: `State` (no log), `Internal` (open failed;
    /// the shim goes on with the old file).
    ReopenLog {
        /// Container id.
        container: String,
    },
    /// Everything the shim knows. Answer: [`Reply::State`].
    State,
    /// Runs the runtime's `update` with OCI `LinuxResources` as JSON. Answer: [`Reply::Done`]. Errors: `State`,
    /// `Runtime`, `Timeout`.
    Update {
        /// Container id.
        container: String,
        /// OCI `LinuxResources`.
        resources: serde_json::Value,
    },
    /// Ends the shim: stops the pause process, unpins the namespaces, removes its directory. Answer: [`Reply::Done`],
    /// then the connection closes. Errors: `State` (containers are left, without `force`, which kills and deletes
    /// them), `Runtime` (one can't be deleted within a minute; the shim goes on serving).
    Shutdown {
        /// Kill and delete containers that are left.
        force: bool,
    },
}

/// A runtime's command line, before its sub-command.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runtime {
    /// Absolute path of the binary.
    pub binary: PathBuf,
    /// Global arguments, e.g. `["--root", "/run/husk/runtime"]`. The shim adds `--log` and `--log-format json`.
    #[serde(default)]
    pub args: Vec<String>,
}

/// See [`Call::Create`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Create {
    /// Container id, as the runtime gets it: 1 to 128 of `[A-Za-z0-9_.+-]`, not `.` or `..`.
    pub container: String,
    /// OCI bundle with its config.json.
    pub bundle: PathBuf,
    /// Log file in CRI format, made with mode 0640 if missing, appended to. None: output is read and dropped.
    #[serde(default)]
    pub log: Option<PathBuf>,
    /// Where the exit record goes. Its folder exists; the file is reserved now, so that a full disk can't lose it.
    pub record: PathBuf,
    /// config.json asks for a terminal.
    #[serde(default)]
    pub terminal: bool,
    /// Keep a stdin that [`Call::Attach`] can write to, until [`Call::CloseStdin`]; otherwise stdin is /dev/null.
    #[serde(default)]
    pub stdin: bool,
    /// This container's runtime. None: the one that the shim was started with.
    #[serde(default)]
    pub runtime: Option<Runtime>,
    /// Milliseconds that the runtime may take; 0: the shim's default (2 minutes).
    #[serde(default)]
    pub timeout_ms: u64,
}

/// Why a signal is sent: it becomes evidence in the exit record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// StopContainer's stop signal.
    Stop,
    /// The grace period ran out.
    Grace,
    /// The container or its pod is being removed.
    Removal,
    /// Somebody asked for this signal (`huskctl kill`, a probe's handler, …).
    Request,
}

/// See [`Call::Kill`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kill {
    /// Container id.
    pub container: String,
    /// An exec of the container; None: the container's init.
    #[serde(default)]
    pub exec: Option<String>,
    /// Signal number, 1 to 64.
    pub signal: u8,
    /// Every process of the container's cgroup, not init alone. Only with SIGKILL.
    #[serde(default)]
    pub all: bool,
    /// Why.
    pub why: StopReason,
}

/// See [`Call::Exec`]. Descriptors, in this order and only those announced: stdin, stdout, stderr (never with
/// `terminal`). One that is not passed is /dev/null. The program gets the descriptors themselves; nothing is copied
/// through the shim.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Exec {
    /// Container id.
    pub container: String,
    /// Id of this exec, unique within the container; same alphabet as container ids.
    pub exec: String,
    /// OCI `Process` as JSON.
    pub process: serde_json::Value,
    /// The process gets a terminal, whose master comes with the reply. Must agree with `process.terminal`.
    #[serde(default)]
    pub terminal: bool,
    /// A descriptor for stdin is passed.
    #[serde(default)]
    pub stdin: bool,
    /// A descriptor for stdout is passed.
    #[serde(default)]
    pub stdout: bool,
    /// A descriptor for stderr is passed.
    #[serde(default)]
    pub stderr: bool,
    /// Milliseconds after which the process and all its descendants are killed; 0: never.
    #[serde(default)]
    pub timeout_ms: u64,
    /// Where to write an exit record. None: the exit is told by event only (probes need no disk).
    #[serde(default)]
    pub record: Option<PathBuf>,
}

/// A namespace of the pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Namespace {
    /// Network.
    Net,
    /// System V IPC and POSIX message queues.
    Ipc,
    /// Hostname.
    Uts,
    /// Process ids: needs the pause process as PID 1.
    Pid,
    /// User ids: owned by the pause process, which then makes all the others.
    User,
}

/// One line of `uid_map` or `gid_map`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdMapping {
    /// First id inside.
    pub container: u32,
    /// First id on the host.
    pub host: u32,
    /// How many.
    pub size: u32,
}

/// See [`Call::Pin`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// Namespaces that the pod has for itself; the others are the host's.
    pub namespaces: Vec<Namespace>,
    /// Hostname, written in the UTS namespace if the pod has its own.
    #[serde(default)]
    pub hostname: Option<String>,
    /// Sysctls of the pod, dotted or with slashes. Only keys of a namespace that the pod has for itself.
    #[serde(default)]
    pub sysctls: BTreeMap<String, String>,
    /// Start the pause process even where no namespace needs it.
    #[serde(default)]
    pub pause: bool,
    /// cgroup path of the pause process (OCI `cgroupsPath`); None: the runtime's default.
    #[serde(default)]
    pub pause_cgroup: Option<String>,
    /// Mappings of the user namespace, if the pod has one.
    #[serde(default)]
    pub uid_mappings: Vec<IdMapping>,
    /// Mappings of the user namespace, if the pod has one.
    #[serde(default)]
    pub gid_mappings: Vec<IdMapping>,
}

/// Answer to [`Call::Pin`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pinned {
    /// File that each namespace is bound to, `<shim dir>/ns/<name>`: an OCI namespace `path`, and CNI's netns.
    pub namespaces: BTreeMap<Namespace, PathBuf>,
    /// The pause process.
    #[serde(default)]
    pub pause_pid: Option<i32>,
}

/// Answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// To `Hello`.
    Hello {
        /// The shim's [`crate::VERSION`].
        version: u32,
        /// The shim's process id.
        pid: i32,
    },
    /// To `Pin`.
    Pinned(Pinned),
    /// To `Create`.
    Created {
        /// The container's init, waiting for `Start`.
        pid: i32,
    },
    /// To `Start`.
    Started {
        /// When.
        started_at: i64,
    },
    /// To `Exec`.
    Exec {
        /// The process.
        pid: i32,
        /// When.
        started_at: i64,
    },
    /// To `State`.
    State(State),
    /// To all others.
    Done,
}

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// For programs.
    pub kind: FailureKind,
    /// One sentence for people.
    pub message: String,
    /// Exit code of the runtime, for kind `Runtime`. husk gives 127 (program not found) and 126 (not executable).
    #[serde(default)]
    pub code: Option<i32>,
}

/// Kinds of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The versions don't match.
    Version,
    /// A field has a bad value.
    Invalid,
    /// No such container or exec.
    NotFound,
    /// The id is taken.
    Exists,
    /// Not possible in the container's present state.
    State,
    /// The OCI runtime failed; the text is its own.
    Runtime,
    /// The OCI runtime took too long and was killed.
    Timeout,
    /// A kernel call of the shim failed.
    Internal,
}

/// Shim to daemon, unasked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A container's init or an exec ended, and its record, if it has one, is on disk.
    Exited {
        /// Container id.
        container: String,
        /// Exec id; None: the container's init.
        exec: Option<String>,
        /// How.
        exit: Exit,
    },
    /// The kernel's OOM killer was at work in the container's cgroup; the container may go on running.
    Oom {
        /// Container id.
        container: String,
        /// Processes killed since the container's start.
        kills: u64,
    },
    /// The pause process ended by itself: the pod is gone.
    PauseExited {
        /// How.
        exit: Exit,
    },
}
