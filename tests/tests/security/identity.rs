//! Users, capabilities, sysctls and annotations: values that are taken for other values.

use husk_tests::{Bundle, Runtime};
use serde_json::json;

/// Users that have once been parsed into somebody else: most often into root.
#[test]
fn cve_2026_30892_exec_user_is_parsed_strictly() {
    let runtime = Runtime::husk();
    let bundle = Bundle::new(&["sleep", "1000"]);
    let container = runtime.start(&bundle);
    let wrong = [
        "",
        ":",
        "1000:",
        ":0",
        "1000:x",
        "x",
        "ann",
        "1000 ",
        " 1000",
        "+1000",
        "-1",
        "0x10",
        "1e3",
        "1000:1000:0",
        "4294967295",
        "4294967296",
        "18446744073709551616",
        "1000:4294967296",
        "1000\n0",
        "٣",
    ];
    for user in wrong {
        let flag = format!("--user={user}");
        let done = container.call_with("exec", &[&flag], &["id", "-u"]);
        assert_ne!(done.code, 0, "user {user:?} was taken: {done:?}");
        assert_eq!(done.text(), "", "user {user:?} ran");
    }
    for (user, uid, gid) in [("1000", "1000", "0"), ("1000:50", "1000", "50"), ("0", "0", "0")] {
        let flag = format!("--user={user}");
        let done = container.call_with("exec", &[&flag], &["sh", "-c", "id -u; id -g"]).ok();
        assert_eq!(done.stdout.split_whitespace().collect::<Vec<_>>(), [uid, gid], "user {user}");
    }
}

/// Numbers past 32 bits must not wrap around to root.
#[test]
fn cve_2024_40635_numeric_users_do_not_overflow() {
    let runtime = Runtime::husk();
    for uid in
        [json!(4_294_967_296_u64), json!(-1), json!(18_446_744_073_709_551_615_u64), json!("0"), json!(0.5)]
    {
        for field in ["/process/user/uid", "/process/user/gid"] {
            let mut bundle = Bundle::new(&["id", "-u"]);
            bundle.set(field, uid.clone());
            let done = runtime.run(&bundle);
            assert_ne!(done.code, 0, "{field} {uid} was taken: {done:?}");
            assert_eq!(done.text(), "");
        }
    }
}

/// Lengths in the messages between parent and child: a 10 MB hook argument or environment does not corrupt them.
#[test]
fn cve_2021_43784_long_values_do_not_overflow() {
    let runtime = Runtime::husk();
    let mut bundle = Bundle::new(&["sh", "-c", "id -u; echo ${#LONG}"]);
    bundle.push("/process/env", json!(format!("LONG={}", "x".repeat(100_000))));
    bundle.set("/process/user/uid", 1000);
    let done = runtime.run(&bundle).ok();
    assert_eq!(done.stdout.split_whitespace().collect::<Vec<_>>(), ["1000", "100000"]);
    // One string longer than the kernel takes (128 KiB) is an error, not a truncated value.
    bundle.push("/process/env", json!(format!("HUGE={}", "x".repeat(10_000_000))));
    assert_ne!(runtime.run(&bundle).code, 0);
}

/// Inheritable capabilities would pass to any program with file capabilities.
#[test]
fn cve_2022_29162_inheritable_capabilities_are_empty() {
    let runtime = Runtime::new();
    let bundle = Bundle::script("grep CapInh /proc/self/status; sleep 1000");
    let container = runtime.start(&bundle);
    for pid in ["1", "self"] {
        let done = container.exec(&["grep", "CapInh", &format!("/proc/{pid}/status")]).ok();
        assert_eq!(done.text().split_whitespace().last(), Some("0000000000000000"), "{done:?}");
    }
    let done =
        container.call_with("exec", &["--cap", "CAP_SYS_PTRACE"], &["grep", "Cap", "/proc/self/status"]).ok();
    let inheritable = done.stdout.lines().find(|line| line.starts_with("CapInh"));
    assert_eq!(inheritable.and_then(|line| line.split_whitespace().last()), Some("0000000000000000"));
}

/// One sysctl's value that sets another, and keys that are the whole machine's.
#[test]
fn cve_2022_0811_sysctls_set_only_themselves() {
    let runtime = Runtime::husk();
    let before = std::fs::read_to_string("/proc/sys/kernel/core_pattern").expect("core_pattern");
    let wrong = [
        ("kernel.shm_rmid_forced", "1+kernel.core_pattern=|/evil"),
        ("kernel.shm_rmid_forced", "1\nkernel.core_pattern=|/evil"),
        ("kernel.core_pattern", "|/evil"),
        ("kernel/core_pattern", "|/evil"),
        ("net.ipv4/../../kernel.core_pattern", "|/evil"),
        ("net.../../kernel/core_pattern", "|/evil"),
        ("kernel.shm_rmid_forced/../core_pattern", "|/evil"),
        ("vm.swappiness", "10"),
        ("", "1"),
    ];
    for (key, value) in wrong {
        let mut bundle = Bundle::new(&["true"]);
        bundle.set("/linux/sysctl", json!({ key: value }));
        let done = runtime.run(&bundle);
        assert_ne!(done.code, 0, "{key} = {value:?} was taken");
        let after = std::fs::read_to_string("/proc/sys/kernel/core_pattern").expect("core_pattern");
        assert_eq!(after, before);
    }
    let mut bundle = Bundle::new(&["cat", "/proc/sys/kernel/shm_rmid_forced"]);
    bundle.set("/linux/sysctl", json!({"kernel.shm_rmid_forced": "1"}));
    assert_eq!(runtime.run(&bundle).ok().text(), "1");
}

/// Annotations are the pod author's: none of them changes what the runtime does.
#[test]
fn cve_2024_3154_annotations_are_no_properties() {
    let runtime = Runtime::husk();
    let show =
        "id -u; grep -E 'Cap|NoNewPrivs|Seccomp:' /proc/self/status; ls /; cat /proc/self/mountinfo | wc -l";
    let mut bundle = Bundle::script(show);
    let plain = runtime.run(&bundle).ok();
    bundle.set(
        "/annotations",
        json!({
            "org.systemd.property.ExecStart": "('/bin/touch','/evil')",
            "org.systemd.property.DevicePolicy": "'auto'",
            "run.oci.keep_original_groups": "1",
            "run.oci.hooks.stderr": "/etc/evil",
            "run.oci.handler": "krun",
            "io.kubernetes.cri-o.TrySkipVolumeSELinuxLabel": "true",
        }),
    );
    assert_eq!(runtime.run(&bundle).ok().stdout, plain.stdout);
}
