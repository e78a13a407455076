//! husk of an ordinary user: in a user namespace that it makes, and as root of one that was made before.

use husk_tests::{Bundle, Done, run};
use serde_json::json;
use std::{
    os::unix::fs::{chown, lchown},
    path::{Path, PathBuf},
    process::Command,
};

/// A user that no file of the machine belongs to.
const USER: u32 = 12345;

/// A bundle and a copy of husk that belong to the user.
struct Home {
    bundle: Bundle,
    husk: PathBuf,
}

impl Home {
    fn new(args: &[&str]) -> Self {
        let mut bundle = Bundle::new(args);
        let husk = bundle.path().join("husk");
        // The build may lie where the user can't go.
        std::fs::copy(husk_tests::bin("husk"), &husk).unwrap();
        bundle.spec["linux"].as_object_mut().unwrap().remove("resources");
        bundle.without_namespace("network");
        for mount in bundle.spec["mounts"].as_array_mut().unwrap() {
            match mount["destination"].as_str() {
                Some("/sys") => {
                    *mount = json!({"destination": "/sys", "type": "none", "source": "/sys",
                        "options": ["rbind", "nosuid", "noexec", "nodev", "ro"]});
                }
                Some("/dev/pts") => {
                    mount["options"] = json!(["nosuid", "noexec", "newinstance", "ptmxmode=0666"])
                }
                _ => {}
            }
        }
        Self { bundle, husk }
    }

    fn with_user_namespace(mut self) -> Self {
        self.bundle.push("/linux/namespaces", json!({"type": "user"}));
        for (kind, id) in [("uid", USER), ("gid", USER)] {
            let map = json!([{"containerID": 0, "hostID": id, "size": 1}]);
            self.bundle.set(&format!("/linux/{kind}Mappings"), map);
        }
        self
    }

    /// Runs a shell script as the user, in the bundle's directory, with `$H` for husk and its state directory.
    fn sh(&self, before: &[&str], script: &str) -> Done {
        self.bundle.write();
        give(self.bundle.path());
        let mut command = Command::new("setpriv");
        command.args([&format!("--reuid={USER}"), &format!("--regid={USER}"), "--clear-groups", "--"]);
        command.args(before).args(["sh", "-c", script]);
        command.env("H", format!("{} --root state", self.husk.display())).env_remove("XDG_RUNTIME_DIR");
        run(command.current_dir(self.bundle.path()))
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = self.sh(&[], "for id in $($H list -q); do $H delete --force $id; done");
    }
}

/// Makes the user the owner of everything below.
fn give(path: &Path) {
    if path.is_symlink() {
        return lchown(path, Some(USER), Some(USER)).unwrap();
    }
    chown(path, Some(USER), Some(USER)).unwrap();
    if path.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            give(&entry.unwrap().path());
        }
    }
}

#[test]
fn run_as_root_of_an_own_user_namespace() {
    let home = Home::new(&["sh", "-c", "id -u; cat /proc/self/uid_map; echo x > /dev/shm/x && exit 3"]);
    let done = home.with_user_namespace().sh(&[], "$H run c").expect_code(3);
    let words: Vec<_> = done.text().split_whitespace().collect();
    assert_eq!(words, ["0", "0", "12345", "1"], "{}", done.stderr);
}

#[test]
fn create_start_exec_kill_and_delete() {
    let home = Home::new(&["sleep", "1000"]).with_user_namespace();
    let done = home
        .sh(
            &[],
            "$H create c && $H start c && $H exec c sh -c 'id -u; exit 5'; echo $?
             $H kill c KILL; while $H state c | grep -q running; do sleep 0.05; done; $H delete c && $H list -q",
        )
        .ok();
    assert_eq!(done.text(), "0\n5", "{}", done.stderr);
}

#[test]
fn the_hosts_cgroups_are_not_the_containers_to_write() {
    let script = "for f in $(find /sys/fs/cgroup -name cgroup.procs -o -name tasks 2>/dev/null); do \
                  (: >> $f) 2>/dev/null && echo $f; done; exit 0";
    let mut home = Home::new(&["sh", "-c", script]).with_user_namespace();
    for mount in home.bundle.spec["mounts"].as_array_mut().unwrap() {
        if mount["type"] == "cgroup" {
            // Not even where it is asked for.
            mount["options"] = json!(["rw"]);
        }
    }
    // CVE-2023-25809: the group's files are the container's own at most, seen through a cgroup namespace.
    let done = home.sh(&[], "$H run c").ok();
    assert_eq!(done.text(), "", "{}", done.stderr);
}

#[test]
fn as_root_of_a_user_namespace_made_before() {
    // As rootless podman calls its runtime: no further user namespace.
    let home = Home::new(&["sh", "-c", "id -u; exit 6"]);
    let done = home.sh(&["unshare", "--user", "--map-root-user", "--mount"], "$H run c").expect_code(6);
    assert_eq!(done.text(), "0", "{}", done.stderr);
}

#[test]
fn what_an_ordinary_user_lacks_is_said() {
    let mut home = Home::new(&["true"]);
    let done = home.sh(&[], "$H run c").expect_code(1);
    assert!(
        done.stderr.contains("Operation not permitted") && done.stderr.contains("clone3"),
        "{}",
        done.stderr
    );
    home = home.with_user_namespace();
    for kind in ["uid", "gid"] {
        let map = json!([{"containerID": 0, "hostID": 0, "size": 1}]);
        home.bundle.set(&format!("/linux/{kind}Mappings"), map);
    }
    let done = home.sh(&[], "$H run c").expect_code(1);
    assert!(
        done.stderr.contains("linux.uidMappings") && done.stderr.contains("newuidmap"),
        "{}",
        done.stderr
    );
}
