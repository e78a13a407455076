//! The exit code of `run` and `exec` is the program's.

use super::{idle, same};
use husk_tests::{Bundle, Container, Runtime, run, unique, wait_until};
use std::process::{Command, Stdio};

#[test]
fn those_of_run() {
    let runtime = Runtime::new();
    for (script, code) in [("exit 0", 0), ("exit 1", 1), ("exit 3", 3), ("exit 126", 126), ("exit 255", 255)]
    {
        runtime.run(&Bundle::script(script)).expect_code(code);
    }
}

#[test]
fn a_negative_one_is_255() {
    // As a C program's exit(-1).
    Runtime::new().run(&Bundle::script("exec busybox awk 'BEGIN { exit -1 }'")).expect_code(255);
}

#[test]
fn a_signal_is_128_and_its_number() {
    let runtime = Runtime::new();
    for (signal, code) in [("TERM", 143), ("KILL", 137), ("SEGV", 139), ("ABRT", 134)] {
        let mut bundle = Bundle::script(&format!("kill -{signal} $$; sleep 1000"));
        // PID 1 of a namespace gets no signal from inside that it does not handle.
        bundle.without_namespace("pid");
        runtime.run(&bundle).expect_code(code);
    }
}

#[test]
fn those_of_exec() {
    let runtime = Runtime::new();
    let container = idle(&runtime, same);
    for code in [0, 1, 3, 126, 127, 128, 255] {
        container.sh(&format!("exit {code}")).expect_code(code);
    }
}

#[test]
fn signals_of_exec() {
    let runtime = Runtime::new();
    let container = idle(&runtime, same);
    for signal in [1, 6, 9, 11, 15] {
        container.sh(&format!("kill -{signal} $$")).expect_code(128 + signal);
    }
}

#[test]
fn a_signal_to_run_reaches_the_program() {
    let runtime = Runtime::new();
    let bundle = Bundle::script("trap 'exit 9' USR1; : >/up; while :; do sleep 0.05; done");
    bundle.write();
    let container = Container::named(&runtime, &unique("sig"));
    let mut child = runtime
        .command()
        .args(["run", "--bundle"])
        .arg(bundle.path())
        .arg(&container.id)
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    wait_until("the trap is set", || bundle.rootfs().join("up").exists());
    run(Command::new("kill").arg("-USR1").arg(child.id().to_string())).ok();
    assert_eq!(child.wait().unwrap().code(), Some(9));
    wait_until("the container is deleted", || container.call("state", &[]).code != 0);
}

#[test]
fn a_program_that_is_not_there_is_not_zero_and_no_signal() {
    let runtime = Runtime::new();
    let done = runtime.run(&Bundle::new(&["/no/such/program"]));
    assert!(done.code != 0 && (done.code < 128 || done.code == 255), "{done:?}");
    let container = idle(&runtime, same);
    let done = container.exec(&["/no/such/program"]);
    assert!(done.code != 0 && (done.code < 128 || done.code == 255), "{done:?}");
}

#[test]
fn orphans_of_the_program_do_not_hold_run_up() {
    let runtime = Runtime::new();
    runtime.run(&Bundle::script("(sleep 100000 &) ; exit 5")).expect_code(5);
}
