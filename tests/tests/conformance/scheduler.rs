//! `process.scheduler`.

use super::{idle, output, refused};
use husk_tests::Runtime;
use serde_json::{Value, json};

/// Nice value and policy (sched(7): 0 other, 3 batch, 5 idle) of the program.
fn shown(scheduler: Value) -> String {
    output("cut -d' ' -f19,41 /proc/self/stat", |bundle| bundle.set("/process/scheduler", scheduler))
}

#[test]
fn batch_with_a_nice_value() {
    assert_eq!(shown(json!({"policy": "SCHED_BATCH", "nice": 3})), "3 3");
}

#[test]
fn other_with_a_nice_value() {
    assert_eq!(shown(json!({"policy": "SCHED_OTHER", "nice": 7})), "7 0");
}

#[test]
fn idle_policy() {
    // It has no nice value that counts.
    let shown = shown(json!({"policy": "SCHED_IDLE"}));
    assert!(shown.ends_with(" 5"), "{shown}");
}

#[test]
fn exec_has_it_too() {
    let runtime = Runtime::new();
    let container = idle(&runtime, |bundle| {
        bundle.set("/process/scheduler", json!({"policy": "SCHED_BATCH", "nice": 4}))
    });
    assert_eq!(container.exec(&["cut", "-d ", "-f19,41", "/proc/self/stat"]).ok().text(), "4 3");
}

#[test]
fn a_policy_that_there_is_not_is_an_error() {
    refused(|bundle| bundle.set("/process/scheduler", json!({"policy": "SCHED_LATER"})));
}

#[test]
fn a_flag_that_there_is_not_is_an_error() {
    refused(|bundle| {
        bundle.set("/process/scheduler", json!({"policy": "SCHED_OTHER", "flags": ["SCHED_FLAG_NOPE"]}))
    });
}

#[test]
fn a_priority_without_real_time_is_an_error() {
    refused(|bundle| bundle.set("/process/scheduler", json!({"policy": "SCHED_OTHER", "priority": 5})));
}
