//! `delete`: what create made goes away, and nothing else.

use super::{folder, idle, same, text};
use husk_tests::{Bundle, Container, NetNs, Runtime, cgroup, run};

#[test]
fn of_a_stopped_container() {
    let runtime = Runtime::new();
    let bundle = Bundle::new(&["true"]);
    let container = runtime.start(&bundle);
    container.wait_for("stopped");
    container.call("delete", &[]).ok();
    assert_ne!(container.call("state", &[]).code, 0);
    assert_ne!(container.call("delete", &[]).code, 0, "a second delete");
}

#[test]
fn of_a_running_container_is_an_error_without_effect() {
    let runtime = Runtime::new();
    let container = idle(&runtime, same);
    assert_ne!(container.call("delete", &[]).code, 0);
    assert_eq!(container.status(), "running");
}

#[test]
fn of_a_running_container_by_force() {
    let runtime = Runtime::new();
    let container = idle(&runtime, same);
    let pid = container.pid();
    container.call_with("delete", &["--force"], &[]).ok();
    assert_ne!(container.call("state", &[]).code, 0);
    let gone = || {
        std::fs::read_to_string(format!("/proc/{pid}/stat"))
            .map_or(true, |stat| stat.rsplit(')').next().unwrap_or_default().starts_with(" Z"))
    };
    husk_tests::wait_until("the program has ended", gone);
}

#[test]
fn of_a_created_container_by_force() {
    let runtime = Runtime::new();
    let bundle = Bundle::new(&["true"]);
    let container = runtime.create(&bundle);
    container.call_with("delete", &["--force"], &[]).ok();
    assert_ne!(container.call("state", &[]).code, 0);
}

#[test]
fn of_no_container_is_an_error_but_not_by_force() {
    let runtime = Runtime::new();
    let container = Container::named(&runtime, "husk-nobody");
    assert_ne!(container.call("delete", &[]).code, 0);
    container.call_with("delete", &["--force"], &[]).ok();
    assert_ne!(run(runtime.command().arg("delete")).code, 0);
}

#[test]
fn the_group_goes_with_the_container() {
    let runtime = Runtime::new();
    if !runtime.needs_groups() {
        return;
    }
    let group = cgroup::Group::reserve("gone");
    let container = idle(&runtime, |bundle| bundle.set("/linux/cgroupsPath", group.path.as_str()));
    assert!(group.dir().exists());
    container.call_with("delete", &["--force"], &[]).ok();
    assert!(!group.dir().exists());
}

#[test]
fn nothing_of_the_state_folder_is_left() {
    let runtime = Runtime::new();
    let container = idle(&runtime, same);
    container.call_with("delete", &["--force"], &[]).ok();
    let left: Vec<_> = std::fs::read_dir(runtime.root())
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name())
        .collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains(&container.id)), "{left:?}");
}

#[test]
fn the_bundle_and_its_files_stay() {
    let runtime = Runtime::new();
    let dir = folder(&[("file", "")]);
    let container = idle(&runtime, |bundle| bundle.mount("/mnt", "bind", text(&dir), &["bind"]));
    let bundle = container.bundle();
    container.call_with("delete", &["--force"], &[]).ok();
    assert!(bundle.rootfs().join("bin/busybox").exists() && dir.path().join("file").exists());
}

#[test]
fn a_namespace_that_was_joined_stays() {
    let runtime = Runtime::new();
    let netns = NetNs::new();
    let container = idle(&runtime, |bundle| bundle.join_namespace("network", &netns.path()));
    container.call_with("delete", &["--force"], &[]).ok();
    run(netns.command("ip").args(["link", "show", "lo"])).ok();
}

#[test]
fn no_mount_is_left_on_the_host() {
    let runtime = Runtime::new();
    let before = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let container = idle(&runtime, |bundle| bundle.mount("/mnt", "tmpfs", "tmpfs", &[]));
    let bundle = container.bundle();
    container.call_with("delete", &["--force"], &[]).ok();
    let after = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let own = bundle.path().to_str().unwrap();
    assert!(!after.contains(own) && !before.contains(own), "{after}");
}
