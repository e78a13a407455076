//! `process.ioPriority`.

use super::{idle, output, refused};
use husk_tests::Runtime;
use serde_json::{Value, json};

fn shown(value: Value) -> String {
    output("busybox ionice -p 1", |bundle| bundle.set("/process/ioPriority", value))
}

#[test]
fn best_effort() {
    assert_eq!(shown(json!({"class": "IOPRIO_CLASS_BE", "priority": 6})), "best-effort: prio 6");
}

#[test]
fn idle_class() {
    assert!(shown(json!({"class": "IOPRIO_CLASS_IDLE", "priority": 0})).starts_with("idle"));
}

#[test]
fn exec_has_it_too() {
    let runtime = Runtime::new();
    let container = idle(&runtime, |bundle| {
        bundle.set("/process/ioPriority", json!({"class": "IOPRIO_CLASS_BE", "priority": 5}))
    });
    assert_eq!(container.sh("busybox ionice -p $$").ok().text(), "best-effort: prio 5");
}

#[test]
fn a_class_that_there_is_not_is_an_error() {
    refused(|bundle| bundle.set("/process/ioPriority", json!({"class": "IOPRIO_CLASS_NOPE", "priority": 1})));
}

#[test]
fn a_priority_beyond_seven_is_an_error() {
    refused(|bundle| bundle.set("/process/ioPriority", json!({"class": "IOPRIO_CLASS_BE", "priority": 8})));
}
