//! config.json: the process, its file systems, namespaces and seccomp.

use super::world::{Case, profile, rule};
use serde_json::{Value, json};

pub fn process() -> Vec<Case> {
    vec![
        Case::config("/process", Value::Null, &["process"]),
        Case::config("/process/args", json!([]), &["process.args"]),
        Case::config("/process/args", json!("sh"), &["args"]),
        Case::config("/process/args", json!([""]), &["process.args"]),
        Case::config("/process/args", json!(["a\0b"]), &["process.args"]),
        Case::config("/process/cwd", json!("relative"), &["process.cwd"]),
        Case::config("/process/cwd", json!(""), &["process.cwd"]),
        Case::config("/process/cwd", json!("/etc/passwd"), &["/etc/passwd"]),
        Case::config("/process/env", json!({"A": "b"}), &["env"]),
        Case::config("/process/env", json!(["A=b\0c"]), &["process.env"]),
        Case::config("/process/user/uid", json!(-1), &["uid"]),
        Case::config("/process/user/uid", json!(4_294_967_296_u64), &["uid"]),
        Case::config("/process/user/uid", json!("root"), &["uid"]),
        Case::config("/process/user/gid", json!(1.5), &["gid"]),
        Case::config("/process/user/additionalGids", json!([-1]), &["additionalGids"]),
        Case::config("/process/terminal", json!("yes"), &["terminal"]),
        Case::config("/process/noNewPrivileges", json!("true"), &["noNewPrivileges"]),
        Case::config("/process/oomScoreAdj", json!(5000), &["oomScoreAdj", "5000"]),
    ]
}

pub fn rights() -> Vec<Case> {
    vec![
        Case::config("/process/capabilities/bounding", json!(["CAP_NOPE"]), &["CAP_NOPE"]),
        Case::config("/process/capabilities", json!(["CAP_KILL"]), &["capabilities"]),
        Case::config(
            "/process/rlimits",
            json!([{"type": "RLIMIT_NOPE", "hard": 1, "soft": 1}]),
            &["RLIMIT_NOPE"],
        ),
        Case::config(
            "/process/rlimits",
            json!([{"type": "RLIMIT_NOFILE", "hard": 1, "soft": 2}]),
            &["rlimits[0]"],
        ),
        Case::config(
            "/process/rlimits",
            json!([{"type": "RLIMIT_CORE", "hard": 1, "soft": 1}, {"type": "RLIMIT_CORE", "hard": 0, "soft": 0}]),
            &["RLIMIT_CORE"],
        ),
        Case::config("/process/rlimits/0/soft", json!(-1), &["soft"]),
    ]
}

pub fn mounts() -> Vec<Case> {
    vec![
        Case::config("/root", Value::Null, &["root"]),
        Case::config("/root/path", json!("no-such-folder"), &["no-such-folder"]),
        Case::config("/root/path", json!("config.json"), &["config.json"]),
        Case::config("/root/path", json!(""), &["root.path"]),
        Case::config("/root/readonly", json!(1), &["readonly"]),
        Case::config("/mounts", json!({}), &["mounts"]),
        Case::config("/mounts/0/destination", json!(""), &["mounts[0].destination"]),
        Case::config("/mounts/0/destination", json!("/"), &["mounts[0].destination"]),
        Case::config("/mounts/0/type", json!("nofs"), &["mounts[0]", "nofs"]),
        Case::config("/mounts/1/options", json!(["size=much"]), &["mounts[1]", "size=much"]),
        Case::config("/mounts/1/options", json!(["no-such-option"]), &["mounts[1]", "no-such-option"]),
        Case::config(
            "/mounts/1",
            json!({"destination": "/mnt", "type": "bind", "options": ["bind"]}),
            &["mounts[1].source"],
        ),
        Case::config(
            "/mounts/1",
            json!({"destination": "/mnt", "type": "bind", "source": "/no/such", "options": ["bind"]}),
            &["/no/such"],
        ),
        Case::config(
            "/mounts/1",
            json!({"destination": "/bin/busybox", "type": "bind", "source": "/etc", "options": ["bind"]}),
            &["/bin/busybox"],
        ),
        Case::config("/mounts/1", json!({"destination": "/mnt", "source": "x"}), &["mounts[1].type"]),
        Case::config("/linux/rootfsPropagation", json!("sideways"), &["rootfsPropagation", "sideways"]),
        Case::config("/linux/maskedPaths", json!(["relative"]), &["maskedPaths[0]", "relative"]),
        Case::config("/linux/readonlyPaths", json!(["relative"]), &["readonlyPaths[0]", "relative"]),
    ]
}

pub fn namespaces() -> Vec<Case> {
    vec![
        Case::config("/linux/namespaces/0/type", json!("netz"), &["netz"]),
        Case::config("/linux/namespaces/1", json!({"type": "pid"}), &["namespaces[1]", "pid"]),
        Case::config("/linux/namespaces/1/path", json!("/no/such/netns"), &["/no/such/netns"]),
        Case::config("/linux/namespaces/1/path", json!("/proc/self/ns/uts"), &["/proc/self/ns/uts"]),
        Case::config("/linux/namespaces/1/path", json!("/etc/passwd"), &["/etc/passwd"]),
        Case::config("/linux/namespaces/1/path", json!("relative"), &["namespaces[1].path"]),
        Case::config(
            "/linux/uidMappings",
            json!([{"containerID": 0, "hostID": 0, "size": 1}]),
            &["uidMappings"],
        ),
        Case::config("/linux/namespaces/0", json!({"type": "user"}), &["Mappings"]),
        Case::config("/linux/timeOffsets", json!({"boottime": {"secs": 5}}), &["timeOffsets"]),
        Case::config("/hostname", json!("x".repeat(65)), &["hostname"]),
        Case::config("/domainname", json!("x".repeat(65)), &["domainname"]),
    ]
}

pub fn seccomp() -> Vec<Case> {
    vec![
        Case::config(
            "/linux/seccomp",
            profile(json!({"defaultAction": "SCMP_ACT_NOPE"})),
            &["SCMP_ACT_NOPE"],
        ),
        Case::config(
            "/linux/seccomp",
            profile(json!({"architectures": ["SCMP_ARCH_NOPE"]})),
            &["SCMP_ARCH_NOPE"],
        ),
        Case::config(
            "/linux/seccomp",
            profile(json!({"flags": ["SECCOMP_FILTER_FLAG_NOPE"]})),
            &["SECCOMP_FILTER_FLAG_NOPE"],
        ),
        Case::config("/linux/seccomp", rule(json!({"action": "SCMP_ACT_NOPE"})), &["SCMP_ACT_NOPE"]),
        Case::config(
            "/linux/seccomp",
            rule(json!({"args": [{"index": 7, "value": 0, "op": "SCMP_CMP_EQ"}]})),
            &["seccomp"],
        ),
        Case::config(
            "/linux/seccomp",
            rule(json!({"args": [{"index": 0, "value": 0, "op": "SCMP_CMP_NOPE"}]})),
            &["SCMP_CMP_NOPE"],
        ),
        Case::config("/linux/seccomp", json!({"syscalls": []}), &["defaultAction"]),
        Case::config("/linux/seccomp", json!("unconfined"), &["seccomp"]),
    ]
}
