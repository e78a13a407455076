//! `events`: statistics, and the end of memory.

use super::{document, idle, same};
use husk_tests::cgroup::needs;
use husk_tests::{Bundle, Container, Runtime, wait_until};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

/// `events`, ended with the value.
struct Watch(Child);

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn watch(
    runtime: &Runtime,
    container: &Container<'_>,
    interval: &str,
) -> (Watch, impl Iterator<Item = Value>) {
    let mut command = runtime.command();
    command
        .args(["events", "--interval", interval, &container.id])
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    (Watch(child), lines.map_while(Result::ok).filter_map(|line| serde_json::from_str(&line).ok()))
}

#[test]
fn statistics_once() {
    let runtime = Runtime::new();
    if !runtime.needs_groups() {
        return;
    }
    let container = idle(&runtime, same);
    let event = document(&container.call_with("events", &["--stats"], &[]).ok());
    assert_eq!(event["type"], "stats");
    assert_eq!(event["id"].as_str(), Some(container.id.as_str()));
    assert!(event["data"]["cpu"]["usage"]["total"].as_u64().unwrap() > 0, "{event}");
}

#[test]
fn statistics_of_memory_and_processes() {
    let runtime = Runtime::new();
    if !runtime.needs_groups() || !needs("memory") {
        return;
    }
    let container = idle(&runtime, |bundle| {
        bundle
            .set("/linux/resources/memory", json!({"limit": 64 << 20}))
            .set("/linux/resources/pids", json!({"limit": 20}))
    });
    let event = document(&container.call_with("events", &["--stats"], &[]).ok());
    assert_eq!(event["data"]["memory"]["usage"]["limit"], 64 << 20, "{event}");
    assert!(event["data"]["memory"]["usage"]["usage"].as_u64().unwrap() > 0, "{event}");
    assert_eq!(
        (&event["data"]["pids"]["current"], &event["data"]["pids"]["limit"]),
        (&json!(1), &json!(20)),
        "{event}"
    );
}

#[test]
fn statistics_again_and_again_until_the_end() {
    let runtime = Runtime::new();
    if !runtime.needs_groups() {
        return;
    }
    let container = idle(&runtime, same);
    let (mut watch, mut events) = watch(&runtime, &container, "50ms");
    for _ in 0..2 {
        assert_eq!(events.next().unwrap()["type"], "stats");
    }
    container.call("kill", &["KILL"]).ok();
    for _ in events {}
    assert!(watch.0.wait().unwrap().success());
}

#[test]
fn the_end_of_memory() {
    let runtime = Runtime::new();
    if !runtime.needs_groups() || !needs("memory") {
        return;
    }
    let mut bundle =
        Bundle::script("while [ ! -e /go ]; do sleep 0.1; done; tail /dev/zero; while :; do sleep 0.1; done");
    bundle.set("/linux/resources/memory", json!({"limit": 32 << 20, "swap": 32 << 20}));
    let container = runtime.start(&bundle);
    let (_watch, events) = watch(&runtime, &container, "100ms");
    // It watches once it has told of the first statistics.
    let mut events = events.inspect(|event| {
        if event["type"] == "stats" {
            std::fs::write(bundle.rootfs().join("go"), "").unwrap();
        }
    });
    let oom = events.find(|event| event["type"] == "oom").unwrap();
    assert_eq!(oom["id"].as_str(), Some(container.id.as_str()));
    wait_until("the container goes on", || container.status() == "running");
}

#[test]
fn an_interval_of_nothing_is_an_error() {
    let runtime = Runtime::new();
    if !runtime.needs_groups() {
        return;
    }
    let container = idle(&runtime, same);
    assert_ne!(container.call_with("events", &["--interval", "0s"], &[]).code, 0);
}

#[test]
fn of_no_container_is_an_error() {
    let runtime = Runtime::new();
    assert_ne!(Container::named(&runtime, "husk-nobody").call_with("events", &["--stats"], &[]).code, 0);
}
