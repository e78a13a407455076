//! `kill`: signals.

use super::{idle, same};
use husk_tests::{Bundle, Container, Runtime, run, wait_until};

/// No HUP and INT among them: a caller that ignores them (nohup, a shell's `&`) passes that on to some runtimes' containers, and
/// a shell cannot trap what it was started to ignore. Says by a file when it can be signalled, and by another which signals it got.
const LOOP: &str = "for s in TERM USR1 USR2 ALRM; do trap \"echo $s >>/got\" $s; done; : >/ready; while :; do sleep 0.05; done";

fn listening(runtime: &Runtime) -> Container<'_> {
    let bundle = Bundle::script(LOOP);
    let container = runtime.start_owned(bundle);
    wait_until("the traps are set", || container.bundle().rootfs().join("ready").exists());
    container
}

fn got(bundle: &Bundle, signal: &str) {
    let read = || std::fs::read_to_string(bundle.rootfs().join("got")).unwrap_or_default();
    wait_until(&format!("{signal} arrives"), || read().ends_with(&format!("{signal}\n")));
}

#[test]
fn term_where_no_signal_is_named() {
    let runtime = Runtime::new();
    let container = listening(&runtime);
    let bundle = container.bundle();
    container.call("kill", &[]).ok();
    got(bundle, "TERM");
}

#[test]
fn signals_by_name_with_and_without_sig() {
    let runtime = Runtime::new();
    let container = listening(&runtime);
    let bundle = container.bundle();
    for (name, signal) in [("USR2", "USR2"), ("SIGUSR1", "USR1"), ("SIGALRM", "ALRM")] {
        container.call("kill", &[name]).ok();
        got(bundle, signal);
    }
}

#[test]
fn signals_by_number() {
    let runtime = Runtime::new();
    let container = listening(&runtime);
    let bundle = container.bundle();
    for (number, signal) in [("12", "USR2"), ("10", "USR1"), ("14", "ALRM")] {
        container.call("kill", &[number]).ok();
        got(bundle, signal);
    }
}

#[test]
fn kill_ends_the_container() {
    let runtime = Runtime::new();
    let container = idle(&runtime, same);
    container.call("kill", &["KILL"]).ok();
    container.wait_for("stopped");
}

#[test]
fn a_created_container_can_be_killed() {
    let runtime = Runtime::new();
    let bundle = Bundle::new(&["true"]);
    let container = runtime.create(&bundle);
    container.call("kill", &["KILL"]).ok();
    container.wait_for("stopped");
}

#[test]
fn a_signal_that_there_is_not_is_an_error() {
    let runtime = Runtime::new();
    let container = idle(&runtime, same);
    for signal in ["NOPE", "SIGNOPE", "4096"] {
        assert_ne!(container.call("kill", &[signal]).code, 0, "{signal}");
    }
    assert_eq!(container.status(), "running");
}

#[test]
fn of_a_stopped_container_is_an_error() {
    let runtime = Runtime::new();
    let bundle = Bundle::new(&["true"]);
    let container = runtime.start(&bundle);
    container.wait_for("stopped");
    assert_ne!(container.call("kill", &["TERM"]).code, 0);
    assert_ne!(container.call("kill", &["KILL"]).code, 0);
}

#[test]
fn of_no_container_is_an_error() {
    let runtime = Runtime::new();
    assert_ne!(Container::named(&runtime, "husk-nobody").call("kill", &["KILL"]).code, 0);
    assert_ne!(run(runtime.command().arg("kill")).code, 0);
}

#[test]
fn all_reaches_the_first_process_and_is_no_error_where_there_is_none() {
    // What older ones did more, to send it to every process, is obsolete in runc since 1.2.
    let runtime = Runtime::new();
    if !runtime.needs_groups() {
        return;
    }
    let container = listening(&runtime);
    let bundle = container.bundle();
    container.call_with("kill", &["--all"], &["USR1"]).ok();
    got(bundle, "USR1");
    container.call("kill", &["KILL"]).ok();
    container.wait_for("stopped");
    container.call_with("kill", &["--all"], &["KILL"]).ok();
}

#[test]
fn without_a_pid_namespace_kill_still_ends_all() {
    // Nobody but the runtime would: the kernel ends only a namespace of its own.
    let runtime = Runtime::new();
    if !runtime.needs_groups() {
        return;
    }
    let mut bundle = Bundle::script("setsid sleep 100000 & echo $! >/child; exec sleep 100000");
    bundle.without_namespace("pid");
    let container = runtime.start(&bundle);
    let child =
        || std::fs::read_to_string(bundle.rootfs().join("child")).unwrap_or_default().trim().to_owned();
    wait_until("the child runs", || !child().is_empty());
    container.call("kill", &["KILL"]).ok();
    container.wait_for("stopped");
    container.call_with("delete", &["--force"], &[]).ok();
    let alive = || {
        std::fs::read_to_string(format!("/proc/{}/stat", child()))
            .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or_default().starts_with(" Z"))
    };
    wait_until("the child has ended", || !alive());
}

#[test]
fn a_paused_container_can_be_killed() {
    let runtime = Runtime::new();
    if !runtime.needs_groups() {
        return;
    }
    let container = idle(&runtime, same);
    container.call("pause", &[]).ok();
    container.call("kill", &["KILL"]).ok();
    container.wait_for("stopped");
}
