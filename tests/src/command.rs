//! Running programs with their output captured and a limit on their time.

use crate::in_vm;
use std::io::{Read, Seek};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How a program ended and what it wrote.
#[derive(Debug)]
pub struct Done {
    /// The command line, for messages.
    pub line: String,
    /// Exit code, or 128+n for signal n, as a shell has it.
    pub code: i32,
    /// The whole standard output.
    pub stdout: String,
    /// The whole standard error.
    pub stderr: String,
}

impl Done {
    /// Fails the test unless the program ended with 0.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.expect_code(0)
    }

    /// Fails the test unless the program ended with `code`.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(
            self.code, code,
            "{}\n--- stdout\n{}\n--- stderr\n{}",
            self.line, self.stdout, self.stderr
        );
        self
    }

    /// Standard output without the white space around it.
    pub fn text(&self) -> &str {
        self.stdout.trim()
    }
}

/// Exit code as a shell has it.
pub fn code_of(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

/// Runs a program to its end, at most two minutes (ten in the VM), and captures its output.
///
/// Output goes through files, so a background process that keeps them open holds up nobody. Standard input is an empty
/// file and not `/dev/null`: crun gives a container's standard input to the container's user, and the machine's own
/// `/dev/null` must not change hands. The caller's choice of stdin stays if it made one through [`run_with_stdin`].
#[track_caller]
pub fn run(command: &mut Command) -> Done {
    let empty = tempfile::tempfile().expect("a temporary file");
    run_with_stdin(command, Stdio::from(empty))
}

/// [`run`] with a standard input of the caller's.
#[track_caller]
pub fn run_with_stdin(command: &mut Command, stdin: Stdio) -> Done {
    let mut stdout = tempfile::tempfile().expect("a temporary file");
    let mut stderr = tempfile::tempfile().expect("a temporary file");
    let line = format!("{command:?}");
    let mut child = command
        .stdin(stdin)
        .stdout(stdout.try_clone().expect("dup"))
        .stderr(stderr.try_clone().expect("dup"))
        .spawn()
        .unwrap_or_else(|error| panic!("{line}: {error}"));
    let limit = Duration::from_secs(if in_vm() { 600 } else { 120 });
    let begin = Instant::now();
    let (status, late) = loop {
        if let Some(status) = child.try_wait().expect("wait") {
            break (status, false);
        }
        if begin.elapsed() > limit {
            let _ = child.kill();
            break (child.wait().expect("wait"), true);
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let done = Done { line, code: code_of(status), stdout: text(&mut stdout), stderr: text(&mut stderr) };
    assert!(!late, "took longer than {} s: {done:#?}", limit.as_secs());
    done
}

fn text(file: &mut std::fs::File) -> String {
    let mut bytes = Vec::new();
    file.rewind().expect("rewind");
    file.read_to_end(&mut bytes).expect("read");
    String::from_utf8_lossy(&bytes).into_owned()
}
