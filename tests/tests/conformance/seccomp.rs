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

/// What a runtime and a shell need between the load of a filter and the end, by names of this machine's calls.
const COMMON: &[&str] = &[
    "accept4",
    "access",
    "arch_prctl",
    "bind",
    "brk",
    "capget",
    "capset",
    "chdir",
    "clock_gettime",
    "clone",
    "clone3",
    "close",
    "close_range",
    "connect",
    "dup",
    "dup2",
    "dup3",
    "epoll_create1",
    "epoll_ctl",
    "epoll_pwait",
    "eventfd2",
    "execve",
    "execveat",
    "exit",
    "exit_group",
    "faccessat",
    "faccessat2",
    "fchdir",
    "fchown",
    "fcntl",
    "fgetxattr",
    "fork",
    "fstat",
    "fstatfs",
    "futex",
    "getcwd",
    "getdents64",
    "getegid",
    "geteuid",
    "getgid",
    "getgroups",
    "getpgid",
    "getpgrp",
    "getpid",
    "getppid",
    "getrandom",
    "getrlimit",
    "getsid",
    "getsockopt",
    "gettid",
    "getuid",
    "ioctl",
    "keyctl",
    "kill",
    "lseek",
    "lstat",
    "madvise",
    "membarrier",
    "mmap",
    "mprotect",
    "mremap",
    "munmap",
    "nanosleep",
    "newfstatat",
    "open",
    "openat",
    "openat2",
    "pidfd_open",
    "pidfd_send_signal",
    "pipe",
    "pipe2",
    "poll",
    "ppoll",
    "prctl",
    "pread64",
    "prlimit64",
    "read",
    "readlink",
    "readlinkat",
    "readv",
    "recvfrom",
    "recvmsg",
    "restart_syscall",
    "rseq",
    "rt_sigaction",
    "rt_sigpending",
    "rt_sigprocmask",
    "rt_sigreturn",
    "rt_sigsuspend",
    "rt_sigtimedwait",
    "sched_getaffinity",
    "sched_setaffinity",
    "sched_yield",
    "seccomp",
    "sendmsg",
    "sendto",
    "setgid",
    "setgroups",
    "setpgid",
    "setresgid",
    "setresuid",
    "setrlimit",
    "setsid",
    "setuid",
    "set_robust_list",
    "set_tid_address",
    "sigaltstack",
    "socket",
    "socketpair",
    "stat",
    "statfs",
    "statx",
    "sysinfo",
    "tgkill",
    "time",
    "umask",
    "uname",
    "unlink",
    "unlinkat",
    "vfork",
    "wait4",
    "waitid",
    "write",
    "writev",
];

/// A profile that allows these calls alone.
fn allow_list(more: Value) -> Value {
    let mut profile = json!({"defaultAction": "SCMP_ACT_ERRNO",
        "syscalls": [{"names": COMMON, "action": "SCMP_ACT_ALLOW"}]});
    profile.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    profile
}

#[test]
fn an_allow_list_refuses_the_rest_with_eperm() {
    let done = under(allow_list(json!({})), "echo ran; mkdir /x").expect_code(1);
    assert!(done.text() == "ran" && done.stderr.contains("Operation not permitted"), "{done:?}");
}

#[test]
fn the_default_error_number() {
    let done = under(allow_list(json!({"defaultErrnoRet": 28})), "echo ran; mkdir /x").expect_code(1);
    assert!(done.text() == "ran" && done.stderr.contains("No space left on device"), "{done:?}");
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
