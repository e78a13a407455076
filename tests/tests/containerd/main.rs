//! containerd with its own runc shim and husk as the shim's binary. `RUNTIME=/usr/sbin/runc` runs the same on a peer.

mod engine;
mod image;
mod tasks;

use engine::Containerd;
use husk_tests::{Bundle, wait_until};

#[test]
fn output_and_exit_codes_of_run() {
    let containerd = Containerd::new();
    let done = containerd.run("hello", &mut Bundle::new(&["echo", "hello"]), &["--rm"]).ok();
    assert_eq!(done.text(), "hello");
    for code in [1, 3, 255] {
        let mut bundle = Bundle::script(&format!("exit {code}"));
        containerd.run(&format!("exit-{code}"), &mut bundle, &["--rm"]).expect_code(code);
    }
}

#[test]
fn exec_in_a_running_container() {
    let containerd = Containerd::new();
    let mut bundle = Bundle::new(&["sleep", "1000"]);
    containerd.run("box", &mut bundle, &["--detach"]).ok();
    let exec = |id: &str, script: &str| {
        containerd.ctr(&["task", "exec", "--exec-id", id, "box", "sh", "-c", script])
    };
    assert_eq!(exec("one", "echo inside").ok().text(), "inside");
    exec("two", "exit 9").expect_code(9);
    assert_eq!(exec("three", "hostname").ok().text(), "husk");
    let done = containerd.ctr(&["task", "exec", "--exec-id", "four", "box", "no-such-program"]);
    assert_ne!(done.code, 0);
    assert!(done.stderr.contains("no-such-program"), "{done:?}");
}

#[test]
fn pause_resume_processes_kill_and_delete() {
    let containerd = Containerd::new();
    let mut bundle = Bundle::new(&["sleep", "1000"]);
    containerd.run("box", &mut bundle, &["--detach"]).ok();
    assert_eq!(containerd.status("box"), "RUNNING");
    containerd.ctr(&["task", "pause", "box"]).ok();
    assert_eq!(containerd.status("box"), "PAUSED");
    containerd.ctr(&["task", "resume", "box"]).ok();
    assert_eq!(containerd.status("box"), "RUNNING");
    assert_eq!(containerd.ctr(&["task", "ps", "box"]).ok().stdout.lines().count(), 2);
    containerd.ctr(&["task", "kill", "--signal", "KILL", "box"]).ok();
    wait_until("the task has ended", || containerd.status("box") == "STOPPED");
    let done = containerd.ctr(&["task", "rm", "box"]).ok();
    assert!(done.stderr.contains("exit code 137"), "{done:?}");
    containerd.ctr(&["container", "rm", "box"]).ok();
    assert_eq!(containerd.ctr(&["task", "ls", "--quiet"]).ok().text(), "");
}

#[test]
fn a_program_that_is_missing_is_named() {
    let containerd = Containerd::new();
    let done = containerd.run("typo", &mut Bundle::new(&["no-such-program"]), &["--rm"]);
    assert_ne!(done.code, 0);
    assert!(done.stderr.contains("no-such-program"), "{done:?}");
}

#[test]
fn a_terminal() {
    let containerd = Containerd::new();
    let mut bundle = Bundle::new(&["sleep", "1000"]);
    containerd.run("box", &mut bundle, &["--detach"]).ok();
    // Output of so short an exec is at times lost by ctr, below runc as well: what it sees goes to a file.
    let script = "test -t 1 && tty >/tmp/seen";
    let command = containerd.command(&["task", "exec", "--tty", "--exec-id", "t", "box", "sh", "-c", script]);
    husk_tests::terminal::in_terminal(&command).ok();
    assert_eq!(std::fs::read_to_string(bundle.rootfs().join("tmp/seen")).unwrap(), "/dev/pts/0\n");
}
