//! `linux.seccomp`: actions, error numbers, architectures, flags.

use super::{output, refused, run};
use husk_tests::{Bundle, Done};
use serde_json::{Value, json};

/// A profile that allows everything but these calls.
fn except(names: &[&str], rule: Value) -> Value {
    let mut one = json!({"names": names, "action": "SCMP_ACT_ERRNO"});
    one.as_object_mut().unwrap().extend(rule.as_object().unwrap().clone());
    json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [one]})
}

fn under(profile: Value, script: &str) -> Done {
    run(script, |bundle: &mut Bundle| bundle.set("/linux/seccomp", profile))
}

const MKDIR: &[&str] = &["mkdir", "mkdirat"];

#[test]
fn an_error_is_eperm_where_none_is_named() {
    let done = under(except(MKDIR, json!({})), "mkdir /x").expect_code(1);
    assert!(done.stderr.contains("Operation not permitted"), "{done:?}");
}

#[test]
fn an_error_number_of_the_rule() {
    let done = under(except(MKDIR, json!({"errnoRet": 28})), "mkdir /x").expect_code(1);
    assert!(done.stderr.contains("No space left on device"), "{done:?}");
}

#[test]
fn what_is_not_named_is_allowed() {
    let done =
        under(except(MKDIR, json!({})), "touch /x && rm /x && echo done; grep Seccomp: /proc/self/status")
            .ok();
    assert_eq!(done.text(), "done\nSeccomp:\t2");
}

#[test]
fn a_default_error_with_a_number() {
    // mount is older than every call that a shell makes; all others are allowed by name.
    let profile = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["mount", "fsopen", "open_tree", "move_mount"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95}]});
    let done = run("mount -t tmpfs tmpfs /mnt", |bundle| {
        super::capable(bundle, &["CAP_SYS_ADMIN"]).set("/linux/seccomp", profile)
    });
    assert!(done.stderr.contains("not supported"), "{done:?}");
}

#[test]
fn killing_the_process() {
    for action in ["SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL", "SCMP_ACT_KILL_THREAD"] {
        let done = under(except(MKDIR, json!({"action": action})), "mkdir /x; echo $?").ok();
        assert_eq!(done.text(), "159", "{action}");
    }
}

#[test]
fn a_trap_is_a_signal() {
    let done = under(except(MKDIR, json!({"action": "SCMP_ACT_TRAP"})), "mkdir /x; echo $?").ok();
    assert_eq!(done.text(), "159");
}

#[test]
fn a_trace_without_a_tracer_is_enosys() {
    let done = under(except(MKDIR, json!({"action": "SCMP_ACT_TRACE"})), "mkdir /x").expect_code(1);
    assert!(done.stderr.contains("Function not implemented"), "{done:?}");
}

#[test]
fn a_logged_call_is_allowed() {
    let done = under(except(MKDIR, json!({"action": "SCMP_ACT_LOG"})), "mkdir /x && echo made").ok();
    assert_eq!(done.text(), "made");
}

#[test]
fn an_allowed_call_among_denied_ones() {
    let profile = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": MKDIR, "action": "SCMP_ACT_ERRNO"}, {"names": ["rmdir", "unlinkat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}]});
    let done = under(profile, "mkdir /x; rmdir /tmp; touch /y && echo done").ok();
    assert_eq!(done.text(), "done");
    assert!(done.stderr.contains("not permitted") && done.stderr.contains("No space"), "{done:?}");
}

#[test]
fn names_that_the_kernel_does_not_know_are_passed_over() {
    let done = under(except(&["no_such_call_of_any_kernel", "mkdir", "mkdirat"], json!({})), "mkdir /x")
        .expect_code(1);
    assert!(done.stderr.contains("not permitted"), "{done:?}");
}

#[test]
fn the_architecture_of_the_machine_among_others() {
    let mut profile = except(MKDIR, json!({}));
    profile["architectures"] = json!(["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]);
    let done = under(profile, "mkdir /x").expect_code(1);
    assert!(done.stderr.contains("not permitted"), "{done:?}");
}

#[test]
fn flags() {
    for flag in ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_TSYNC"] {
        let mut profile = except(MKDIR, json!({}));
        profile["flags"] = json!([flag]);
        let done = under(profile, "mkdir /x 2>/dev/null || echo denied").ok();
        assert_eq!(done.text(), "denied", "{flag}");
    }
}

#[test]
fn without_speculation_where_it_is_not_allowed() {
    // A filter without SPEC_ALLOW may slow the process down, never the other way.
    let mut profile = except(MKDIR, json!({}));
    profile["flags"] = json!(["SECCOMP_FILTER_FLAG_SPEC_ALLOW"]);
    let shown =
        output("grep Seccomp_filters: /proc/self/status", |bundle| bundle.set("/linux/seccomp", profile));
    assert_eq!(shown, "Seccomp_filters:\t1");
}

#[test]
fn no_profile_is_no_filter() {
    assert_eq!(output("grep Seccomp: /proc/self/status", super::same), "Seccomp:\t0");
}

#[test]
fn wrong_names_are_errors() {
    refused(|bundle| bundle.set("/linux/seccomp", json!({"defaultAction": "SCMP_ACT_NOPE"})));
    refused(|bundle| bundle.set("/linux/seccomp", except(MKDIR, json!({"action": "SCMP_ACT_NOPE"}))));
    refused(|bundle| {
        bundle.set(
            "/linux/seccomp",
            json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_NOPE"], "syscalls": []}),
        )
    });
}

#[test]
fn a_flag_that_there_is_not_is_an_error() {
    let mut profile = except(MKDIR, json!({}));
    profile["flags"] = json!(["SECCOMP_FILTER_FLAG_NOPE"]);
    refused(|bundle| bundle.set("/linux/seccomp", profile));
}

#[test]
fn a_profile_without_default_action_is_an_error() {
    refused(|bundle| {
        bundle.set("/linux/seccomp", json!({"syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}]}))
    });
}

#[test]
fn an_error_number_with_an_action_that_has_none_is_an_error() {
    // "When the action doesn't support an errno, the runtime MUST print and error and fail."
    refused(|bundle| {
        bundle.set("/linux/seccomp", except(MKDIR, json!({"action": "SCMP_ACT_KILL", "errnoRet": 28})))
    });
}

#[test]
fn a_rule_without_names_is_an_error() {
    refused(|bundle| bundle.set("/linux/seccomp", except(&[], json!({}))));
}
