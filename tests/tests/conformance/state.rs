//! `state`: what a container is.

use super::{document, idle, same};
use husk_tests::{Bundle, Container, Runtime, run, wait_until};
use serde_json::json;

#[test]
fn it_has_what_the_specification_requires() {
    let runtime = Runtime::new();
    let container = idle(&runtime, same);
    let bundle = container.bundle();
    let state = container.state();
    assert!(state["ociVersion"].as_str().is_some_and(|version| version.starts_with("1.")), "{state}");
    assert_eq!(state["id"].as_str(), Some(container.id.as_str()));
    assert_eq!(state["status"], "running");
    assert_eq!(state["bundle"].as_str(), bundle.path().to_str());
    let pid = state["pid"].as_u64().unwrap();
    // A runtime's start may return a moment before its process has become the program.
    wait_until("the pid is the program's", || {
        std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap() == "sleep\n"
    });
}

#[test]
fn created_running_and_stopped() {
    let runtime = Runtime::new();
    let bundle = Bundle::new(&["sleep", "100000"]);
    let container = runtime.create(&bundle);
    assert_eq!(container.status(), "created");
    assert!(container.pid() > 1);
    container.call("start", &[]).ok();
    container.wait_for("running");
    container.call("kill", &["KILL"]).ok();
    container.wait_for("stopped");
    container.call("delete", &[]).ok();
}

#[test]
fn paused() {
    let runtime = Runtime::new();
    if !runtime.needs_groups() {
        return;
    }
    let container = idle(&runtime, same);
    container.call("pause", &[]).ok();
    assert_eq!(container.status(), "paused");
    container.call("resume", &[]).ok();
    assert_eq!(container.status(), "running");
}

#[test]
fn of_no_container_is_an_error() {
    let runtime = Runtime::new();
    let done = Container::named(&runtime, "husk-nobody").call("state", &[]);
    assert!(done.code != 0 && done.stdout.is_empty(), "{done:?}");
    assert_ne!(run(runtime.command().arg("state")).code, 0);
}

#[test]
fn annotations_are_in_it() {
    let runtime = Runtime::new();
    let container =
        idle(&runtime, |bundle| bundle.set("/annotations", json!({"org.example.key": "value", "empty": ""})));
    let state = container.state();
    assert_eq!(state["annotations"]["org.example.key"], "value", "{state}");
    assert_eq!(state["annotations"]["empty"], "", "{state}");
}

#[test]
fn other_folders_of_state_know_nothing_of_it() {
    let (one, two) = (Runtime::new(), Runtime::new());
    let container = idle(&one, same);
    assert_ne!(Container::named(&two, &container.id).call("state", &[]).code, 0);
}

#[test]
fn it_is_json_with_rootfs_and_time() {
    // runc's additions, which engines read.
    let runtime = Runtime::new();
    let container = idle(&runtime, same);
    let bundle = container.bundle();
    let state = document(&container.call("state", &[]));
    assert_eq!(state["rootfs"].as_str(), bundle.rootfs().to_str(), "{state}");
    assert!(
        state["created"].as_str().is_some_and(|time| time.starts_with("20") && time.contains('T')),
        "{state}"
    );
}
