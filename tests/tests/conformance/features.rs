//! `features`: what the runtime says of itself.

use super::document;
use husk_tests::{Runtime, run};
use serde_json::{Value, json};

fn features() -> Value {
    document(&run(Runtime::new().command().arg("features")).ok())
}

fn has(list: &Value, name: &str) -> bool {
    list.as_array().is_some_and(|list| list.iter().any(|one| one == name))
}

#[test]
fn versions() {
    let features = features();
    assert!(
        features["ociVersionMin"].as_str().is_some_and(|version| version.starts_with("1.0")),
        "{features}"
    );
    assert!(
        features["ociVersionMax"].as_str().is_some_and(|version| version.starts_with("1.")),
        "{features}"
    );
}

#[test]
fn hooks() {
    let features = features();
    for point in ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"] {
        assert!(has(&features["hooks"], point), "{point}");
    }
}

#[test]
fn namespaces_and_capabilities() {
    let linux = features()["linux"].clone();
    for kind in ["cgroup", "ipc", "mount", "network", "pid", "user", "uts"] {
        assert!(has(&linux["namespaces"], kind), "{kind}");
    }
    assert!(has(&linux["capabilities"], "CAP_CHOWN") && has(&linux["capabilities"], "CAP_SYS_ADMIN"));
}

/// The texts of a list.
fn names(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

#[test]
fn mount_options_that_are_named_are_taken() {
    let options = features()["mountOptions"].clone();
    for option in ["ro", "bind", "rbind", "nosuid", "noexec", "rprivate"] {
        assert!(has(&options, option), "{option}");
    }
    // Those that need a mount below, a mapping, or a share of the mounts of the host's.
    let others = ["remount", "idmap", "ridmap", "shared", "rshared", "slave", "rslave"];
    let done = super::run("grep -c ' /m/' /proc/self/mountinfo", |bundle| {
        for (index, option) in names(&options).into_iter().filter(|name| !others.contains(name)).enumerate() {
            let place = format!("/m/{index}-{option}");
            if option == "bind" || option.starts_with('r') && !["ro", "rw", "relatime"].contains(&option) {
                bundle.mount(&place, "bind", "/dev/null", &["rbind", option]);
            } else {
                bundle.mount(&place, "tmpfs", "tmpfs", &[option]);
            }
        }
        bundle
    });
    assert!(done.ok().text().parse::<usize>().unwrap() > 20);
}

#[test]
fn namespaces_that_are_named_are_made() {
    let linux = features()["linux"].clone();
    for kind in names(&linux["namespaces"]) {
        let shown = super::output(
            &format!(
                "readlink /proc/self/ns/{}",
                if kind == "mount" {
                    "mnt"
                } else if kind == "network" {
                    "net"
                } else {
                    kind
                }
            ),
            |bundle| {
                if kind == "user" {
                    return super::mapped(bundle);
                }
                bundle.without_namespace(kind).push("/linux/namespaces", json!({"type": kind}))
            },
        );
        let own = std::fs::read_link(format!(
            "/proc/self/ns/{}",
            match kind {
                "mount" => "mnt",
                "network" => "net",
                _ => kind,
            }
        ));
        assert_ne!(Some(shown.as_str()), own.unwrap().to_str(), "{kind}");
    }
}

#[test]
fn seccomp_that_is_named_is_taken() {
    let seccomp = features()["linux"]["seccomp"].clone();
    let profile = |rule: Value| json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]});
    let takes = |what: &str, profile: Value| {
        let done = super::run("echo ran", |bundle| bundle.set("/linux/seccomp", profile));
        assert_eq!(done.text(), "ran", "{what}: {done:?}");
    };
    for action in names(&seccomp["actions"]) {
        if action != "SCMP_ACT_NOTIFY" {
            takes(action, profile(json!({"names": ["acct"], "action": action})));
        }
    }
    for op in names(&seccomp["operators"]) {
        let args = json!([{"index": 0, "value": 1, "valueTwo": 1, "op": op}]);
        takes(op, profile(json!({"names": ["acct"], "action": "SCMP_ACT_ERRNO", "args": args})));
    }
    let mut all = profile(json!({"names": ["acct"], "action": "SCMP_ACT_ERRNO"}));
    all["architectures"] = seccomp["archs"].clone();
    takes("archs", all.clone());
    for flag in names(&seccomp["supportedFlags"]) {
        // This one is for a profile with an agent.
        if flag != "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV" {
            all["flags"] = json!([flag]);
            takes(flag, all.clone());
        }
    }
}

#[test]
fn extensions_that_are_on_are_there() {
    let linux = features()["linux"].clone();
    assert!(linux["mountExtensions"]["idmap"]["enabled"].is_boolean(), "{linux}");
    for (member, pointer, wrong) in [
        ("netDevices", "/linux/netDevices", json!({"husk-no-such": {}})),
        ("memoryPolicy", "/linux/memoryPolicy", json!({"mode": "MPOL_NOPE"})),
    ] {
        // What it takes part in, it can refuse.
        if linux[member]["enabled"] == true || !names(&linux[member]["modes"]).is_empty() {
            super::refused(|bundle| bundle.set(pointer, wrong));
        }
    }
}

#[test]
fn groups_and_seccomp() {
    let linux = features()["linux"].clone();
    assert_eq!(linux["cgroup"]["v2"], true);
    assert_eq!(linux["seccomp"]["enabled"], true);
    for action in ["SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_NOTIFY", "SCMP_ACT_LOG"] {
        assert!(has(&linux["seccomp"]["actions"], action), "{action}");
    }
    assert!(has(&linux["seccomp"]["operators"], "SCMP_CMP_MASKED_EQ"));
    assert!(has(&linux["seccomp"]["archs"], "SCMP_ARCH_X86_64"));
}
