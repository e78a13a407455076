//! `linux.cgroupsPath`, and the container's view of its group.

use super::{at, idle, mounts, output, same};
use husk_tests::cgroup::{self, Group};
use husk_tests::{Bundle, Runtime};

macro_rules! groups {
    ($runtime:ident) => {
        let $runtime = Runtime::new();
        if !$runtime.needs_groups() {
            return;
        }
    };
}

/// Tries to make a group in each hierarchy that is mounted (cgroup v1 has several, below a tmpfs), and names those where it could.
const MAKE: &str = "grep ' - cgroup' /proc/self/mountinfo | cut -d ' ' -f 5 | while read -r d; do mkdir $d/evil 2>/dev/null && echo $d; done; \
                    grep -q ' - cgroup' /proc/self/mountinfo && echo tried";

#[test]
fn an_absolute_path_is_relative_to_the_mount_point() {
    groups!(runtime);
    let group = Group::reserve("path");
    let container = idle(&runtime, |bundle| bundle.set("/linux/cgroupsPath", group.path.as_str()));
    assert_eq!(cgroup::of_process(container.pid()), group.dir());
}

#[test]
fn parents_are_made() {
    groups!(runtime);
    let group = Group::reserve("deep");
    let path = format!("{}/a/b", group.path);
    let container = idle(&runtime, |bundle| bundle.set("/linux/cgroupsPath", path.as_str()));
    assert_eq!(cgroup::of_process(container.pid()), group.dir().join("a/b"));
}

#[test]
fn the_same_path_is_the_same_place() {
    groups!(runtime);
    let group = Group::reserve("same");
    for _ in 0..2 {
        let container = idle(&runtime, |bundle| bundle.set("/linux/cgroupsPath", group.path.as_str()));
        assert_eq!(cgroup::of_process(container.pid()), group.dir());
        container.call_with("delete", &["--force"], &[]).ok();
    }
}

#[test]
fn two_containers_without_a_path_have_two_groups() {
    groups!(runtime);
    let first = idle(&runtime, same);
    let second = idle(&runtime, same);
    assert_ne!(cgroup::of_process(first.pid()), cgroup::of_process(second.pid()));
    assert_ne!(cgroup::of_process(first.pid()), cgroup::root());
}

#[test]
fn children_of_the_program_are_in_the_group() {
    groups!(runtime);
    let group = Group::reserve("kids");
    let mut bundle = Bundle::script("sleep 601 & sleep 602 & exec sleep 603");
    bundle.set("/linux/cgroupsPath", group.path.as_str());
    let _container = runtime.start(&bundle);
    husk_tests::wait_until("all three are there", || {
        std::fs::read_to_string(group.dir().join("cgroup.procs")).is_ok_and(|text| text.lines().count() == 3)
    });
}

#[test]
fn the_mounted_groups_are_read_only_where_asked_for() {
    groups!(_runtime);
    let all = mounts(same);
    assert!(
        at(&all, "/sys/fs/cgroup").has("ro")
            || all.iter().any(|mount| mount.point.starts_with("/sys/fs/cgroup/") && mount.has("ro"))
    );
    assert_eq!(output(MAKE, same), "tried");
}

#[test]
fn the_mounted_groups_are_the_containers_own() {
    if !cgroup::needs("memory") {
        return;
    }
    let shown = output("cat /sys/fs/cgroup/cgroup.procs; ls -d /sys/fs/cgroup/memory.max", same);
    assert_eq!(shown.lines().next(), Some("1"), "{shown}");
    assert!(shown.ends_with("memory.max"), "{shown}");
}

#[test]
fn a_writable_mount_lets_the_container_make_groups() {
    if !cgroup::needs("memory") {
        return;
    }
    let shown =
        output("mkdir /sys/fs/cgroup/own && ls -d /sys/fs/cgroup/own; rmdir /sys/fs/cgroup/own", |bundle| {
            let mounts = bundle.spec["mounts"].as_array_mut().unwrap();
            let mount = mounts.iter_mut().find(|mount| mount["type"] == "cgroup").unwrap();
            mount["options"] = serde_json::json!(["nosuid", "noexec", "nodev", "rw"]);
            bundle
        });
    assert_eq!(shown, "/sys/fs/cgroup/own");
}

/// The owner of the group's own files as a container with a user namespace sees it, with these options of the mount.
fn owners(options: &[&str], change: impl FnOnce(&mut Bundle) -> &mut Bundle) -> String {
    output(
        "cd /sys/fs/cgroup && stat -c %u . cgroup.procs cgroup.subtree_control memory.max | tr '\\n' ' '",
        |bundle| {
            let mounts = bundle.spec["mounts"].as_array_mut().unwrap();
            let mount = mounts.iter_mut().find(|mount| mount["type"] == "cgroup").unwrap();
            mount["options"] = serde_json::json!(options);
            change(super::mapped(bundle))
        },
    )
}

#[test]
fn a_writable_group_belongs_to_the_containers_user_but_not_its_limits() {
    if !cgroup::needs("memory") {
        return;
    }
    assert_eq!(owners(&["nosuid", "rw"], same), "0 0 0 65534");
    let shown = owners(&["nosuid", "rw"], |bundle| {
        bundle.set("/process/user", serde_json::json!({"uid": 7, "gid": 7}))
    });
    assert_eq!(shown, "7 7 7 65534");
}

#[test]
fn a_read_only_group_stays_the_hosts() {
    if !cgroup::needs("memory") {
        return;
    }
    assert_eq!(owners(&["nosuid", "ro"], same), "65534 65534 65534 65534");
}

#[test]
fn the_root_of_a_user_namespace_can_make_groups_in_a_writable_one() {
    if !cgroup::needs("memory") {
        return;
    }
    let script =
        "mkdir /sys/fs/cgroup/own && echo $$ >/sys/fs/cgroup/own/cgroup.procs && cat /proc/self/cgroup";
    let shown = output(script, |bundle| {
        let mounts = bundle.spec["mounts"].as_array_mut().unwrap();
        let mount = mounts.iter_mut().find(|mount| mount["type"] == "cgroup").unwrap();
        mount["options"] = serde_json::json!(["nosuid", "rw"]);
        super::mapped(bundle)
    });
    assert_eq!(shown, "0::/own");
}

#[test]
fn without_a_cgroup_namespace_no_other_group_can_be_changed() {
    groups!(_runtime);
    assert_eq!(output(MAKE, |bundle| bundle.without_namespace("cgroup")), "tried");
}

#[test]
fn the_group_has_every_controller() {
    if !cgroup::needs("misc") {
        return;
    }
    let runtime = Runtime::new();
    let group = Group::reserve("all");
    let _container = idle(&runtime, |bundle| bundle.set("/linux/cgroupsPath", group.path.as_str()));
    let text = std::fs::read_to_string(group.dir().join("cgroup.controllers")).unwrap();
    assert_eq!(text.split_whitespace().collect::<Vec<_>>(), cgroup::controllers());
}
