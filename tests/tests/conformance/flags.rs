//! Flags of `create`, `run` and `exec` that are about the process which the caller gets, as runc's manual has them.

use super::{idle, same};
use husk_tests::{Bundle, Container, Done, Receiver, Runtime, run, unique};
use serde_json::json;
use std::os::fd::{AsRawFd, OwnedFd};
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

/// The process that a pidfd stands for.
fn pid_of(pidfd: &OwnedFd) -> u32 {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd())).unwrap();
    let pid = info.lines().find_map(|line| line.strip_prefix("Pid:")).expect("a pidfd");
    pid.trim().parse().unwrap()
}

#[test]
fn a_pidfd_socket_gets_the_containers_process() {
    let runtime = Runtime::new();
    for (verb, more) in [("create", None), ("run", Some("--detach"))] {
        let receiver = Receiver::new();
        let path = receiver.text();
        let mut flags = vec!["--pidfd-socket", &path];
        flags.extend(more);
        let (container, done) = call(&runtime, verb, &flags, &Bundle::new(&["sleep", "100000"]));
        done.ok();
        assert_eq!(pid_of(&receiver.receive().1), container.pid(), "{verb}");
    }
}

#[test]
fn a_pidfd_socket_gets_the_process_of_exec() {
    let runtime = Runtime::new();
    let container = idle(&runtime, same);
    let receiver = Receiver::new();
    container.call_with("exec", &["--pidfd-socket", &receiver.text()], &["true"]).ok();
    let (_, pidfd) = receiver.receive();
    let link = std::fs::read_link(format!("/proc/self/fd/{}", pidfd.as_raw_fd())).unwrap();
    assert!(link.to_string_lossy().contains("pidfd"), "{link:?}");
}

#[test]
fn a_pidfd_socket_that_there_is_not_is_an_error() {
    let runtime = Runtime::new();
    let bundle = Bundle::new(&["echo", "it ran"]);
    let (_container, done) = call(&runtime, "run", &["--pidfd-socket", "/no/such/socket"], &bundle);
    assert!(done.code != 0 && done.stdout.is_empty(), "{done:?}");
}

#[test]
fn the_session_keyring_is_new_or_the_callers() {
    if !Path::new("/proc/keys").exists() {
        return husk_tests::skip("the kernel has no keyrings");
    }
    let runtime = Runtime::new();
    let mut bundle = Bundle::new(&["cat", "/proc/keys"]);
    bundle.set("/linux/maskedPaths", json!([]));
    let (container, done) = call(&runtime, "run", &[], &bundle);
    assert!(done.ok().stdout.contains(&container.id), "no keyring of its own");
    let (container, done) = call(&runtime, "run", &["--no-new-keyring"], &bundle);
    assert!(!done.ok().stdout.contains(&container.id), "a keyring of its own");
}

/// To an ordinary user a keyring of root's is there only as one of its own session.
#[test]
fn the_session_keyring_of_exec_is_the_containers() {
    if !Path::new("/proc/keys").exists() {
        return husk_tests::skip("the kernel has no keyrings");
    }
    let runtime = Runtime::new();
    let mut bundle = Bundle::script("exec sleep 100000");
    bundle.set("/linux/maskedPaths", json!([]));
    let container = runtime.start(&bundle);
    let callers = unique("session");
    // KEYCTL_JOIN_SESSION_KEYRING
    let join = format!("my $name = '{callers}'; syscall(250, 1, $name) > 0 or die $!; exec @ARGV");
    let husk = runtime.command();
    let mut command = std::process::Command::new("perl");
    command.args(["-e", &join, "--"]).arg(husk.get_program()).args(husk.get_args());
    command.args(["exec", "--user", "1000:1000", &container.id, "cat", "/proc/keys"]);
    let keys = run(&mut command).ok().stdout;
    assert!(keys.contains(&container.id) && !keys.contains(&callers), "{keys}");
}

#[test]
fn without_a_subreaper_the_program_runs_all_the_same() {
    let (runtime, bundle) = (Runtime::new(), Bundle::script("(sleep 0.1 &); exit 3"));
    let (_container, done) = call(&runtime, "run", &["--no-subreaper"], &bundle);
    done.expect_code(3);
}
