//! config.json: values of the wrong type, unknown names, contradictions.

use super::refused;
use husk_tests::{Bundle, Runtime};
use serde_json::{Value, json};

/// A change of the default spec, and what the message must name.
type Case = (&'static str, Value, &'static [&'static str]);

fn check(cases: &[Case]) {
    let runtime = Runtime::husk();
    for (pointer, value, words) in cases {
        let mut bundle = Bundle::new(&["echo", "it ran"]);
        bundle.set(pointer, value.clone());
        let done = runtime.run(&bundle);
        refused(&runtime, &format!("{pointer} = {value}"), &done, words);
    }
}

#[test]
fn process() {
    check(&[
        ("/process", Value::Null, &["process"]),
        ("/process/args", json!([]), &["process.args"]),
        ("/process/args", json!("sh"), &["args"]),
        ("/process/args", json!([""]), &[]),
        ("/process/args", json!(["a\0b"]), &["process.args"]),
        ("/process/cwd", json!("relative"), &["process.cwd"]),
        ("/process/cwd", json!(""), &["process.cwd"]),
        ("/process/cwd", json!("/etc/passwd"), &["/etc/passwd"]),
        ("/process/env", json!({"A": "b"}), &["env"]),
        ("/process/env", json!(["A=b\0c"]), &["process.env"]),
        ("/process/user/uid", json!(-1), &["uid"]),
        ("/process/user/uid", json!(4_294_967_296_u64), &["uid"]),
        ("/process/user/uid", json!("root"), &["uid"]),
        ("/process/user/gid", json!(1.5), &["gid"]),
        ("/process/user/additionalGids", json!([-1]), &["additionalGids"]),
        ("/process/terminal", json!("yes"), &["terminal"]),
        ("/process/noNewPrivileges", json!("true"), &["noNewPrivileges"]),
        ("/process/oomScoreAdj", json!(5000), &["oomScoreAdj", "5000"]),
    ]);
}

#[test]
fn capabilities_and_limits() {
    check(&[
        ("/process/capabilities/bounding", json!(["CAP_NOPE"]), &["CAP_NOPE"]),
        ("/process/capabilities", json!(["CAP_KILL"]), &["capabilities"]),
        ("/process/rlimits", json!([{"type": "RLIMIT_NOPE", "hard": 1, "soft": 1}]), &["RLIMIT_NOPE"]),
        ("/process/rlimits", json!([{"type": "RLIMIT_NOFILE", "hard": 1, "soft": 2}]), &["rlimits[0]"]),
        (
            "/process/rlimits",
            json!([{"type": "RLIMIT_CORE", "hard": 1, "soft": 1}, {"type": "RLIMIT_CORE", "hard": 0, "soft": 0}]),
            &["RLIMIT_CORE"],
        ),
        ("/process/rlimits/0/soft", json!(-1), &["soft"]),
    ]);
}

#[test]
fn root_and_mounts() {
    check(&[
        ("/root", Value::Null, &["root"]),
        ("/root/path", json!("no-such-folder"), &["no-such-folder"]),
        ("/root/path", json!("config.json"), &["config.json"]),
        ("/root/path", json!(""), &["root.path"]),
        ("/root/readonly", json!(1), &["readonly"]),
        ("/mounts", json!({}), &["mounts"]),
        ("/mounts/0/destination", json!(""), &["mounts[0].destination"]),
        ("/mounts/0/destination", json!("/"), &["mounts[0].destination"]),
        ("/mounts/0/type", json!("nofs"), &["mounts[0]", "nofs"]),
        ("/mounts/1/options", json!(["size=much"]), &["mounts[1]", "size=much"]),
        ("/mounts/1/options", json!(["no-such-option"]), &["mounts[1]", "no-such-option"]),
        (
            "/mounts/1",
            json!({"destination": "/mnt", "type": "bind", "options": ["bind"]}),
            &["mounts[1].source"],
        ),
        (
            "/mounts/1",
            json!({"destination": "/mnt", "type": "bind", "source": "/no/such", "options": ["bind"]}),
            &["/no/such"],
        ),
        (
            "/mounts/1",
            json!({"destination": "/bin/busybox", "type": "bind", "source": "/etc", "options": ["bind"]}),
            &["/bin/busybox"],
        ),
        ("/mounts/1", json!({"destination": "/mnt", "source": "x"}), &["mounts[1].type"]),
        ("/linux/rootfsPropagation", json!("sideways"), &["rootfsPropagation", "sideways"]),
        ("/linux/maskedPaths", json!(["relative"]), &["maskedPaths[0]", "relative"]),
        ("/linux/readonlyPaths", json!(["relative"]), &["readonlyPaths[0]", "relative"]),
    ]);
}

#[test]
fn namespaces() {
    check(&[
        ("/linux/namespaces/0/type", json!("netz"), &["netz"]),
        ("/linux/namespaces/1", json!({"type": "pid"}), &["namespaces[1]", "pid"]),
        ("/linux/namespaces/1/path", json!("/no/such/netns"), &["/no/such/netns"]),
        ("/linux/namespaces/1/path", json!("/proc/self/ns/uts"), &["/proc/self/ns/uts"]),
        ("/linux/namespaces/1/path", json!("/etc/passwd"), &["/etc/passwd"]),
        ("/linux/namespaces/1/path", json!("relative"), &["namespaces[1].path"]),
        ("/linux/uidMappings", json!([{"containerID": 0, "hostID": 0, "size": 1}]), &["uidMappings"]),
        ("/linux/namespaces/0", json!({"type": "user"}), &["Mappings"]),
        ("/linux/timeOffsets", json!({"boottime": {"secs": 5}}), &["timeOffsets"]),
        ("/hostname", json!("x".repeat(65)), &["hostname"]),
        ("/domainname", json!("x".repeat(65)), &["domainname"]),
    ]);
}

#[test]
fn hostname_without_an_own_namespace() {
    let runtime = Runtime::husk();
    for field in ["hostname", "domainname"] {
        let mut bundle = Bundle::new(&["echo", "it ran"]);
        bundle.without_namespace("uts");
        bundle.set("/hostname", Value::Null);
        bundle.set(&format!("/{field}"), "box");
        refused(&runtime, field, &runtime.run(&bundle), &[field]);
    }
    let mut bundle = Bundle::new(&["echo", "it ran"]);
    bundle.without_namespace("network");
    bundle.set("/linux/sysctl", json!({"net.ipv4.ip_forward": "1"}));
    refused(&runtime, "sysctl of the host's network", &runtime.run(&bundle), &["net.ipv4.ip_forward"]);
}

#[test]
fn seccomp() {
    let with = |change: Value| {
        let mut profile = json!({"defaultAction": "SCMP_ACT_ALLOW"});
        for (key, value) in change.as_object().expect("an object") {
            profile[key] = value.clone();
        }
        profile
    };
    let rule = |change: Value| {
        let mut rule = json!({"names": ["swapon"], "action": "SCMP_ACT_ERRNO"});
        for (key, value) in change.as_object().expect("an object") {
            rule[key] = value.clone();
        }
        with(json!({"syscalls": [rule]}))
    };
    check(&[
        ("/linux/seccomp", with(json!({"defaultAction": "SCMP_ACT_NOPE"})), &["SCMP_ACT_NOPE"]),
        ("/linux/seccomp", with(json!({"architectures": ["SCMP_ARCH_NOPE"]})), &["SCMP_ARCH_NOPE"]),
        (
            "/linux/seccomp",
            with(json!({"flags": ["SECCOMP_FILTER_FLAG_NOPE"]})),
            &["SECCOMP_FILTER_FLAG_NOPE"],
        ),
        ("/linux/seccomp", rule(json!({"action": "SCMP_ACT_NOPE"})), &["SCMP_ACT_NOPE"]),
        (
            "/linux/seccomp",
            rule(json!({"args": [{"index": 7, "value": 0, "op": "SCMP_CMP_EQ"}]})),
            &["seccomp"],
        ),
        (
            "/linux/seccomp",
            rule(json!({"args": [{"index": 0, "value": 0, "op": "SCMP_CMP_NOPE"}]})),
            &["SCMP_CMP_NOPE"],
        ),
        ("/linux/seccomp", json!({"syscalls": []}), &["defaultAction"]),
        ("/linux/seccomp", json!("unconfined"), &["seccomp"]),
    ]);
}

#[test]
fn hooks_sysctls_and_the_rest() {
    check(&[
        ("/hooks", json!({"createRuntime": [{"path": "relative"}]}), &["hooks.createRuntime[0].path"]),
        ("/hooks", json!({"createRuntime": [{"path": "/no/such/hook"}]}), &["/no/such/hook"]),
        ("/hooks", json!({"createRuntime": [{"path": "/bin/false"}]}), &["createRuntime"]),
        ("/hooks", json!({"createContainer": [{"path": "/bin/false"}]}), &["createContainer"]),
        (
            "/hooks",
            json!({"createRuntime": [{"path": "/bin/sleep", "args": ["sleep", "1000"], "timeout": 1}]}),
            &["createRuntime"],
        ),
        ("/linux/sysctl", json!({"vm.swappiness": "1"}), &["vm.swappiness"]),
        ("/linux/sysctl", json!({"kernel.shm_rmid_forced": 1}), &["sysctl"]),
        ("/linux/devices", json!([{"path": "/dev/x", "type": "z", "major": 1, "minor": 3}]), &["devices"]),
        (
            "/linux/devices",
            json!([{"path": "relative", "type": "c", "major": 1, "minor": 3}]),
            &["devices[0].path"],
        ),
        ("/linux/resources/devices/0/access", json!("rwz"), &["devices[0].access", "z"]),
        ("/linux/resources/memory", json!({"limit": "much"}), &["memory"]),
        ("/linux/resources/hugepageLimits", json!([{"pageSize": "3XB", "limit": 1}]), &["3XB"]),
        ("/linux/resources/pids", json!({"limit": "x"}), &["pids"]),
        ("/linux/resources/unified", json!({"../cgroup.procs": "1"}), &["../cgroup.procs"]),
        ("/linux/resources/unified", json!({"nope.max": "1"}), &["nope.max"]),
        ("/linux/personality", json!({"domain": "NOPE"}), &["personality"]),
        ("/linux/intelRdt", json!({"closID": "x"}), &["intelRdt"]),
        ("/process/scheduler", json!({"policy": "SCHED_NOPE"}), &["scheduler"]),
        ("/process/ioPriority", json!({"class": "IOPRIO_CLASS_NOPE", "priority": 1}), &["ioPriority"]),
        ("/ociVersion", json!("7.0.0"), &["ociVersion"]),
        ("/ociVersion", json!("x"), &["ociVersion"]),
        ("/ociVersion", json!(1), &["ociVersion"]),
        ("/linux", json!([]), &["linux"]),
        ("/annotations", json!({"a": 1}), &["annotations"]),
    ]);
}
