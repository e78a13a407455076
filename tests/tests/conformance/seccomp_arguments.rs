//! `linux.seccomp.syscalls[].args`: comparisons of arguments. chmod's mode is what is compared.

use super::{refused, run};
use husk_tests::Bundle;
use serde_json::{Value, json};

/// Modes of which chmod is refused under a comparison of its mode; the C library may use any of three calls.
fn denied(op: &str, value: u64, two: u64) -> Vec<u32> {
    let arg = |index: u32| json!([{"index": index, "value": value, "valueTwo": two, "op": op}]);
    let profile = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["chmod", "fchmod"], "action": "SCMP_ACT_ERRNO", "args": arg(1)},
        {"names": ["fchmodat", "fchmodat2"], "action": "SCMP_ACT_ERRNO", "args": arg(2)}]});
    let done = run(
        "touch /f; for m in 600 640 644 4755; do chmod $m /f 2>/dev/null || echo $m; done; true",
        |bundle: &mut Bundle| bundle.set("/linux/seccomp", profile),
    )
    .ok();
    done.stdout.lines().map(|line| line.parse().unwrap()).collect()
}

#[test]
fn equal() {
    assert_eq!(denied("SCMP_CMP_EQ", 0o640, 0), [640]);
}

#[test]
fn not_equal() {
    assert_eq!(denied("SCMP_CMP_NE", 0o640, 0), [600, 644, 4755]);
}

#[test]
fn less() {
    assert_eq!(denied("SCMP_CMP_LT", 0o640, 0), [600]);
}

#[test]
fn less_or_equal() {
    assert_eq!(denied("SCMP_CMP_LE", 0o640, 0), [600, 640]);
}

#[test]
fn greater() {
    assert_eq!(denied("SCMP_CMP_GT", 0o640, 0), [644, 4755]);
}

#[test]
fn greater_or_equal() {
    assert_eq!(denied("SCMP_CMP_GE", 0o640, 0), [640, 644, 4755]);
}

#[test]
fn equal_under_a_mask() {
    assert_eq!(denied("SCMP_CMP_MASKED_EQ", 0o4000, 0o4000), [4755]);
    assert_eq!(denied("SCMP_CMP_MASKED_EQ", 0o044, 0o040), [640]);
}

#[test]
fn all_64_bits_are_compared() {
    // The low half of the value is 0640; the high half is not.
    assert_eq!(denied("SCMP_CMP_EQ", 0x1_0000_0000 | 0o640, 0), [0_u32; 0]);
    assert_eq!(denied("SCMP_CMP_LT", 0x1_0000_0000, 0), [600, 640, 644, 4755]);
}

/// Whether `kill -0 1` and `kill -KILL` of a child work under comparisons of their two arguments.
fn killed(args: Value) -> bool {
    let profile = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["kill"], "action": "SCMP_ACT_ERRNO", "args": args}]});
    let done = run("sleep 1000 & p=$!; kill -0 1 && kill -KILL $p && echo killed", |bundle| {
        bundle.set("/linux/seccomp", profile)
    });
    done.text() == "killed"
}

#[test]
fn several_comparisons_must_all_hold() {
    let both =
        json!([{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}, {"index": 1, "value": 9, "op": "SCMP_CMP_EQ"}]);
    // Neither call has pid 1 and signal 9 at once.
    assert!(killed(both));
    let signal =
        json!([{"index": 0, "value": 1, "op": "SCMP_CMP_GT"}, {"index": 1, "value": 9, "op": "SCMP_CMP_EQ"}]);
    assert!(!killed(signal));
}

#[test]
fn comparisons_of_the_same_argument_are_alternatives() {
    // runc's way since docker's profiles: one rule with an argument twice is two rules.
    let either =
        json!([{"index": 1, "value": 0, "op": "SCMP_CMP_EQ"}, {"index": 1, "value": 9, "op": "SCMP_CMP_EQ"}]);
    assert!(!killed(either));
    // Neither of two that never hold.
    let neither =
        json!([{"index": 1, "value": 5, "op": "SCMP_CMP_EQ"}, {"index": 1, "value": 6, "op": "SCMP_CMP_EQ"}]);
    assert!(killed(neither));
}

#[test]
fn an_index_beyond_the_arguments_is_an_error() {
    let args = json!([{"index": 6, "value": 0, "op": "SCMP_CMP_EQ"}]);
    let profile = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["kill"], "action": "SCMP_ACT_ERRNO", "args": args}]});
    refused(|bundle| bundle.set("/linux/seccomp", profile));
}

#[test]
fn an_operator_that_there_is_not_is_an_error() {
    let args = json!([{"index": 0, "value": 0, "op": "SCMP_CMP_NOPE"}]);
    let profile = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["kill"], "action": "SCMP_ACT_ERRNO", "args": args}]});
    refused(|bundle| bundle.set("/linux/seccomp", profile));
}
