//! config.json: hooks, cgroups, devices and the rest; files that are no configuration.

use super::world::{Case, RUN};
use serde_json::{Value, json};

pub fn hooks() -> Vec<Case> {
    vec![
        Case::config(
            "/hooks",
            json!({"createRuntime": [{"path": "relative"}]}),
            &["hooks.createRuntime[0].path"],
        ),
        Case::config("/hooks", json!({"createRuntime": [{"path": "/no/such/hook"}]}), &["/no/such/hook"]),
        Case::config("/hooks", json!({"createRuntime": [{"path": "/etc/passwd"}]}), &["/etc/passwd"]),
        Case::config("/hooks", json!({"createRuntime": [{"path": "/bin/false"}]}), &["createRuntime"]),
        Case::config("/hooks", json!({"createContainer": [{"path": "/bin/false"}]}), &["createContainer"]),
        Case::config(
            "/hooks",
            json!({"startContainer": [{"path": "/no/such"}]}),
            &["startContainer", "/no/such"],
        ),
        Case::config("/hooks", json!({"createRuntime": [{"args": ["x"]}]}), &["createRuntime"]),
        Case::config(
            "/hooks",
            json!({"createRuntime": [{"path": "/bin/true", "timeout": 0}]}),
            &["createRuntime", "timeout"],
        ),
        Case::config(
            "/hooks",
            json!({"createRuntime": [{"path": "/bin/sleep", "args": ["sleep", "1000"], "timeout": 1}]}),
            &["createRuntime"],
        ),
    ]
}

pub fn resources() -> Vec<Case> {
    let devices = |device: Value| Case::config("/linux/devices", json!([device]), &["devices"]);
    vec![
        devices(json!({"path": "/dev/x", "type": "z", "major": 1, "minor": 3})),
        devices(json!({"path": "relative", "type": "c", "major": 1, "minor": 3})),
        Case::config("/linux/resources/devices/0/access", json!("rwz"), &["devices[0].access", "z"]),
        Case::config("/linux/resources/devices/0/type", json!("z"), &["devices[0]", "z"]),
        Case::config("/linux/resources/memory", json!({"limit": "much"}), &["memory"]),
        Case::config("/linux/resources/cpu", json!({"shares": -1}), &["shares"]),
        Case::config("/linux/resources/pids", json!({"limit": "x"}), &["pids"]),
        Case::config("/linux/resources/unified", json!({"../cgroup.procs": "1"}), &["../cgroup.procs"]),
        Case::config("/linux/resources/unified", json!({"memory.max": 5}), &["unified"]),
        Case::config("/linux/cgroupsPath", json!(5), &["cgroupsPath"]),
        Case::config("/linux/intelRdt", json!({"closID": "x"}), &["intelRdt"]),
    ]
}

pub fn others() -> Vec<Case> {
    let document = |content: &str, words| Case::file(RUN, content, words);
    vec![
        Case::config("/linux/sysctl", json!({"vm.swappiness": "1"}), &["vm.swappiness"]),
        Case::config("/linux/sysctl", json!({"kernel.shm_rmid_forced": 1}), &["sysctl"]),
        Case::config(
            "/linux/sysctl",
            json!({"net.ipv4.no_such_thing": "1"}),
            &["linux.sysctl", "no_such_thing"],
        ),
        Case::config("/linux/namespaces", json!([{"type": "mount"}]), &["hostname"]),
        Case::config("/linux/personality", json!({"domain": "NOPE"}), &["personality"]),
        Case::config("/process/scheduler", json!({"policy": "SCHED_NOPE"}), &["scheduler"]),
        Case::config(
            "/process/scheduler",
            json!({"policy": "SCHED_DEADLINE", "runtime": 5000, "deadline": 4000}),
            &["scheduler.runtime", "deadline"],
        ),
        Case::config(
            "/process/ioPriority",
            json!({"class": "IOPRIO_CLASS_NOPE", "priority": 1}),
            &["ioPriority"],
        ),
        Case::config("/ociVersion", json!("7.0.0"), &["ociVersion"]),
        Case::config("/ociVersion", json!("x"), &["ociVersion"]),
        Case::config("/ociVersion", json!(1), &["ociVersion"]),
        Case::config("/linux", json!("x"), &["linux"]),
        Case::config("/annotations", json!({"a": 1}), &["annotations"]),
        document("", &["config.json"]),
        document("[]", &["config.json"]),
        document("{\"ociVersion\": \"1.0.2\", \"process\": {\"cwd\": ", &["config.json"]),
        document("{\"ociVersion\": \"1.0.2\"}", &["root"]),
    ]
}
