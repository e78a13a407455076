//! The flags before the command, and what stands instead of one, as runc's manual has them.

use husk_tests::{Bundle, Container, Done, Runtime, run, temp_dir, unique};
use serde_json::Value;
use std::path::Path;

/// The runtime with global flags and a call of a command.
fn call(runtime: &Runtime, flags: &[&str], rest: &[&str]) -> Done {
    run(runtime.command().args(flags).args(rest))
}

/// A runtime whose `list` is no error.
fn listing() -> Runtime {
    let runtime = Runtime::new();
    std::fs::create_dir(runtime.root()).unwrap();
    call(&runtime, &[], &["list"]).ok();
    runtime
}

/// A log after a call that is an error (`state` of a container that there is not).
fn log_of_an_error(flags: &[&str]) -> String {
    let dir = temp_dir();
    let log = dir.path().join("log");
    let mut all = vec!["--log", log.to_str().unwrap()];
    all.extend(flags);
    let done = call(&Runtime::new(), &all, &["state", "husk-nobody"]);
    assert_ne!(done.code, 0, "{done:?}");
    std::fs::read_to_string(&log).unwrap_or_default()
}

fn records(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

#[test]
fn an_error_is_in_the_log() {
    let log = log_of_an_error(&[]);
    assert!(log.contains("error") && log.lines().count() >= 1, "{log:?}");
    assert!(serde_json::from_str::<Value>(&log).is_err(), "text is the format where none is named: {log:?}");
}

#[test]
fn a_log_in_json_has_level_message_and_time() {
    // containerd and docker take their error message from it.
    let log = log_of_an_error(&["--log-format", "json"]);
    let records = records(&log);
    let last = records.last().expect("a record");
    assert_eq!(last["level"], "error", "{log}");
    assert!(last["msg"].as_str().is_some_and(|text| !text.is_empty()), "{log}");
    assert!(last["time"].as_str().is_some_and(|time| time.starts_with("20") && time.contains('T')), "{log}");
}

#[test]
fn a_log_is_added_to() {
    let dir = temp_dir();
    let log = dir.path().join("log");
    std::fs::write(&log, "{\"level\":\"info\",\"msg\":\"before\"}\n").unwrap();
    let flags = ["--log", log.to_str().unwrap(), "--log-format", "json"];
    call(&Runtime::new(), &flags, &["state", "husk-nobody"]);
    let records = records(&std::fs::read_to_string(&log).unwrap());
    assert!(records.len() >= 2 && records[0]["msg"] == "before", "{records:?}");
}

/// The log of a `run` that goes well.
fn log_of_a_run(flags: &[&str]) -> String {
    let runtime = Runtime::new();
    let dir = temp_dir();
    let log = dir.path().join("log");
    let bundle = Bundle::new(&["true"]);
    bundle.write();
    let container = Container::named(&runtime, &unique("log"));
    let mut all = vec!["--log", log.to_str().unwrap(), "--log-format", "json"];
    all.extend(flags);
    let bundle = bundle.path().to_str().unwrap();
    call(&runtime, &all, &["run", "--bundle", bundle, &container.id]).ok();
    std::fs::read_to_string(&log).unwrap_or_default()
}

#[test]
fn debug_says_more() {
    let log = log_of_a_run(&["--debug"]);
    assert!(records(&log).iter().any(|record| record["level"] == "debug"), "{log:?}");
    let quiet = log_of_a_run(&[]);
    assert!(!records(&quiet).iter().any(|record| record["level"] == "debug"), "{quiet:?}");
}

#[test]
fn a_log_format_that_there_is_not_is_an_error() {
    assert_ne!(call(&listing(), &["--log-format", "verse"], &["list"]).code, 0);
}

#[test]
fn systemd_cgroup_without_systemd_is_an_error() {
    let runtime = Runtime::new();
    if !runtime.needs_groups() || Path::new("/run/systemd/system").exists() {
        return;
    }
    let mut bundle = Bundle::new(&["echo", "it ran"]);
    bundle.set("/linux/cgroupsPath", "system.slice:husk:test");
    bundle.write();
    let container = Container::named(&runtime, &unique("systemd"));
    let path = bundle.path().to_str().unwrap();
    let done = call(&runtime, &["--systemd-cgroup"], &["run", "--bundle", path, &container.id]);
    assert!(done.code != 0 && done.stdout.is_empty(), "{done:?}");
}

#[test]
fn rootless_is_true_false_or_auto() {
    let runtime = Runtime::new();
    let bundle = Bundle::new(&["echo", "it ran"]);
    bundle.write();
    let path = bundle.path().to_str().unwrap();
    for (value, ran) in [("false", true), ("auto", true), ("perhaps", false)] {
        let container = Container::named(&runtime, &unique("rootless"));
        let done = call(&runtime, &["--rootless", value], &["run", "--bundle", path, &container.id]);
        assert_eq!((done.code == 0, done.text() == "it ran"), (ran, ran), "{value}: {done:?}");
    }
}

#[test]
fn the_version_names_that_of_the_specification() {
    for flag in ["--version", "-v"] {
        let done = call(&Runtime::new(), &[], &[flag]).ok();
        assert!(done.stdout.lines().next().is_some_and(|line| line.contains("version")), "{done:?}");
        assert!(done.stdout.lines().any(|line| line.trim_start().starts_with("spec: 1.")), "{done:?}");
    }
}

#[test]
fn help_names_every_command() {
    let done = call(&Runtime::new(), &[], &["--help"]).ok();
    for command in [
        "checkpoint",
        "create",
        "delete",
        "events",
        "exec",
        "features",
        "kill",
        "list",
        "pause",
        "ps",
        "restore",
        "resume",
        "run",
        "spec",
        "start",
        "state",
        "update",
    ] {
        let named = done.stdout.lines().any(|line| line.split([' ', ',', '\t']).any(|word| word == command));
        assert!(named, "{command}: {}", done.stdout);
    }
}

#[test]
fn commands_and_flags_that_there_are_not_are_errors() {
    let runtime = listing();
    assert_ne!(call(&runtime, &[], &["juggle"]).code, 0);
    assert_ne!(call(&runtime, &["--juggle"], &["list"]).code, 0);
    assert_ne!(call(&runtime, &[], &["list", "--juggle"]).code, 0);
}
