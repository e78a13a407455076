//! Flags of `create` and `run`.

use husk_tests::{Bundle, Container, Done, Runtime, run, unique};
use serde_json::json;
use std::path::Path;

/// `VERB FLAGS… --bundle … ID`
fn call<'a>(runtime: &'a Runtime, verb: &str, flags: &[&str], bundle: &Bundle) -> (Container<'a>, Done) {
    bundle.write();
    let container = Container::named(runtime, &unique("flags"));
    let mut command = runtime.command();
    command.arg(verb).args(flags).arg("--bundle").arg(bundle.path()).arg(&container.id);
    let done = run(&mut command);
    (container, done)
}

#[test]
fn a_pidfd_socket_that_is_not_there_is_named() {
    // runc has the flag from 1.2 on.
    let flags = ["--pidfd-socket", "/no/such/socket"];
    let runtime = Runtime::husk();
    let (_, done) = call(&runtime, "create", &flags, &Bundle::new(&["true"]));
    assert!(done.expect_code(1).stderr.contains("--pidfd-socket /no/such/socket"), "not named");
}

#[test]
fn what_is_kept_is_there_until_it_is_deleted() {
    let runtime = Runtime::new();
    let (container, done) = call(&runtime, "run", &["--keep"], &Bundle::script("exit 3"));
    done.expect_code(3);
    assert_eq!(container.status(), "stopped");
    container.call("delete", &[]).ok();
    assert_ne!(container.call("state", &[]).code, 0);
    // Without the flag nothing stays.
    let (container, done) = call(&runtime, "run", &[], &Bundle::script("exit 3"));
    done.expect_code(3);
    assert_ne!(container.call("state", &[]).code, 0);
}

/// Without pivot_root the host's mounts stay below the container's root, out of reach.
#[test]
fn without_pivot_root() {
    let runtime = Runtime::new();
    let bundle = Bundle::new(&["sleep", "100000"]);
    let (container, done) = call(&runtime, "run", &["--no-pivot", "--detach"], &bundle);
    done.ok();
    let mounts = "cut -d ' ' -f 5 /proc/1/mountinfo | grep -v '^/\\(proc\\|sys\\|dev\\)'";
    let up = "cd / && cd ../../.. && ls";
    let plain = runtime.start(&bundle);
    for script in [mounts, up, "ls /proc/1/root/", "cd -P /proc/1/cwd/../.. && ls"] {
        let (without, with) = (container.sh(script).ok(), plain.sh(script).ok());
        assert_eq!(without.text(), with.text(), "{script}");
    }
}

#[test]
fn the_session_keyring_is_new_or_the_callers() {
    let runtime = Runtime::new();
    if !Path::new("/proc/keys").exists() {
        return husk_tests::skip("the kernel has no keyrings");
    }
    let mut bundle = Bundle::new(&["cat", "/proc/keys"]);
    bundle.set("/linux/maskedPaths", json!([]));
    let (container, done) = call(&runtime, "run", &[], &bundle);
    assert!(done.ok().stdout.contains(&format!("_ses.{}", container.id)), "no keyring of its own");
    let (container, done) = call(&runtime, "run", &["--no-new-keyring"], &bundle);
    assert!(!done.ok().stdout.contains(&format!("_ses.{}", container.id)), "a keyring of its own");
}

/// Where memory can't be limited the default is to refuse; who may not refuse says so, through any engine.
#[test]
fn a_limit_that_the_machine_can_not_set_is_left_out_only_when_asked_for() {
    let runtime = Runtime::husk();
    let mut bundle = Bundle::new(&["true"]);
    bundle.set("/linux/resources/memory", json!({"limit": 64 << 20})).write();
    let there = husk_tests::cgroup::controllers().iter().any(|name| name == "memory");
    for (lenient, expected) in [("1", 0), ("0", i32::from(!there))] {
        let container = Container::named(&runtime, &unique("lenient"));
        let mut command = runtime.command();
        command.env("HUSK_LENIENT_CGROUP", lenient).arg("run").arg("--bundle").arg(bundle.path());
        let done = run(command.arg(&container.id)).expect_code(expected);
        assert_eq!(done.stderr.contains("memory"), !there, "{done:?}");
    }
}

/// podman gives `--leave-running` twice.
#[test]
fn a_flag_may_be_given_twice_and_the_last_one_counts() {
    let runtime = Runtime::husk();
    let bundle = Bundle::new(&["sleep", "100000"]);
    let container = runtime.start(&bundle);
    let list = |flags: &[&str]| run(runtime.command().arg("list").args(flags)).ok().stdout;
    assert_eq!(list(&["-q", "--quiet"]).trim(), container.id);
    assert!(list(&["--format", "table", "--format", "json"]).starts_with("[{"));
    // Those that add up still do.
    let flags = ["--env", "A=1", "--env", "B=2", "--user", "1", "--user", "0"];
    let done = container.call_with("exec", &flags, &["sh", "-c", "echo $A $B"]).ok();
    assert_eq!(done.text(), "1 2");
}
