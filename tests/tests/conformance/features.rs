//! `features`: what the runtime says of itself.

use super::document;
use husk_tests::{Runtime, run};
use serde_json::Value;

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

#[test]
fn mount_options_that_are_named_are_taken() {
    let options = features()["mountOptions"].clone();
    for option in ["ro", "bind", "rbind", "nosuid", "noexec", "rprivate"] {
        assert!(has(&options, option), "{option}");
    }
    for option in ["rro", "rnosuid", "nosymfollow", "relatime", "silent", "lazytime"] {
        if has(&options, option) {
            let done = super::run("echo ran", |bundle| {
                if option.starts_with("rr") || option.starts_with("rn") {
                    bundle.mount("/m", "bind", "/dev", &["rbind", option])
                } else {
                    bundle.mount("/m", "tmpfs", "tmpfs", &[option])
                }
            });
            assert_eq!(done.text(), "ran", "{option}: {done:?}");
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
