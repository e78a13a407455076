//! Exit codes of `run`.

use husk_tests::{Bundle, Runtime, run, wait_until};
use std::process::{Command, Stdio};

#[test]
fn own_codes() {
    let runtime = Runtime::new();
    for (script, code) in [
        ("exit 0", 0),
        ("exit 1", 1),
        ("exit 3", 3),
        ("exit 255", 255), // As a C program's exit(-1).
        ("exec busybox awk 'BEGIN { exit -1 }'", 255),
    ] {
        runtime.run(&Bundle::script(script)).expect_code(code);
    }
}

#[test]
fn signals() {
    let runtime = Runtime::new();
    for (signal, code) in [("TERM", 143), ("KILL", 137), ("SEGV", 139), ("ABRT", 134)] {
        let mut bundle = Bundle::script(&format!("kill -{signal} $$; sleep 1000"));
        // PID 1 of a namespace gets no signal from inside that it does not handle.
        bundle.without_namespace("pid");
        runtime.run(&bundle).expect_code(code);
    }
}

#[test]
fn what_cannot_be_started() {
    let runtime = Runtime::husk();
    let bundle = Bundle::new(&["nosuch"]);
    let done = runtime.run(&bundle).expect_code(127);
    assert!(done.stderr.contains("nosuch") && done.stderr.contains("PATH"), "{}", done.stderr);
    for (content, mode, code, word) in [
        (&b"#!/no/such/shell\n"[..], 0o755, 127, "/no/such/shell"),
        (b"#!/bin/sh\r\necho hi\n", 0o755, 127, "CR"),
        (b"echo hi\n", 0o644, 126, "/bin/prog"),
        (b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\xb7\0\x01\0\0\0", 0o755, 126, "/bin/prog"),
    ] {
        use std::os::unix::fs::PermissionsExt as _;
        let bundle = Bundle::new(&["/bin/prog"]);
        let program = bundle.rootfs().join("bin/prog");
        std::fs::write(&program, content).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(mode)).unwrap();
        let done = runtime.run(&bundle).expect_code(code);
        assert!(done.stderr.contains(word), "{word}: {}", done.stderr);
        assert_eq!(done.stderr.trim().lines().count(), 1, "{}", done.stderr);
    }
    // A root of empty directories: not even a shell.
    runtime.run(&Bundle::empty(&["/bin/sh"])).expect_code(127);
}

#[test]
fn a_signal_to_run_reaches_the_program() {
    let runtime = Runtime::husk();
    let bundle = Bundle::script("trap 'exit 9' USR1; echo > /dev/shm/up; while :; do sleep 0.1; done");
    bundle.write();
    let id = husk_tests::unique("sig");
    let container = husk_tests::Container::named(&runtime, &id);
    let mut child = runtime
        .command()
        .args(["run", "--bundle"])
        .arg(bundle.path())
        .arg(&id)
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    wait_until("the trap is set", || container.call("exec", &["test", "-e", "/dev/shm/up"]).code == 0);
    run(Command::new("kill").arg("-USR1").arg(child.id().to_string())).ok();
    assert_eq!(child.wait().unwrap().code(), Some(9));
    wait_until("the container is deleted", || container.call("state", &[]).code != 0);
}
