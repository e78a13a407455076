//! An ordinary user's containers, by the systemd of his own.

use crate::machine::{has_systemd, systemctl};
use husk_tests::{Bundle, Done, run};
use serde_json::json;
use std::path::PathBuf;
use std::process::Command;

/// The user that the VM has for this, and for whom `user@12345.service` starts a manager.
const USER: u32 = 12345;

struct Home {
    bundle: Bundle,
    husk: PathBuf,
}

impl Home {
    fn new() -> Self {
        systemctl(&["start", &format!("user@{USER}.service")]).ok();
        let mut bundle = Bundle::new(&["sleep", "1000"]);
        let husk = bundle.path().join("husk");
        std::fs::copy(husk_tests::bin("husk"), &husk).unwrap();
        bundle.without_namespace("network");
        bundle.set("/linux/resources", json!({"memory": {"limit": 67_108_864}, "pids": {"limit": 50}}));
        for mount in bundle.spec["mounts"].as_array_mut().unwrap() {
            match mount["destination"].as_str() {
                Some("/sys") => {
                    *mount = json!({"destination": "/sys", "type": "none", "source": "/sys",
                        "options": ["rbind", "nosuid", "noexec", "nodev", "ro"]});
                }
                Some("/dev/pts") => {
                    mount["options"] = json!(["nosuid", "noexec", "newinstance", "ptmxmode=0666"]);
                }
                _ => {}
            }
        }
        Self { bundle, husk }
    }

    fn with_user_namespace(mut self) -> Self {
        self.bundle.push("/linux/namespaces", json!({"type": "user"}));
        for kind in ["uid", "gid"] {
            let map = json!([{"containerID": 0, "hostID": USER, "size": 1}]);
            self.bundle.set(&format!("/linux/{kind}Mappings"), map);
        }
        self
    }

    fn sh(&self, before: &[&str], script: &str) -> Done {
        self.bundle.write();
        run(Command::new("chown").args(["-hR", &format!("{USER}:{USER}")]).arg(self.bundle.path())).ok();
        let mut command = Command::new("setpriv");
        command.args([&format!("--reuid={USER}"), &format!("--regid={USER}"), "--clear-groups", "--"]);
        command.args(before).args(["sh", "-c", script]).current_dir(self.bundle.path());
        command.env("H", format!("{} --root state", self.husk.display()));
        command.env_remove("DBUS_SESSION_BUS_ADDRESS");
        run(command.env("XDG_RUNTIME_DIR", format!("/run/user/{USER}")))
    }
}

/// The test's own group is not the user's: systemd has to bring init, and each exec, into the scope.
const SCRIPT: &str = "$H --systemd-cgroup run -d c </dev/null || exit 1
    pid=$($H state c | sed -n 's/.*\"pid\": \\([0-9]*\\).*/\\1/p')
    group=/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/$pid/cgroup)
    echo ${group#/sys/fs/cgroup}; cat $group/memory.max $group/pids.max
    $H exec c cat /proc/self/cgroup; $H update --memory 32m c && cat $group/memory.max
    $H pause c && $H resume c && $H delete -f c; ls -d $group 2>/dev/null; echo end";

fn check(done: &Done) {
    let lines: Vec<_> = done.stdout.lines().collect();
    let scope = format!("/user.slice/user-{USER}.slice/user@{USER}.service/user.slice/husk-c.scope");
    assert_eq!(lines, [&scope, "67108864", "50", "0::/", "33554432", "end"], "{}", done.stderr);
}

#[test]
fn alone_with_a_user_namespace() {
    if !has_systemd() {
        return;
    }
    check(&Home::new().with_user_namespace().sh(&[], SCRIPT));
}

#[test]
fn alone_as_root_of_a_user_namespace_made_before() {
    if !has_systemd() {
        return;
    }
    check(&Home::new().sh(&["unshare", "--user", "--map-root-user", "--mount"], SCRIPT));
}

#[test]
fn who_has_no_systemd_is_told_so() {
    if !has_systemd() {
        return;
    }
    let home = Home::new().with_user_namespace();
    let done = home.sh(&[], "unset XDG_RUNTIME_DIR; $H --systemd-cgroup run c").expect_code(1);
    assert!(
        done.stderr.contains("neither $DBUS_SESSION_BUS_ADDRESS nor $XDG_RUNTIME_DIR"),
        "{}",
        done.stderr
    );
    let done = home.sh(&[], "XDG_RUNTIME_DIR=/nowhere $H --systemd-cgroup run c").expect_code(1);
    assert!(done.stderr.contains("/nowhere/bus: No such file"), "{}", done.stderr);
}
