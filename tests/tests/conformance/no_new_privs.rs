//! `process.noNewPrivileges`.

use super::{output, run};
use husk_tests::{Bundle, Runtime};
use serde_json::json;
use std::os::unix::fs::PermissionsExt;

const SHOW: &str = "grep NoNewPrivs /proc/self/status | tr -d '\\t'";

#[test]
fn set() {
    assert_eq!(output(SHOW, |bundle| bundle.set("/process/noNewPrivileges", true)), "NoNewPrivs:1");
}

#[test]
fn not_set() {
    assert_eq!(output(SHOW, |bundle| bundle.set("/process/noNewPrivileges", false)), "NoNewPrivs:0");
}

#[test]
fn not_set_where_nothing_is_said() {
    let shown = output(SHOW, |bundle| {
        bundle.spec["process"].as_object_mut().unwrap().remove("noNewPrivileges");
        bundle
    });
    assert_eq!(shown, "NoNewPrivs:0");
}

/// The effective user of a program with the set-user-id bit, owned by root and started by another user. busybox's programs
/// give the bit's rights away at once, so it is husk-pause that is run.
fn setuid(no_new_privs: bool) -> String {
    let runtime = Runtime::new();
    let mut bundle = Bundle::new(&["/suid"]);
    let program = bundle.rootfs().join("suid");
    std::fs::copy(husk_tests::bin("husk-pause"), &program).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o4755)).unwrap();
    bundle
        .set("/process/user", json!({"uid": 1000, "gid": 1000}))
        .set("/process/noNewPrivileges", no_new_privs);
    let container = runtime.start(&bundle);
    let status = || std::fs::read_to_string(format!("/proc/{}/status", container.pid())).unwrap();
    husk_tests::wait_until("the program waits", || {
        let status = status();
        status.starts_with("Name:\tsuid\n") && status.contains("State:\tS")
    });
    let status = status();
    let uids = status.lines().find(|line| line.starts_with("Uid:")).unwrap();
    uids.split_whitespace().nth(2).unwrap().to_owned()
}

#[test]
fn a_set_user_id_program_gains_nothing_where_set() {
    assert_eq!(setuid(true), "1000");
}

#[test]
fn a_set_user_id_program_is_root_where_not_set() {
    assert_eq!(setuid(false), "0");
}

#[test]
fn seccomp_works_without_it_too() {
    for no_new_privs in [true, false] {
        let done = run(&format!("mkdir /tmp/x; {SHOW}"), |bundle| {
            bundle.set("/process/noNewPrivileges", no_new_privs).set(
                "/linux/seccomp",
                json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
                    "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}]}),
            )
        });
        assert!(done.stderr.contains("No space left"), "{done:?}");
        assert_eq!(done.text(), format!("NoNewPrivs:{}", i32::from(no_new_privs)));
    }
}
