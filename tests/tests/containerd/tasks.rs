//! Tasks of containerd: signals to one process and to all, events, terminals.

use crate::engine::Containerd;
use husk_tests::terminal::{in_resized_terminal, resize_watcher};
use husk_tests::{Bundle, wait_until};

#[test]
fn signals_to_init_and_to_one_exec() {
    let containerd = Containerd::new();
    let mut bundle =
        Bundle::script("trap 'echo hit >/tmp/hit' USR1; echo up >/tmp/up; while :; do sleep 0.1; done");
    containerd.run("box", &mut bundle, &["--detach"]).ok();
    let rootfs = bundle.rootfs();
    wait_until("the trap is set", || rootfs.join("tmp/up").exists());
    // To the runtime that is `kill --all`, which has meant nothing more since runc 1.2.
    containerd.ctr(&["task", "kill", "--all", "--signal", "USR1", "box"]).ok();
    wait_until("init has got the signal", || rootfs.join("tmp/hit").exists());
    assert_eq!(containerd.status("box"), "RUNNING");

    let script = "trap 'exit 5' TERM; echo up >/tmp/exec; while :; do sleep 0.1; done";
    containerd.ctr(&["task", "exec", "--detach", "--exec-id", "e", "box", "sh", "-c", script]).ok();
    wait_until("the exec runs", || rootfs.join("tmp/exec").exists());
    let list = || containerd.ctr(&["task", "ps", "box"]).ok().stdout;
    assert!(list().contains("ExecID:e"), "{}", list());
    containerd.ctr(&["task", "kill", "--exec-id", "e", "box"]).ok();
    wait_until("the exec has ended", || !list().contains("ExecID:e"));
    assert_eq!(containerd.status("box"), "RUNNING");
}

#[test]
fn events_of_a_life() {
    let containerd = Containerd::new();
    let events = containerd.events();
    let mut bundle = Bundle::new(&["sleep", "1000"]);
    containerd.run("box", &mut bundle, &["--detach"]).ok();
    containerd.ctr(&["task", "exec", "--exec-id", "e", "box", "sh", "-c", "exit 9"]).expect_code(9);
    containerd.ctr(&["task", "pause", "box"]).ok();
    containerd.ctr(&["task", "resume", "box"]).ok();
    containerd.ctr(&["task", "kill", "--signal", "KILL", "box"]).ok();
    wait_until("the task has ended", || containerd.status("box") == "STOPPED");
    containerd.ctr(&["task", "rm", "box"]).ok();
    wait_until("all is told", || events.topics("/tasks/").last().is_some_and(|last| last == "delete"));
    let wanted =
        ["create", "start", "exec-added", "exec-started", "exit", "paused", "resumed", "exit", "delete"];
    assert_eq!(events.topics("/tasks/"), wanted);
    for code in [9, 137] {
        assert!(events.has("/tasks/exit", &format!("\"exit_status\":{code}")), "{code}");
    }
}

#[test]
fn run_with_a_terminal_that_changes_its_size() {
    let containerd = Containerd::new();
    let mut bundle = Bundle::script(&resize_watcher("/tmp/first"));
    bundle.set("/process/terminal", true);
    let command = containerd.run_command("box", &mut bundle, &["--rm", "--tty"]);
    let done = in_resized_terminal(&command, &bundle.rootfs().join("tmp/first")).expect_code(6);
    assert!(done.stdout.contains("/dev/pts/0") && done.stdout.contains("changed"), "{done:?}");
}

#[test]
fn streams_to_nowhere_can_be_written() {
    let containerd = Containerd::new();
    // containerd's shim opens /dev/null for reading alone.
    let mut bundle =
        Bundle::script("echo nowhere; echo nowhere >&2; test \"$(stat -Lc %t,%T /proc/$$/fd/1)\" = 1,3");
    containerd.run("box", &mut bundle, &["--rm", "--null-io"]).ok();
}

/// husk has destroyed the container by the time the shim deletes it, runc leaves it stopped: all the same to containerd.
#[test]
fn a_start_that_a_hook_ends() {
    let containerd = Containerd::new();
    // runc's start succeeds where a startContainer hook has failed.
    let peer = std::env::var_os("RUNTIME").is_some();
    let points = [("poststart", "/bin/sh"), ("startContainer", "/bin/busybox")];
    for (point, program) in points.into_iter().take(if peer { 1 } else { 2 }) {
        let mut bundle = Bundle::new(&["sleep", "1000"]);
        let hook =
            serde_json::json!([{"path": program, "args": ["sh", "-c", "echo the reason >&2; exit 3"]}]);
        bundle.set("/hooks", serde_json::json!({point: hook}));
        for flags in [&["--detach"][..], &["--rm"]] {
            let done = containerd.run("box", &mut bundle, flags);
            assert!(done.code != 0 && done.stderr.contains("the reason"), "{point} {flags:?}: {done:?}");
            containerd.ctr(&["task", "rm", "--force", "box"]);
            wait_until("the task is gone", || containerd.status("box").is_empty());
            containerd.ctr(&["container", "rm", "box"]);
        }
    }
    assert_eq!(containerd.ctr(&["container", "ls", "--quiet"]).ok().text(), "");
}
