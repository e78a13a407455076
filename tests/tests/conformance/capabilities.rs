//! `process.capabilities`: the five sets.

use super::output;
use husk_tests::Bundle;
use serde_json::{Value, json};

/// A set by its name in /proc/self/status.
fn set(status: &str, name: &str) -> u64 {
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap()
}

/// All sets of a program with this `process.capabilities`, for a user.
fn sets(capabilities: Value, uid: u32) -> String {
    output("", |bundle: &mut Bundle| {
        bundle
            .set("/process/args", json!(["grep", "Cap", "/proc/self/status"]))
            .set("/process/capabilities", capabilities)
            .set("/process/user", json!({"uid": uid, "gid": uid}))
    })
}

const CHOWN: u64 = 1;
const FOWNER: u64 = 1 << 3;
const KILL: u64 = 1 << 5;

#[test]
fn root_has_those_of_the_sets() {
    let both = json!(["CAP_CHOWN", "CAP_KILL"]);
    let status = sets(json!({"bounding": both, "permitted": both, "effective": both}), 0);
    for name in ["CapBnd", "CapPrm", "CapEff"] {
        assert_eq!(set(&status, name), CHOWN | KILL, "{name}: {status}");
    }
    assert_eq!((set(&status, "CapInh"), set(&status, "CapAmb")), (0, 0), "{status}");
}

#[test]
fn the_bounding_set_bounds() {
    // Root's program gets at exec what the bounding set has (capabilities(7)).
    let status =
        sets(json!({"bounding": ["CAP_KILL"], "permitted": ["CAP_KILL"], "effective": ["CAP_KILL"]}), 0);
    assert_eq!(set(&status, "CapBnd"), KILL);
    assert_eq!(set(&status, "CapPrm"), KILL);
}

#[test]
fn a_user_has_none_without_ambient_ones() {
    let both = json!(["CAP_CHOWN", "CAP_KILL"]);
    let status = sets(json!({"bounding": both, "permitted": both, "effective": both}), 1000);
    assert_eq!((set(&status, "CapPrm"), set(&status, "CapEff")), (0, 0), "{status}");
    assert_eq!(set(&status, "CapBnd"), CHOWN | KILL, "{status}");
}

#[test]
fn a_user_has_the_ambient_ones() {
    let both = json!(["CAP_CHOWN", "CAP_KILL"]);
    let status = sets(
        json!({"bounding": both, "permitted": both, "effective": both, "inheritable": both, "ambient": ["CAP_KILL"]}),
        1000,
    );
    for name in ["CapAmb", "CapEff", "CapPrm"] {
        assert_eq!(set(&status, name), KILL, "{name}: {status}");
    }
}

#[test]
fn inheritable_ones_are_those_of_the_set() {
    let both = json!(["CAP_CHOWN", "CAP_KILL"]);
    let status = sets(
        json!({"bounding": both, "permitted": both, "effective": both, "inheritable": ["CAP_CHOWN"]}),
        0,
    );
    assert_eq!(set(&status, "CapInh"), CHOWN, "{status}");
}

#[test]
fn empty_sets_are_none_at_all() {
    let none = json!({"bounding": [], "permitted": [], "effective": [], "inheritable": [], "ambient": []});
    let status = sets(none, 0);
    for name in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(set(&status, name), 0, "{name}: {status}");
    }
}

#[test]
fn root_without_capabilities_may_not_what_needs_one() {
    let script =
        "chown 5 /etc/passwd 2>/dev/null || echo not chown; hostname x 2>/dev/null || echo not hostname";
    assert_eq!(output(script, |bundle| super::capable(bundle, &[])), "not chown\nnot hostname");
}

#[test]
fn root_may_what_its_capabilities_allow() {
    let script = "chown 5 /etc/passwd && stat -c %u /etc/passwd; hostname x && hostname";
    assert_eq!(output(script, |bundle| super::capable(bundle, &["CAP_CHOWN", "CAP_SYS_ADMIN"])), "5\nx");
}

