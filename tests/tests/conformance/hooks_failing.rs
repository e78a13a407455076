//! `hooks` that fail, take too long, or are written wrongly.

use super::{refused, run};
use husk_tests::{Bundle, Runtime};
use serde_json::{Value, json};

fn failing(point: &str) -> Value {
    let program = if point == "startContainer" { "/bin/busybox" } else { "/bin/sh" };
    json!([{"path": program, "args": ["sh", "-c", "echo the reason >&2; exit 3"]}])
}

/// A failing hook of this point ends the container before its program, is named, and poststop is run after it.
fn ends_the_container(point: &str) {
    let dir = husk_tests::temp_dir();
    let log = dir.path().join("log");
    let mut bundle = Bundle::script("echo it ran");
    let poststop =
        json!([{"path": "/bin/sh", "args": ["sh", "-c", format!("echo poststop >>{}", log.display())]}]);
    bundle.set("/hooks", json!({point: failing(point), "poststop": poststop}));
    let runtime = Runtime::new();
    let (container, created) = runtime.try_create(&bundle);
    let done = if created.code == 0 { container.call("start", &[]) } else { created };
    assert_ne!(done.code, 0, "{done:?}");
    assert_eq!(done.stdout, "", "the program ran");
    assert!(
        done.stderr.to_lowercase().contains("hook"),
        "the message does not say that it was a hook: {done:?}"
    );
    // Step 12 of the lifecycle: destroyed.
    let left = container.call("state", &[]);
    assert!(left.code != 0 || super::document(&left)["status"] == "stopped", "{left:?}");
    container.call_with("delete", &["--force"], &[]);
    assert_eq!(std::fs::read_to_string(&log).unwrap_or_default(), "poststop\n", "step 13 of the lifecycle");
}

#[test]
fn prestart_ends_the_create() {
    ends_the_container("prestart");
}

#[test]
fn create_runtime_ends_the_create() {
    ends_the_container("createRuntime");
}

#[test]
fn create_container_ends_the_create() {
    ends_the_container("createContainer");
}

#[test]
fn start_container_ends_the_start() {
    ends_the_container("startContainer");
}

#[test]
fn poststart_ends_the_container() {
    let runtime = Runtime::new();
    let mut bundle = Bundle::new(&["sleep", "100000"]);
    bundle.set("/hooks", json!({"poststart": failing("poststart")}));
    let container = runtime.create(&bundle);
    assert_ne!(container.call("start", &[]).code, 0);
    husk_tests::wait_until("the container has ended", || {
        let state = container.call("state", &[]);
        state.code != 0 || super::document(&state)["status"] == "stopped"
    });
}

#[test]
fn poststop_is_a_warning_and_the_next_is_run() {
    let dir = husk_tests::temp_dir();
    let log = dir.path().join("log");
    let mut bundle = Bundle::new(&["true"]);
    let mut hooks = failing("poststop");
    hooks
        .as_array_mut()
        .unwrap()
        .push(json!({"path": "/bin/sh", "args": ["sh", "-c", format!("echo next >>{}", log.display())]}));
    bundle.set("/hooks", json!({"poststop": hooks}));
    let runtime = Runtime::new();
    let container = runtime.start(&bundle);
    container.wait_for("stopped");
    container.call("delete", &[]).ok();
    assert_eq!(std::fs::read_to_string(&log).unwrap_or_default(), "next\n");
    assert_ne!(container.call("state", &[]).code, 0);
}

#[test]
fn the_hooks_after_a_failed_one_are_not_run() {
    let dir = husk_tests::temp_dir();
    let log = dir.path().join("log");
    let mut hooks = failing("createRuntime");
    hooks
        .as_array_mut()
        .unwrap()
        .push(json!({"path": "/bin/sh", "args": ["sh", "-c", format!("echo next >>{}", log.display())]}));
    refused(|bundle| bundle.set("/hooks", json!({"createRuntime": hooks})));
    assert!(!log.exists());
}

#[test]
fn one_over_its_time_is_ended() {
    let done = run("echo it ran", |bundle| {
        bundle.set(
            "/hooks",
            json!({"createRuntime": [{"path": "/bin/sleep", "args": ["sleep", "1000"], "timeout": 1}]}),
        )
    });
    assert!(done.code != 0 && done.stdout.is_empty(), "{done:?}");
}

#[test]
fn one_that_does_not_exist_is_an_error() {
    refused(|bundle| bundle.set("/hooks", json!({"createRuntime": [{"path": "/no/such/hook"}]})));
}

#[test]
fn start_container_looks_in_the_container_alone() {
    // The host has bash, the container has not.
    refused(|bundle| {
        bundle
            .set("/hooks", json!({"startContainer": [{"path": "/bin/bash", "args": ["bash", "-c", "true"]}]}))
    });
}

#[test]
fn a_relative_path_is_an_error() {
    refused(|bundle| bundle.set("/hooks", json!({"createRuntime": [{"path": "bin/true"}]})));
}

#[test]
fn a_time_of_nothing_is_an_error() {
    refused(|bundle| bundle.set("/hooks", json!({"createRuntime": [{"path": "/bin/true", "timeout": 0}]})));
}

#[test]
fn a_negative_time_is_an_error() {
    refused(|bundle| bundle.set("/hooks", json!({"createRuntime": [{"path": "/bin/true", "timeout": -1}]})));
}

#[test]
fn one_without_a_path_is_an_error() {
    refused(|bundle| bundle.set("/hooks", json!({"createRuntime": [{"args": ["true"]}]})));
}
