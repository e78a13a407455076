//! `hooks`: when each is run, where, with which environment and which state on its standard input.

use husk_tests::{Bundle, Runtime, wait_until};
use serde_json::{Value, json};
use std::path::Path;

/// Points at which hooks run, in their order.
const POINTS: [&str; 6] =
    ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];

/// A hook that adds a line to a file.
fn note(line: &str, log: &Path) -> Value {
    json!({"path": "/bin/sh", "args": ["sh", "-c", format!("echo \"{line}\" >>{}", log.display())]})
}

/// A hook that keeps its standard input in a file.
fn keep(to: &Path) -> Value {
    json!({"path": "/bin/sh", "args": ["sh", "-c", format!("cat >{}", to.display())]})
}

/// Runs a script with hooks, and gives the lines that they have left in the file. The folder of the file is mounted at the
/// same place in the container, for the hooks there.
fn lines(script: &str, hooks: impl FnOnce(&Path) -> Value) -> Vec<String> {
    let dir = husk_tests::temp_dir();
    let log = dir.path().join("log");
    let mut bundle = Bundle::script(script);
    let place = dir.path().to_str().unwrap();
    bundle.mount(place, "bind", place, &["bind"]).set("/hooks", hooks(&log));
    Runtime::new().run(&bundle).ok();
    std::fs::read_to_string(log).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// The state that a hook of this point gets.
fn state_at(point: &str) -> (Value, Bundle) {
    let dir = husk_tests::temp_dir();
    let file = dir.path().join("state");
    let mut bundle = Bundle::new(&["true"]);
    let place = dir.path().to_str().unwrap();
    bundle.mount(place, "bind", place, &["bind"]);
    bundle.set("/annotations", json!({"org.example.key": "value"}));
    bundle.set("/hooks", json!({point: [keep(&file)]}));
    Runtime::new().run(&bundle).ok();
    let text = std::fs::read_to_string(&file).unwrap();
    (serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text:?}")), bundle)
}

fn check_state(point: &str) {
    let (state, bundle) = state_at(point);
    for key in ["ociVersion", "id", "status", "bundle"] {
        assert!(state[key].is_string(), "{point}: {key} in {state}");
    }
    assert_eq!(state["bundle"].as_str(), bundle.path().to_str(), "{point}");
    assert_eq!(state["annotations"]["org.example.key"], "value", "{point}: {state}");
    // "REQUIRED when status is created or running on Linux"
    if state["status"] == "created" || state["status"] == "running" {
        assert!(state["pid"].as_u64().unwrap_or(0) > 0, "{point}: {state}");
    }
}

macro_rules! state {
    ($($test:ident $point:literal $status:literal $named:ident,)*) => {
        $(#[test]
        fn $test() {
            check_state($point);
        }

        #[test]
        fn $named() {
            assert_eq!(state_at($point).0["status"], $status);
        })*
    };
}

state! {
    prestart_gets_the_state "prestart" "creating" prestart_runs_while_creating,
    create_runtime_gets_the_state "createRuntime" "creating" create_runtime_runs_while_creating,
    create_container_gets_the_state "createContainer" "creating" create_container_runs_while_creating,
    start_container_gets_the_state "startContainer" "created" start_container_runs_when_created,
    poststart_gets_the_state "poststart" "running" poststart_runs_when_running,
    poststop_gets_the_state "poststop" "stopped" poststop_runs_when_stopped,
}

#[test]
fn all_points_in_their_order_around_the_program() {
    let found = lines(
        "echo program >>$(sed -n 's/.* \\(\\/[^ ]*husk-test-[^ ]*\\) .*/\\1/p' /proc/self/mountinfo | tail -n 1)/log",
        |log| {
            POINTS
                .iter()
                .map(|point| ((*point).to_owned(), json!([note(point, log)])))
                .collect::<serde_json::Map<_, _>>()
                .into()
        },
    );
    let at = |name: &str| {
        found.iter().position(|line| line == name).unwrap_or_else(|| panic!("{name}: {found:?}"))
    };
    assert_eq!(found.len(), 7, "{found:?}");
    for pair in POINTS.windows(2) {
        assert!(at(pair[0]) < at(pair[1]), "{found:?}");
    }
    assert!(at("startContainer") < at("program") && at("program") < at("poststop"), "{found:?}");
}

#[test]
fn the_hooks_of_a_point_in_their_order() {
    let found = lines("true", |log| {
        json!({"createRuntime": [note("one", log), note("two", log), note("three", log)],
            "poststop": [note("four", log), note("five", log)]})
    });
    assert_eq!(found, ["one", "two", "three", "four", "five"]);
}

/// Whether a hook of this point is in the mount namespace of the runtime.
fn on_the_host(point: &str) -> bool {
    let found = lines("true", |log| json!({point: [note("$(readlink /proc/self/ns/mnt)", log)]}));
    let host = std::fs::read_link("/proc/self/ns/mnt").unwrap();
    found[0] == host.to_str().unwrap()
}

#[test]
fn hooks_of_the_runtime_are_in_its_namespaces() {
    if !Runtime::new().needs_our_mounts() {
        return;
    }
    for point in ["prestart", "createRuntime", "poststart", "poststop"] {
        assert!(on_the_host(point), "{point}");
    }
}

#[test]
fn create_container_is_in_the_containers_namespace_with_programs_of_the_host() {
    assert!(!on_the_host("createContainer"));
    // A program that only the host has.
    let found = lines(
        "true",
        |log| json!({"createContainer": [{"path": "/bin/bash", "args": ["bash", "-c", format!("echo $BASH_VERSION >>{}", log.display())]}]}),
    );
    assert!(found[0].contains('.'), "{found:?}");
}

#[test]
fn start_container_is_in_the_containers_namespace_with_its_programs() {
    let mut bundle = Bundle::new(&["cat", "/told"]);
    bundle.set("/hooks", json!({"startContainer": [{"path": "/bin/busybox", "args": ["sh", "-c", "pwd >/told; readlink /proc/self/ns/net >>/told"]}]}));
    let done = Runtime::new().run(&bundle).ok();
    let host = std::fs::read_link("/proc/self/ns/net").unwrap();
    let shown: Vec<_> = done.text().lines().collect();
    assert_eq!(shown[0], "/");
    assert_ne!(shown[1], host.to_str().unwrap());
}

#[test]
fn the_namespaces_are_there_at_prestart() {
    // So that a hook can make the container's network: its pid names the new namespaces.
    let (state, _bundle) = state_at("prestart");
    assert!(state["pid"].as_u64().unwrap() > 0);
    let found = lines("ls /sys/class/net | tr '\\n' ' '", |log| {
        let script = format!(
            "pid=$(sed 's/.*\"pid\": *\\([0-9]*\\).*/\\1/' | tr -d '\\n'); readlink /proc/$pid/ns/net >>{}",
            log.display()
        );
        json!({"prestart": [{"path": "/bin/sh", "args": ["sh", "-c", script]}]})
    });
    let host = std::fs::read_link("/proc/self/ns/net").unwrap();
    assert!(found[0].starts_with("net:") && found[0] != host.to_str().unwrap(), "{found:?}");
}

#[test]
fn the_environment_is_that_of_the_hook() {
    for point in POINTS {
        let found = lines("true", |log| {
            let program = if point == "startContainer" { "/bin/busybox" } else { "/bin/sh" };
            json!({point: [{"path": program, "args": ["sh", "-c", format!("echo \"[$A] [$HUSK_CALLER] [$PATH]\" >>{}", log.display())],
                "env": ["A=b c", "PATH=/bin"]}]})
        });
        assert_eq!(found, ["[b c] [] [/bin]"], "{point}");
    }
}

#[test]
fn nothing_of_the_callers_environment_reaches_a_hook_with_an_own_one() {
    let dir = husk_tests::temp_dir();
    let log = dir.path().join("log");
    let mut bundle = Bundle::new(&["true"]);
    bundle.set(
        "/hooks",
        json!({"createRuntime": [{"path": "/usr/bin/env", "args": ["env", "sh", "-c", format!("/usr/bin/env >>{}", log.display())],
            "env": ["PATH=/bin", "MINE=1"]}]}),
    );
    bundle.write();
    let runtime = Runtime::new();
    let container = husk_tests::Container::named(&runtime, &husk_tests::unique("hookenv"));
    let mut command = runtime.command();
    command.args(["run", "--bundle"]).arg(bundle.path()).arg(&container.id).env("HUSK_CALLER", "told");
    husk_tests::run(&mut command).ok();
    let text = std::fs::read_to_string(log).unwrap();
    assert!(text.contains("MINE=1") && !text.contains("HUSK_CALLER"), "{text}");
}

#[test]
fn the_arguments_are_those_of_the_hook() {
    let found = lines("true", |log| {
        let script = format!("echo \"$0|$1|$2\" >>{}", log.display());
        json!({"createRuntime": [{"path": "/bin/sh", "args": ["any name", "-c", script, "zero", "o n e", ""]}]})
    });
    assert_eq!(found, ["zero|o n e|"]);
}

#[test]
fn create_runs_its_hooks_and_start_its_own() {
    let dir = husk_tests::temp_dir();
    let log = dir.path().join("log");
    let mut bundle = Bundle::new(&["sleep", "100000"]);
    let place = dir.path().to_str().unwrap();
    bundle.mount(place, "bind", place, &["bind"]);
    let hooks: serde_json::Map<_, _> =
        POINTS.iter().map(|point| ((*point).to_owned(), json!([note(point, &log)]))).collect();
    bundle.set("/hooks", Value::from(hooks));
    let runtime = Runtime::new();
    let container = runtime.create(&bundle);
    let text = || std::fs::read_to_string(&log).unwrap_or_default().replace('\n', " ");
    assert_eq!(text(), "prestart createRuntime createContainer ");
    container.call("start", &[]).ok();
    // poststart is run before start returns; startContainer before the program.
    wait_until("the hooks of start", || text().ends_with("startContainer poststart "));
    container.call("kill", &["KILL"]).ok();
    container.wait_for("stopped");
    assert!(!text().contains("poststop"));
    container.call("delete", &[]).ok();
    assert!(text().ends_with("poststop "), "{}", text());
}

#[test]
fn a_hook_within_its_time_is_waited_for() {
    let found = lines("true", |log| {
        json!({"createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", format!("sleep 0.3; echo ended >>{}", log.display())], "timeout": 60},
            note("next", log)]})
    });
    assert_eq!(found, ["ended", "next"]);
}

#[test]
fn delete_by_force_runs_poststop() {
    let dir = husk_tests::temp_dir();
    let log = dir.path().join("log");
    let mut bundle = Bundle::new(&["sleep", "100000"]);
    bundle.set("/hooks", json!({"poststop": [note("stopped", &log)]}));
    let runtime = Runtime::new();
    let container = runtime.start(&bundle);
    container.call_with("delete", &["--force"], &[]).ok();
    assert_eq!(std::fs::read_to_string(&log).unwrap(), "stopped\n");
}