#[test]
fn every_capability_of_the_kernel_can_be_had() {
    // A list of the test's own: husk's would only confirm itself.
    const NAMES: &[&str] = &[
        "CHOWN",
        "DAC_OVERRIDE",
        "DAC_READ_SEARCH",
        "FOWNER",
        "FSETID",
        "KILL",
        "SETGID",
        "SETUID",
        "SETPCAP",
        "LINUX_IMMUTABLE",
        "NET_BIND_SERVICE",
        "NET_BROADCAST",
        "NET_ADMIN",
        "NET_RAW",
        "IPC_LOCK",
        "IPC_OWNER",
        "SYS_MODULE",
        "SYS_RAWIO",
        "SYS_CHROOT",
        "SYS_PTRACE",
        "SYS_PACCT",
        "SYS_ADMIN",
        "SYS_BOOT",
        "SYS_NICE",
        "SYS_RESOURCE",
        "SYS_TIME",
        "SYS_TTY_CONFIG",
        "MKNOD",
        "LEASE",
        "AUDIT_WRITE",
        "AUDIT_CONTROL",
        "SETFCAP",
        "MAC_OVERRIDE",
        "MAC_ADMIN",
        "SYSLOG",
        "WAKE_ALARM",
        "BLOCK_SUSPEND",
        "AUDIT_READ",
        "PERFMON",
        "BPF",
        "CHECKPOINT_RESTORE",
    ];
    // Those that the test itself lacks can be had by nobody.
    let own = set(&std::fs::read_to_string("/proc/self/status").unwrap(), "CapPrm");
    let names: Vec<String> = (0..NAMES.len())
        .filter(|bit| own & (1 << bit) != 0)
        .map(|bit| format!("CAP_{}", NAMES[bit]))
        .collect();
    let all = json!(names);
    let status = sets(json!({"bounding": all, "permitted": all, "effective": all}), 0);
    assert_eq!(set(&status, "CapEff"), own, "{status}");
}

#[test]
fn what_the_caller_lacks_is_no_error() {
    // "Runtimes SHOULD NOT fail if the container configuration requests capabilities that cannot be granted."
    let own = set(&std::fs::read_to_string("/proc/self/status").unwrap(), "CapBnd");
    let some = json!(["CAP_KILL", "CAP_CHOWN"]);
    let mut bundle = Bundle::new(&["grep", "CapEff", "/proc/self/status"]);
    bundle
        .set("/process/capabilities", json!({"bounding": some, "permitted": some, "effective": some}))
        .write();
    assert_ne!(own & CHOWN, 0);
    let runtime = husk_tests::Runtime::new();
    let container = husk_tests::Container::named(&runtime, &husk_tests::unique("lacks"));
    let call = runtime.command();
    let mut command = std::process::Command::new("setpriv");
    command.args(["--bounding-set=-chown", "--inh-caps=-all", "--"]);
    for (key, value) in call.get_envs() {
        if let Some(value) = value {
            command.env(key, value);
        }
    }
    command
        .arg(call.get_program())
        .args(call.get_args())
        .args(["run", "--bundle"])
        .arg(bundle.path())
        .arg(&container.id);
    let done = husk_tests::run(&mut command).ok();
    assert_eq!(set(&done.stdout, "CapEff"), KILL, "{done:?}");
}

#[test]
fn inheritable_and_ambient_ones_need_not_be_effective() {
    let bounding = json!(["CAP_KILL", "CAP_CHOWN", "CAP_FOWNER"]);
    let status = sets(
        json!({"bounding": bounding, "permitted": ["CAP_KILL", "CAP_CHOWN"], "effective": ["CAP_KILL"],
            "inheritable": ["CAP_CHOWN", "CAP_FOWNER"], "ambient": ["CAP_CHOWN"]}),
        1000,
    );
    assert_eq!(set(&status, "CapInh"), CHOWN | FOWNER, "{status}");
    assert_eq!((set(&status, "CapAmb"), set(&status, "CapPrm")), (CHOWN, CHOWN), "{status}");
}

#[test]
fn an_ambient_one_that_is_not_inheritable_is_a_warning() {
    let both = json!(["CAP_CHOWN", "CAP_KILL"]);
    let done = super::run("grep CapAmb /proc/self/status", |bundle| {
        bundle.set(
            "/process/capabilities",
            json!({"bounding": both, "permitted": both, "effective": both, "inheritable": ["CAP_KILL"], "ambient": both}),
        )
    });
    let done = done.ok();
    assert_eq!(set(&done.stdout, "CapAmb"), KILL, "{done:?}");
    assert!(done.stderr.contains("CAP_CHOWN"), "{done:?}");
}
