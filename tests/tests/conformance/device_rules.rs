//! `linux.resources.devices`: which devices a container may open or make, whatever nodes it has.
//!
//! `/dev/kmsg` (1:11) is the example: every host has it, no container does.

use super::{capable, idle, output};
use husk_tests::{Bundle, Runtime};
use serde_json::{Value, json};

/// Tries to make, read and write 1:11 under these rules: the letters of what works.
fn letters(rules: Value) -> String {
    let script = "(mknod /k c 1 11) 2>/dev/null && printf m; ls /k >/dev/null 2>&1 || exit 0; \
                  (: </k) 2>/dev/null && printf r; (: >>/k) 2>/dev/null && printf w; echo";
    output(script, |bundle: &mut Bundle| {
        capable(bundle, &["CAP_MKNOD", "CAP_SYSLOG", "CAP_DAC_OVERRIDE"])
            .set("/linux/resources/devices", rules)
    })
}

fn deny() -> Value {
    json!({"allow": false, "access": "rwm"})
}

fn rule(allow: bool, access: &str) -> Value {
    json!({"allow": allow, "type": "c", "major": 1, "minor": 11, "access": access})
}

macro_rules! groups {
    () => {
        if !Runtime::new().needs_groups() {
            return;
        }
    };
}

#[test]
fn what_is_denied_cannot_be_opened() {
    groups!();
    let shown = letters(json!([deny()]));
    assert!(!shown.contains('r') && !shown.contains('w'), "{shown}");
}

#[test]
fn reading_alone() {
    groups!();
    let shown = letters(json!([deny(), rule(true, "rm")]));
    assert_eq!(shown, "mr");
}

#[test]
fn reading_and_writing() {
    groups!();
    assert_eq!(letters(json!([deny(), rule(true, "rwm")])), "mrw");
}

#[test]
fn a_later_rule_wins() {
    groups!();
    let shown = letters(json!([deny(), rule(true, "rwm"), rule(false, "w")]));
    assert_eq!(shown, "mr");
}

#[test]
fn everything_is_allowed() {
    groups!();
    assert_eq!(letters(json!([{"allow": true, "access": "rwm"}])), "mrw");
}

#[test]
fn all_minors_of_a_major() {
    groups!();
    assert_eq!(letters(json!([deny(), {"allow": true, "type": "c", "major": 1, "access": "rwm"}])), "mrw");
}

#[test]
fn a_rule_for_block_devices_is_not_for_character_devices() {
    groups!();
    let shown =
        letters(json!([deny(), {"allow": true, "type": "b", "major": 1, "minor": 11, "access": "rwm"}]));
    assert!(!shown.contains('r') && !shown.contains('w'), "{shown}");
}

#[test]
fn default_devices_work_whatever_is_denied() {
    groups!();
    let shown = output(
        "echo >/dev/null && head -c 2 /dev/zero | wc -c && head -c 2 /dev/urandom | wc -c",
        |bundle| bundle.set("/linux/resources/devices", json!([deny()])),
    );
    assert_eq!(shown, "2\n2");
}

#[test]
fn pseudo_terminals_work_whatever_is_denied() {
    groups!();
    let shown = output("(: <>/dev/ptmx) && echo opened", |bundle| {
        bundle.set("/linux/resources/devices", json!([deny()]))
    });
    assert_eq!(shown, "opened");
}

#[test]
fn rules_hold_for_exec_too() {
    groups!();
    let runtime = Runtime::new();
    let container = idle(&runtime, |bundle| {
        capable(bundle, &["CAP_MKNOD", "CAP_SYSLOG"])
            .set("/linux/resources/devices", json!([deny(), rule(true, "rm")]))
    });
    let done = container.sh("mknod /k c 1 11; (: </k) && echo read; (: >>/k) 2>&1");
    assert!(done.stdout.contains("read") && done.stdout.contains("not permitted"), "{done:?}");
}

#[test]
fn a_listed_device_needs_a_rule_of_its_own() {
    // linux.devices makes the node; only the rules say who may use it.
    groups!();
    let shown = output("(: </dev/k) 2>/dev/null || echo denied", |bundle| {
        bundle.push(
            "/linux/devices",
            json!({"path": "/dev/k", "type": "c", "major": 1, "minor": 11, "fileMode": 0o666}),
        );
        capable(bundle, &["CAP_SYSLOG"]).set("/linux/resources/devices", json!([deny()]))
    });
    assert_eq!(shown, "denied");
}
