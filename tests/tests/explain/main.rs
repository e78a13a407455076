//! `husk explain`: every verdict from a real end of a real container.

mod kills;
mod memory;
mod own;
mod starts;
mod unwatched;

use husk_tests::{Bundle, Container, Runtime, unique};
use serde_json::Value;
use std::process::{Child, Command, Stdio};

/// `husk run --keep` in the background: a container that husk itself waits for.
struct Running<'a> {
    container: Container<'a>,
    husk: Child,
}

impl<'a> Running<'a> {
    /// Starts it and waits until the program says that it is there, by making the file `/ready`.
    fn new(runtime: &'a Runtime, bundle: &Bundle) -> Self {
        bundle.write();
        let container = Container::named(runtime, &unique("explain"));
        let husk = spawn(
            runtime.command().args(["run", "--keep", "--bundle"]).arg(bundle.path()).arg(&container.id),
        );
        let mut running = Running { container, husk };
        husk_tests::wait_until("the program is ready", || {
            assert!(running.husk.try_wait().unwrap().is_none(), "husk run ended early");
            bundle.rootfs().join("ready").exists()
        });
        running
    }

    /// Waits for the end; gives husk's exit code.
    fn end(&mut self) -> i32 {
        self.husk.wait().unwrap().code().unwrap_or(-1)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let _ = self.husk.kill();
        let _ = self.husk.wait();
    }
}

fn spawn(command: &mut Command) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// What `husk explain --json` says.
#[track_caller]
fn explain(container: &Container<'_>) -> Value {
    let done = container.call_with("explain", &["--json"], &[]).ok();
    serde_json::from_str(&done.stdout).unwrap()
}

/// Runs a bundle to its end with `--keep`, and explains it. Gives husk's exit code and the explanation.
#[track_caller]
fn run_and_explain(runtime: &Runtime, bundle: &Bundle) -> (i32, Value) {
    bundle.write();
    let container = Container::named(runtime, &unique("explain"));
    let mut command = runtime.command();
    let done =
        husk_tests::run(command.args(["run", "--keep", "--bundle"]).arg(bundle.path()).arg(&container.id));
    let explained = container.call_with("explain", &["--json"], &[]);
    assert_eq!(explained.code, 0, "{done:#?} {explained:#?}");
    (done.code, serde_json::from_str(&explained.stdout).unwrap())
}

/// Fails unless the verdict is this one.
#[track_caller]
fn verdict(explained: &Value, reason: &str, code: i64, words: &str) {
    let message = explained["message"].as_str().unwrap_or_default();
    assert_eq!(explained["reason"], reason, "{explained:#}");
    assert_eq!(explained["exitCode"], code, "{explained:#}");
    assert!(message.contains(words), "{message:?} has no {words:?}");
}
