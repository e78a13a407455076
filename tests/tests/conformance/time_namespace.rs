//! Time namespaces: `linux.timeOffsets`.

use super::{idle, output, refused, same};
use husk_tests::{Bundle, Runtime, skip};
use serde_json::{Value, json};

fn there() -> bool {
    let there = std::path::Path::new("/proc/self/ns/time").exists();
    if !there {
        skip("the kernel has no time namespaces");
    }
    there
}

fn offset(bundle: &mut Bundle, offsets: Value) -> &mut Bundle {
    bundle.push("/linux/namespaces", json!({"type": "time"})).set("/linux/timeOffsets", offsets)
}

#[test]
fn a_new_one() {
    if !there() {
        return;
    }
    let host = std::fs::read_link("/proc/self/ns/time").unwrap();
    let shown = output("readlink /proc/self/ns/time", |bundle| {
        bundle.push("/linux/namespaces", json!({"type": "time"}))
    });
    assert_ne!(shown, host.to_str().unwrap());
    assert_eq!(output("readlink /proc/self/ns/time", same), host.to_str().unwrap());
}

#[test]
fn an_offset_of_boottime() {
    if !there() {
        return;
    }
    let shown =
        output("cat /proc/uptime", |bundle| offset(bundle, json!({"boottime": {"secs": 100_000_000}})));
    let uptime: f64 = shown.split_whitespace().next().unwrap().parse().unwrap();
    assert!(uptime > 1e8, "{uptime}");
}

#[test]
fn offsets_of_both_clocks_with_nanoseconds() {
    if !there() {
        return;
    }
    let shown = output("tr -s ' ' </proc/self/timens_offsets", |bundle| {
        offset(
            bundle,
            json!({"boottime": {"secs": 7, "nanosecs": 8}, "monotonic": {"secs": 5, "nanosecs": 6}}),
        )
    });
    assert_eq!(shown, "monotonic 5 6\nboottime 7 8");
}

#[test]
fn a_negative_offset() {
    if !there() {
        return;
    }
    let shown = output("tr -s ' ' </proc/self/timens_offsets", |bundle| {
        offset(bundle, json!({"monotonic": {"secs": -1}}))
    });
    assert!(shown.contains("monotonic -1 0"), "{shown}");
}

#[test]
fn exec_is_in_it_too() {
    if !there() {
        return;
    }
    let runtime = Runtime::new();
    let container = idle(&runtime, |bundle| offset(bundle, json!({"boottime": {"secs": 100_000_000}})));
    let done = container.exec(&["cat", "/proc/uptime"]).ok();
    let uptime: f64 = done.text().split_whitespace().next().unwrap().parse().unwrap();
    assert!(uptime > 1e8, "{uptime}");
}

#[test]
fn that_of_another_container_can_be_joined() {
    if !there() {
        return;
    }
    let runtime = Runtime::new();
    let container = idle(&runtime, |bundle| offset(bundle, json!({"boottime": {"secs": 100_000_000}})));
    let path = format!("/proc/{}/ns/time", container.pid());
    let expected = std::fs::read_link(&path).unwrap();
    let shown = output("readlink /proc/self/ns/time", |bundle| bundle.join_namespace("time", path.as_ref()));
    assert_eq!(shown, expected.to_str().unwrap());
}

#[test]
fn offsets_without_one_are_an_error() {
    refused(|bundle| bundle.set("/linux/timeOffsets", json!({"boottime": {"secs": 5}})));
}

#[test]
fn a_clock_that_has_no_offset_is_an_error() {
    refused(|bundle| offset(bundle, json!({"realtime": {"secs": 5}})));
}
