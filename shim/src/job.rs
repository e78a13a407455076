//! Runtime processes under way. The loop never waits for one: a runtime that hangs delays only what asked for it.

use crate::oom_score as oom;
use husk_shim_api::{Failure, FailureKind, Runtime};
use rustix::process::{Pid, Signal};
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long a runtime may take where the call doesn't say.
pub const TIMEOUT: Duration = Duration::from_secs(120);

/// How long what nobody waits for may take.
pub const TIDY_TIMEOUT: Duration = Duration::from_secs(10);

/// Who asked: answered when the job is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// Slot of the connection.
    pub connection: u32,
    /// Id of the request.
    pub id: u64,
}

/// What a runtime process was started for. Numbers are containers' and execs' slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// `create` of a container.
    Create(u32),
    /// `start` of it.
    Start(u32),
    /// `delete` of it.
    Delete(u32),
    /// `update` of it.
    Update(u32),
    /// `exec` in a container.
    Exec(u32, u32),
    /// The helper that makes the pod's namespaces.
    Namespaces,
    /// `create` of the pause container.
    PauseCreate,
    /// `start` of the pause container.
    PauseStart,
    /// `delete` of the pause container.
    PauseDelete,
    /// Tidying up after a failure; nobody waits for it.
    Tidy,
}

impl Task {
    /// The runtime makes a process that will be ours before it tells us its pid.
    pub fn makes_process(self) -> bool {
        matches!(self, Self::Create(_) | Self::Exec(..) | Self::PauseCreate)
    }
}

/// A runtime process.
#[derive(Debug)]
pub struct Job {
    /// What for.
    pub task: Task,
    /// Who is answered, if anybody.
    pub caller: Option<Caller>,
    /// The process; also the leader of its process group.
    pub pid: Pid,
    /// Killed at this time.
    pub deadline: Instant,
    /// Killed since it took too long.
    pub timed_out: bool,
    /// What went into the failure's sentence: "runc create".
    pub name: String,
    /// The runtime's `--log`, and its stderr where that is not the container's.
    pub log: PathBuf,
    /// Given to the runtime and removed with the job: pid file, process file, console socket.
    pub files: Vec<PathBuf>,
}

/// The three standard descriptors of a runtime process.
#[derive(Debug)]
pub struct Stdio3 {
    /// None: /dev/null.
    pub stdin: Option<Stdio>,
    /// None: /dev/null.
    pub stdout: Option<Stdio>,
    /// None: the job's log file.
    pub stderr: Option<Stdio>,
}

impl Stdio3 {
    /// No streams.
    pub const NONE: Self = Self { stdin: None, stdout: None, stderr: None };
}

/// Starts `program args` in a process group of its own.
pub fn spawn(program: &Path, args: &[OsString], log: &Path, stdio: Stdio3) -> io::Result<Pid> {
    let log_file = OpenOptions::new().create(true).append(true).mode(0o600).open(log)?;
    let _usual = oom::Usual::for_child();
    let child = Command::new(program)
        .args(args)
        .stdin(stdio.stdin.unwrap_or_else(Stdio::null))
        .stdout(stdio.stdout.unwrap_or_else(Stdio::null))
        .stderr(stdio.stderr.unwrap_or_else(|| log_file.into()))
        .process_group(0)
        .spawn()?;
    Ok(Pid::from_child(&child))
}

/// The runtime's arguments: its own global ones, where to log, then the sub-command's.
pub fn runtime_args<const N: usize>(runtime: &Runtime, log: &Path, command: [&str; N]) -> Vec<OsString> {
    let mut args: Vec<OsString> = runtime.args.iter().map(OsString::from).collect();
    args.push("--log".into());
    args.push(log.into());
    args.extend(["--log-format", "json"].map(OsString::from));
    args.extend(command.map(OsString::from));
    args
}

/// `runc create`.
pub fn name(program: &Path, command: &str) -> String {
    let program = program.file_name().unwrap_or_default().to_string_lossy();
    format!("{program} {command}")
}

impl Job {
    /// Kills the process and its group; the exit comes by SIGCHLD.
    pub fn kill(&mut self) {
        self.timed_out = true;
        let _ = rustix::process::kill_process_group(self.pid, Signal::KILL);
        // A second try soon, should the process have left its group.
        let _ = rustix::process::kill_process(self.pid, Signal::KILL);
        self.deadline = Instant::now() + Duration::from_secs(5);
    }

    /// What a wait status of the runtime means.
    pub fn result(&self, status: i32) -> Result<(), Failure> {
        if self.timed_out {
            return Err(Failure {
                kind: FailureKind::Timeout,
                message: format!("{} took too long and was killed", self.name),
                code: None,
            });
        }
        if status == 0 {
            return Ok(());
        }
        let (signal, code) = (status & 0x7f, (status >> 8) & 0xff);
        let how = if signal == 0 { format!("exit code {code}") } else { format!("signal {signal}") };
        let message = match last_error(&self.log) {
            Some(text) => text,
            None => format!("{} ended with {how} and said nothing", self.name),
        };
        Err(Failure { kind: FailureKind::Runtime, message, code: (signal == 0).then_some(code) })
    }

    /// Removes what was made for the job.
    pub fn tidy(&self) {
        for file in self.files.iter().chain([&self.log]) {
            let _ = std::fs::remove_file(file);
        }
    }
}

/// The last error in a runtime's log: the `msg` of the last JSON line of level error or above, else the last line that
/// is no JSON (a panic, a usage text).
fn last_error(path: &Path) -> Option<String> {
    const MAX: u64 = 64 * 1024;
    let mut file = File::open(path).ok()?;
    let len = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(len.saturating_sub(MAX))).ok()?;
    let mut bytes = Vec::new();
    file.take(MAX).read_to_end(&mut bytes).ok()?;
    error_of(&String::from_utf8_lossy(&bytes))
}

fn error_of(text: &str) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Line {
        #[serde(default)]
        level: String,
        #[serde(default)]
        msg: String,
    }
    let mut plain = None;
    for line in text.lines().rev().map(str::trim).filter(|line| !line.is_empty()) {
        match serde_json::from_str::<Line>(line) {
            Ok(entry)
                if matches!(entry.level.as_str(), "error" | "fatal" | "panic") && !entry.msg.is_empty() =>
            {
                return Some(shorten(&entry.msg));
            }
            Ok(_) => {}
            Err(_) if plain.is_none() => plain = Some(shorten(line)),
            Err(_) => {}
        }
    }
    plain
}

/// One line of at most 2,000 characters: it becomes a status message.
fn shorten(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(2000).collect()
}

#[cfg(test)]
mod tests {
    use super::error_of;

    #[test]
    fn the_last_error_is_found() {
        let log = r#"{"level":"error","msg":"first","time":"x"}
{"level":"error","msg":"exec: \"nope\": not found","time":"x"}
{"level":"warning","msg":"later, and no error"}
"#;
        assert_eq!(error_of(log).as_deref(), Some("exec: \"nope\": not found"));
        assert_eq!(error_of("{\"level\":\"info\",\"msg\":\"x\"}\npanic: a\nb\n").as_deref(), Some("b"));
        assert_eq!(error_of("{\"level\":\"info\",\"msg\":\"x\"}\n"), None);
        assert_eq!(error_of(&format!("{}\u{1b}[31m", "x".repeat(5000))).unwrap().len(), 2000);
    }
}
