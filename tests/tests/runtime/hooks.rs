//! Hooks: order, namespaces, state on standard input, environment, failure, time limit.

use husk_tests::{Bundle, Runtime};
use serde_json::{Value, json};

/// A hook that adds a line of facts and a line of its input to a file.
fn note(name: &str, log: &std::path::Path) -> Value {
    let script = format!(
        "{{ echo {name} $(readlink /proc/self/ns/mnt) $A $(env | wc -l); cat; echo; }} >> {}",
        log.display()
    );
    json!([{"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["A=b"]}])
}

#[test]
fn six_points_in_order_with_the_state() {
    let runtime = Runtime::husk();
    let dir = husk_tests::temp_dir();
    let log = dir.path().join("log");
    let mut bundle = Bundle::script("cat /dev/shm/state");
    let mut hooks = json!({});
    for name in ["prestart", "createRuntime", "createContainer", "poststart", "poststop"] {
        hooks[name] = note(name, &log);
    }
    // In the container, after pivot_root.
    hooks["startContainer"] = json!([{"path": "/bin/sh", "args": ["sh", "-c", "cat > /dev/shm/state"]}]);
    bundle.set("/hooks", hooks);
    let done = runtime.run(&bundle).ok();
    let state: Value = serde_json::from_str(done.text()).expect("the state in startContainer");
    assert_eq!(state["status"], "created");

    let text = std::fs::read_to_string(&log).unwrap();
    let lines: Vec<_> = text.lines().collect();
    let host = std::fs::read_link("/proc/self/ns/mnt").unwrap().to_string_lossy().into_owned();
    let expected = [
        ("prestart", true, "creating"),
        ("createRuntime", true, "creating"),
        ("createContainer", false, "creating"),
        ("poststart", true, "running"),
        ("poststop", true, "stopped"),
    ];
    assert_eq!(lines.len(), 2 * expected.len(), "{text}");
    for (pair, (name, in_host, status)) in lines.chunks(2).zip(expected) {
        let words: Vec<_> = pair[0].split(' ').collect();
        assert_eq!((words[0], words[2]), (name, "b"));
        assert_eq!(words[1] == host, in_host, "{name}");
        let state: Value = serde_json::from_str(pair[1]).unwrap();
        assert_eq!(state["status"], status, "{name}");
        assert_eq!(state["bundle"].as_str(), bundle.path().to_str());
        assert_eq!(state["pid"] != 0, status != "stopped", "{name}");
    }
}

#[test]
fn a_hook_that_fails_ends_the_create_and_poststop_runs() {
    let runtime = Runtime::husk();
    let dir = husk_tests::temp_dir();
    let log = dir.path().join("log");
    for name in ["prestart", "createRuntime", "createContainer", "startContainer"] {
        let mut bundle = Bundle::new(&["true"]);
        let program = if name == "startContainer" { "/bin/sh" } else { "/bin/bash" };
        let fails = json!([{"path": program, "args": ["sh", "-c", "echo the reason >&2; exit 3"]}]);
        bundle.set("/hooks", json!({name: fails, "poststop": note("poststop", &log)}));
        let done = runtime.run(&bundle).expect_code(1);
        let words = format!("error running {name} hook #0: hooks.{name}[0]");
        assert!(done.stderr.contains(&words), "{}", done.stderr);
        assert!(done.stderr.contains("the reason"), "{}", done.stderr);
        assert!(std::fs::read_to_string(&log).unwrap().starts_with("poststop"), "{name}");
        std::fs::remove_file(&log).unwrap();
    }
}

#[test]
fn a_hook_over_its_time_is_killed() {
    let runtime = Runtime::husk();
    let mut bundle = Bundle::new(&["true"]);
    bundle.set(
        "/hooks",
        json!({"createRuntime": [{"path": "/bin/sleep", "args": ["sleep", "1000"], "timeout": 1}]}),
    );
    let done = runtime.run(&bundle).expect_code(1);
    assert!(done.stderr.contains("hooks.createRuntime[0]") && done.stderr.contains("1 s"), "{}", done.stderr);
}

#[test]
fn poststart_that_fails_ends_the_container() {
    let runtime = Runtime::husk();
    let mut bundle = Bundle::new(&["sleep", "1000"]);
    bundle.set("/hooks", json!({"poststart": [{"path": "/bin/false"}]}));
    let container = runtime.create(&bundle);
    let done = container.call("start", &[]).expect_code(1);
    assert!(done.stderr.contains("hooks.poststart[0] (/bin/false)"), "{}", done.stderr);
    container.wait_for("stopped");
}
