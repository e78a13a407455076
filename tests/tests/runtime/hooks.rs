//! Hooks of the start that fail: the container is destroyed there and then, and what it was is still explained.

use husk_tests::{Bundle, Container, Done, Runtime, run, unique};
use serde_json::{Value, json};

/// Runs a container with a failing hook of this point by `create` and `start`, or by `run`. Gives what the command said,
/// and the explanation.
fn fail(point: &str, verb: &str) -> (Done, Value) {
    let runtime = Runtime::husk();
    let dir = husk_tests::temp_dir();
    let log = dir.path().join("log");
    let program = if point == "startContainer" { "/bin/busybox" } else { "/bin/sh" };
    let mut bundle = Bundle::new(&["sleep", "100000"]);
    bundle.set(
        "/hooks",
        json!({
            point: [{"path": program, "args": ["sh", "-c", "echo the reason >&2; exit 3"]}],
            "poststop": [{"path": "/bin/sh", "args": ["sh", "-c", format!("cat >>{}", log.display())]}],
        }),
    );
    let container = Container::named(&runtime, &unique("hook"));
    bundle.write();
    let done = if verb == "start" {
        let mut create = runtime.command();
        run(create.args(["create", "--bundle"]).arg(bundle.path()).arg(&container.id)).ok();
        container.call("start", &[])
    } else {
        run(runtime.command().args(["run", "--bundle"]).arg(bundle.path()).arg(&container.id))
    };
    assert!(done.code == 1 && done.stderr.contains("the reason"), "{done:?}");
    assert!(!runtime.root().join(&container.id).exists(), "{done:?}");
    let group = husk_cgroup::Hierarchy::detect().unwrap().root().join("husk").join(&container.id);
    assert!(!group.exists(), "{done:?}");
    let state: Value = serde_json::from_slice(&std::fs::read(&log).unwrap()).unwrap();
    assert_eq!((&state["status"], &state["pid"]), (&json!("stopped"), &json!(0)), "one poststop hook");
    // What engines ask of one that is gone.
    assert!(container.call("delete", &[]).expect_code(1).stderr.contains("does not exist"));
    container.call_with("delete", &["--force"], &[]).ok();
    let explained = container.call_with("explain", &["--json"], &[]).ok();
    (done, serde_json::from_str(&explained.stdout).unwrap())
}

fn ended_by_the_hook(explained: &Value) {
    assert_eq!(explained["record"]["sent"][0]["cause"], "hook", "{explained:#}");
    assert_eq!(explained["record"]["sent"].as_array().unwrap().len(), 1, "{explained:#}");
    // Where another program has fetched the status before husk could see it, it is the evidence alone that says so.
    assert!(explained["evidence"].to_string().contains("a hook of its start failed"), "{explained:#}");
}

#[test]
fn poststart_destroys_what_was_started() {
    let (done, explained) = fail("poststart", "start");
    assert!(done.stderr.contains("hooks.poststart[0] (/bin/sh)"), "{done:?}");
    assert!(done.stderr.contains("the container was deleted"), "{done:?}");
    ended_by_the_hook(&explained);
}

#[test]
fn poststart_destroys_what_was_run() {
    let (_, explained) = fail("poststart", "run");
    ended_by_the_hook(&explained);
    assert_eq!(explained["exitCode"], 137, "{explained:#}");
}

#[test]
fn start_container_destroys_what_was_created() {
    let (done, explained) = fail("startContainer", "start");
    assert!(done.stderr.contains("the container was deleted"), "{done:?}");
    assert_eq!(explained["record"]["outcome"]["kind"], "notStarted", "{explained:#}");
    assert!(explained["message"].as_str().unwrap().contains("startContainer"), "{explained:#}");
}
