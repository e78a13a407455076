//! `linux.seccomp` with `SCMP_ACT_NOTIFY`: the agent at `listenerPath`.

use super::refused;
use husk_tests::{Bundle, Receiver, Runtime, wait_until};
use serde_json::{Value, json};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

fn profile(agent: Option<&Path>) -> Value {
    let mut profile = json!({"defaultAction": "SCMP_ACT_ALLOW", "listenerMetadata": "anything",
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY"}]});
    match agent {
        Some(path) => profile["listenerPath"] = path.to_str().unwrap().into(),
        None => drop(profile.as_object_mut().unwrap().remove("listenerMetadata")),
    }
    profile
}

/// The state that a runtime sends to its agent, and the descriptor.
fn receive(agent: &Receiver) -> (Value, OwnedFd) {
    let (state, fd) = agent.receive();
    (serde_json::from_str(&state).unwrap(), fd)
}

#[test]
fn the_agent_gets_the_state_and_the_descriptor() {
    let agent = Receiver::new();
    let mut bundle = Bundle::script("mkdir /x; echo $? >/result; exec sleep 100000");
    bundle.set("/linux/seccomp", profile(Some(&agent.path())));
    let runtime = Runtime::new();
    let container = runtime.start(&bundle);
    let (state, fd) = receive(&agent);
    assert!(state["ociVersion"].is_string(), "{state:#}");
    assert_eq!((&state["metadata"], &state["fds"]), (&json!("anything"), &json!(["seccompFd"])), "{state:#}");
    assert_eq!(state["pid"].as_u64(), Some(u64::from(container.pid())), "{state:#}");
    assert_eq!(state["state"]["id"].as_str(), Some(container.id.as_str()), "{state:#}");
    assert_eq!(state["state"]["bundle"].as_str(), bundle.path().to_str(), "{state:#}");
    let link = std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).unwrap();
    assert!(link.to_string_lossy().contains("seccomp notify"), "{link:?}");
    // The call waits for the agent; where that goes away there is no answer any more (seccomp_unotify(2): ENOSYS).
    assert!(!bundle.rootfs().join("result").exists());
    drop(fd);
    wait_until("mkdir was answered", || bundle.rootfs().join("result").exists());
    assert!(!bundle.rootfs().join("x").exists());
}

#[test]
fn exec_has_an_agent_too() {
    let agent = Receiver::new();
    let mut bundle = Bundle::new(&["sleep", "100000"]);
    bundle.set("/linux/seccomp", profile(Some(&agent.path())));
    let runtime = Runtime::new();
    let container = runtime.start(&bundle);
    drop(receive(&agent));
    let done = std::thread::scope(|scope| {
        let exec = scope.spawn(|| container.sh("mkdir /x"));
        let (state, fd) = receive(&agent);
        assert_eq!(state["state"]["id"].as_str(), Some(container.id.as_str()), "{state:#}");
        drop(fd);
        exec.join().unwrap()
    });
    assert_ne!(done.code, 0, "{done:?}");
}

#[test]
fn waiting_for_the_agent_can_be_left_to_fatal_signals() {
    let agent = Receiver::new();
    let mut bundle = Bundle::script("mkdir /x; echo $? >/result; exec sleep 100000");
    let mut profile = profile(Some(&agent.path()));
    profile["flags"] = json!(["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]);
    bundle.set("/linux/seccomp", profile);
    let runtime = Runtime::new();
    let _container = runtime.start(&bundle);
    drop(receive(&agent));
    wait_until("mkdir was answered", || bundle.rootfs().join("result").exists());
}

#[test]
fn a_notification_without_an_agent_is_an_error() {
    refused(|bundle| bundle.set("/linux/seccomp", profile(None)));
}

#[test]
fn an_agent_that_is_not_there_is_an_error() {
    refused(|bundle| bundle.set("/linux/seccomp", profile(Some(Path::new("/no/such/socket")))));
}

#[test]
fn a_path_without_a_notification_means_nothing() {
    let shown = super::output("echo ran", |bundle| {
        bundle.set(
            "/linux/seccomp",
            json!({"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/no/such/socket",
                "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}]}),
        )
    });
    assert_eq!(shown, "ran");
}

#[test]
fn metadata_without_a_path_is_an_error() {
    refused(|bundle| {
        bundle.set(
            "/linux/seccomp",
            json!({"defaultAction": "SCMP_ACT_ALLOW", "listenerMetadata": "x",
                "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}]}),
        )
    });
}
