//! Ends by signals, and whose they were.

use crate::{Running, explain, run_and_explain, verdict};
use husk_tests::{Bundle, Runtime};
use rustix::process::{Pid, Signal, kill_process};

/// A program that a signal ends, once it is ready.
fn victim() -> Bundle {
    Bundle::script("touch /ready; exec sleep 100000")
}

/// A program that answers SIGTERM.
fn polite() -> Bundle {
    Bundle::script("trap 'exit 143' TERM; touch /ready; while :; do sleep 0.1; done")
}

fn pid(number: u32) -> Pid {
    Pid::from_raw(i32::try_from(number).unwrap()).unwrap()
}

#[test]
fn a_signal_of_husk_kill_is_told_as_that() {
    let runtime = Runtime::husk();
    let mut running = Running::new(&runtime, &victim());
    running.container.call("kill", &["KILL"]).ok();
    assert_eq!(running.end(), 137);
    let explained = explain(&running.container);
    verdict(&explained, "Error", 137, "Killed by SIGKILL, which husk sent: husk kill was called.");
    assert_eq!(explained["record"]["sent"][0]["signal"], 9);
}

#[test]
fn a_signal_from_elsewhere_is_told_as_that() {
    let runtime = Runtime::husk();
    let killed = Running::new(&runtime, &victim());
    check_outside_kill(killed, Signal::KILL, 9, "SIGKILL");
    for (signal, number, name) in [(Signal::SEGV, 11, "SIGSEGV"), (Signal::ABORT, 6, "SIGABRT")] {
        // In a PID namespace of its own the first process gets no signal that it has no handler for.
        let mut bundle = victim();
        bundle.without_namespace("pid");
        check_outside_kill(Running::new(&runtime, &bundle), signal, number, name);
    }
}

fn check_outside_kill(mut running: Running<'_>, signal: Signal, number: i32, name: &str) {
    kill_process(pid(running.container.pid()), signal).unwrap();
    assert_eq!(running.end(), 128 + number);
    let explained = explain(&running.container);
    verdict(&explained, "Error", i64::from(128 + number), &format!("Killed by {name}"));
    assert!(explained["message"].as_str().unwrap().contains("which husk did not send"), "{explained:#}");
}

#[test]
fn a_signal_that_husk_run_passes_on_is_told_as_that() {
    let runtime = Runtime::husk();
    let mut running = Running::new(&runtime, &polite());
    kill_process(pid(running.husk.id()), Signal::TERM).unwrap();
    assert_eq!(running.end(), 143);
    let words = "Exited with code 143 after SIGTERM (husk run got that signal and passed it on).";
    verdict(&explain(&running.container), "Error", 143, words);
}

#[test]
fn an_orderly_end_upon_a_signal_is_an_own_exit() {
    let runtime = Runtime::husk();
    let mut running = Running::new(&runtime, &polite());
    running.container.call("kill", &["TERM"]).ok();
    assert_eq!(running.end(), 143);
    verdict(
        &explain(&running.container),
        "Error",
        143,
        "Exited with code 143 after SIGTERM (husk kill was called).",
    );
}

#[test]
fn seccomp_kills_are_told_with_their_signal() {
    let runtime = Runtime::husk();
    let mut bundle = Bundle::new(&["mkdir", "/new"]);
    bundle.set(
        "/linux/seccomp",
        serde_json::json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_KILL_PROCESS"}]}),
    );
    let (husk, explained) = run_and_explain(&runtime, &bundle);
    assert_eq!(husk, 128 + 31);
    assert_eq!(explained["exitCode"], 159, "{explained:#}");
    let message = explained["message"].as_str().unwrap();
    // The name is in the kernel's log where it has the audit subsystem and no audit daemon takes the lines.
    assert!(
        message.contains("Killed by SIGSYS") || message.contains("does not allow the system call mkdir"),
        "{message}"
    );
}
