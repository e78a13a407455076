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
        self.call(&["setpriv"], before, script)
    }

    /// The same within a command that root runs before.
    fn sh_around(&self, around: &[&str], script: &str) -> Done {
        self.call(&[around, &["setpriv"]].concat(), &[], script)
    }

    fn call(&self, around: &[&str], before: &[&str], script: &str) -> Done {
        self.bundle.write();
        give(self.bundle.path());
        let mut command = Command::new(around[0]);
        command.args(&around[1..]).args([
            &format!("--reuid={USER}"),
            &format!("--regid={USER}"),
            "--clear-groups",
            "--",
        ]);
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

#[test]
fn the_example_for_ordinary_users() {
    let home = Home::new(&["true"]);
    let script = "mkdir b && $H spec --rootless --bundle b && mv rootfs b/
        sed -i 's/\"terminal\": true/\"terminal\": false/' b/config.json
        echo 'id -u; hostname; exit 7' | $H run --bundle b c";
    let done = home.sh(&[], script).expect_code(7);
    assert_eq!(done.text(), "0\nhusk", "{done:?}");
}

/// /etc with one user who has two ranges of subordinate ids, seen by the test's own processes alone.
const ETC: &str = "
    mkdir -p etc && mount -t tmpfs tmpfs etc && cd etc &&
    printf 'root:x:0:0::/:/bin/sh\\nhusktest:x:12345:12345::/:/bin/sh\\n' > passwd &&
    printf 'root:x:0:\\nhusktest:x:12345:\\n' > group &&
    printf 'husktest:200000:1000\\nhusktest:300000:500\\n' > subuid && cp subuid subgid &&
    mount --bind . /etc && cd .. && exec \"$0\" \"$@\"";

#[test]
fn several_ranges_by_newuidmap_and_newgidmap() {
    let script = "cat /proc/self/uid_map /proc/self/gid_map; id -u; id -g; id -G; touch /tmp/x;
        stat -c %u:%g /tmp/x; exit 0";
    let mut home = Home::new(&["sh", "-c", script]);
    home.bundle.push("/linux/namespaces", json!({"type": "user"}));
    for map in ["uidMappings", "gidMappings"] {
        let ranges = json!([
            {"containerID": 0, "hostID": USER, "size": 1},
            {"containerID": 1, "hostID": 200_000, "size": 1000},
            {"containerID": 1001, "hostID": 300_000, "size": 500}
        ]);
        home.bundle.set(&format!("/linux/{map}"), ranges);
    }
    home.bundle.set("/process/user", json!({"uid": 1200, "gid": 7, "additionalGids": [3, 1300]}));
    home.bundle.mount("/tmp", "tmpfs", "tmpfs", &["mode=1777"]);
    let done = home.sh_around(&["unshare", "--mount", "sh", "-c", ETC], "$H run c").ok();
    let words: Vec<_> = done.text().split_whitespace().collect();
    let map = ["0", "12345", "1", "1", "200000", "1000", "1001", "300000", "500"];
    assert_eq!(words[..18], [map, map].concat(), "{done:?}");
    assert_eq!(words[18..], ["1200", "7", "7", "3", "1300", "1200:7"], "{done:?}");

    // An id that is not the user's is refused, with the program's own words.
    home.bundle.set("/linux/uidMappings/2/hostID", 400_000);
    let done = home.sh_around(&["unshare", "--mount", "sh", "-c", ETC], "$H run c").expect_code(1);
    for words in ["linux.uidMappings: newuidmap: ", "not allowed"] {
        assert!(done.stderr.contains(words), "{words}: {done:?}");
    }
}

/// A read-only mount, made by root before the user's husk is run.
const LOCKED: &str =
    "mkdir locked && mount -t tmpfs tmpfs locked && mount -o remount,bind,ro,nosuid locked &&
    exec \"$0\" \"$@\"";

#[test]
fn what_root_has_locked_stays_and_is_an_error_where_the_contrary_is_asked_for() {
    let options = |options: &[&str]| {
        let mut home = Home::new(&["grep", " /mnt ", "/proc/self/mounts"]).with_user_namespace();
        home.bundle.mount("/mnt", "bind", "locked", options);
        home.sh_around(&["unshare", "--mount", "sh", "-c", LOCKED], "$H run c")
    };
    let done = options(&["bind", "nodev", "noatime"]).ok();
    assert!(done.text().contains(" ro,nosuid,nodev,"), "{done:?}");
    for option in ["rw", "suid", "rsuid"] {
        let done = options(&["bind", option]).expect_code(1);
        assert!(done.stderr.contains("set options of mounts[") && done.stderr.contains("(/mnt)"), "{done:?}");
    }
}

#[test]
fn whether_lacking_rights_on_cgroups_are_forgiven() {
    let mut home = Home::new(&["echo", "it ran"]).with_user_namespace();
    home.bundle.set("/linux/resources", json!({"pids": {"limit": 50}}));
    for flags in ["", "--rootless auto", "--rootless=true"] {
        let done = home.sh(&[], &format!("$H {flags} run c")).ok();
        assert_eq!(done.text(), "it ran", "{flags}: {done:?}");
        assert!(done.stderr.contains("no cgroup and no limits"), "{flags}: {done:?}");
    }
    let done = home.sh(&[], "$H --rootless false run c").expect_code(1);
    assert!(done.stderr.contains("Permission denied") && done.stderr.contains("cgroup"), "{done:?}");
}

#[test]
fn limits_in_a_cgroup_that_was_delegated() {
    use husk_tests::cgroup::{Group, needs};
    if !needs("pids") || !needs("memory") {
        return;
    }
    let group = Group::reserve("delegated");
    let leaf = group.dir().join("leaf");
    std::fs::create_dir_all(&leaf).unwrap();
    for dir in [&group.dir(), &leaf] {
        for file in ["", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads"] {
            chown(dir.join(file), Some(USER), Some(USER)).unwrap();
        }
    }
    let script = "cat /sys/fs/cgroup/pids.max /sys/fs/cgroup/memory.max; exec sleep 100000";
    let mut home = Home::new(&["sh", "-c", script]).with_user_namespace();
    home.bundle.set("/linux/resources", json!({"pids": {"limit": 50}, "memory": {"limit": 64 << 20}}));
    home.bundle.set("/linux/cgroupsPath", format!("{}/c", group.path));
    let enter = format!("echo 0 > {}/cgroup.procs && exec \"$0\" \"$@\"", leaf.display());
    let script = format!(
        "set -e; $H run -d c > out; while [ $(wc -l < out) != 2 ]; do sleep 0.1; done; cat out
         $H update --pids-limit 40 c; cat {0}/c/pids.max; $H exec c echo more
         $H delete --force c; [ ! -e {0}/c ] && echo gone",
        group.dir().display()
    );
    let done = home.sh_around(&["sh", "-c", &enter], &script).ok();
    assert_eq!(done.text(), "50\n67108864\n40\nmore\ngone", "{done:?}");
}
