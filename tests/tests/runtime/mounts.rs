//! Mounts and their options, propagation, masked and read-only paths.

use husk_tests::{Bundle, Runtime};
use serde_json::json;

/// The fields of the line of /proc/self/mountinfo for a mount point.
fn line<'a>(mountinfo: &'a str, point: &str) -> Vec<&'a str> {
    let found = mountinfo.lines().rfind(|line| line.split(' ').nth(4) == Some(point));
    found.unwrap_or_else(|| panic!("{point} is not in\n{mountinfo}")).split(' ').collect()
}

fn options(mountinfo: &str, point: &str) -> Vec<String> {
    line(mountinfo, point)[5].split(',').map(str::to_owned).collect()
}

#[test]
fn options_of_bind_mounts() {
    let runtime = Runtime::new();
    let shared = husk_tests::temp_dir();
    std::fs::write(shared.path().join("file"), "text").unwrap();
    let source = shared.path().to_str().unwrap();
    let mut bundle = Bundle::new(&["cat", "/proc/self/mountinfo"]);
    bundle.mount("/m/a", "bind", source, &["rbind", "ro", "nosuid", "nodev", "noexec", "rprivate"]);
    bundle.mount("/m/b", "bind", source, &["bind", "noatime", "rslave"]);
    bundle.mount("/m/c/file", "bind", &format!("{source}/file"), &["bind", "ro"]);
    bundle.mount("/m/d", "none", source, &["rbind", "rshared"]);
    let done = runtime.run(&bundle).ok();
    let found = options(&done.stdout, "/m/a");
    for option in ["ro", "nosuid", "nodev", "noexec"] {
        assert!(found.contains(&option.to_owned()), "{option}: {found:?}");
    }
    assert!(options(&done.stdout, "/m/b").contains(&"noatime".to_owned()));
    assert!(options(&done.stdout, "/m/c/file").contains(&"ro".to_owned()));
    assert!(line(&done.stdout, "/m/d")[6].starts_with("shared:"), "{}", done.stdout);
}

#[test]
fn recursive_attributes_reach_what_is_mounted_below() {
    let runtime = Runtime::husk();
    let mut bundle = Bundle::script("cat /proc/self/mountinfo; touch /m/dev/x 2>/dev/null || echo denied");
    bundle.mount("/inner", "tmpfs", "tmpfs", &["mode=755"]);
    bundle.mount("/m", "bind", "/dev", &["rbind", "rro", "rnosuid"]);
    let done = runtime.run(&bundle).ok();
    for line in
        done.stdout.lines().filter(|line| line.split(' ').nth(4).is_some_and(|p| p.starts_with("/m/")))
    {
        let options = line.split(' ').nth(5).unwrap();
        assert!(options.starts_with("ro") && options.contains("nosuid"), "{line}");
    }
    assert!(done.stdout.contains("denied"));
}

#[test]
fn tmpfs_with_what_was_there() {
    let runtime = Runtime::husk();
    let bundle =
        &mut Bundle::script("cat /var/x/deep; readlink /var/link; stat -c %a:%u /var/x /var; touch /var/new");
    let var = bundle.rootfs().join("var");
    std::fs::create_dir(var.join("x")).unwrap();
    std::fs::write(var.join("x/deep"), "copied\n").unwrap();
    std::os::unix::fs::symlink("x/deep", var.join("link")).unwrap();
    std::os::unix::fs::chown(var.join("x"), Some(7), Some(7)).unwrap();
    bundle.mount("/var", "tmpfs", "tmpfs", &["tmpcopyup", "size=1m"]);
    assert_eq!(runtime.run(bundle).ok().text(), "copied\nx/deep\n755:7\n755:0");
    assert!(!var.join("new").exists());
}

#[test]
fn links_in_the_image_do_not_lead_out() {
    let runtime = Runtime::new();
    let outside = husk_tests::temp_dir();
    let mut bundle = Bundle::script("ls -d /run/a/b && cat /proc/self/mountinfo | grep -c ' /run/a/b '");
    std::os::unix::fs::symlink("/run", bundle.rootfs().join("var/run")).unwrap();
    std::os::unix::fs::symlink(outside.path(), bundle.rootfs().join("mnt/out")).unwrap();
    bundle.mount("/var/run/a/b", "tmpfs", "tmpfs", &[]);
    bundle.mount("/mnt/out/x", "tmpfs", "tmpfs", &[]);
    runtime.run(&bundle).ok();
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[test]
fn a_read_only_root() {
    let runtime = Runtime::new();
    let mut bundle = Bundle::script("touch /x 2>/dev/null && echo written; touch /dev/shm/x && echo shm");
    bundle.set("/root/readonly", true);
    assert_eq!(runtime.run(&bundle).ok().text(), "shm");
}

#[test]
fn masked_and_read_only_paths() {
    let runtime = Runtime::new();
    let mut bundle = Bundle::script(
        "cat /secret; ls -A /var; touch /etc/x 2>/dev/null && echo written; ls /sys/firmware; wc -c < /proc/keys",
    );
    std::fs::write(bundle.rootfs().join("secret"), "told").unwrap();
    std::fs::write(bundle.rootfs().join("var/file"), "told").unwrap();
    bundle.push("/linux/maskedPaths", json!("/secret")).push("/linux/maskedPaths", json!("/var"));
    bundle.push("/linux/readonlyPaths", json!("/etc")).push("/linux/readonlyPaths", json!("/no/such"));
    assert_eq!(runtime.run(&bundle).ok().text(), "0");
}

#[test]
fn propagation_of_the_root() {
    let runtime = Runtime::husk();
    for (value, field) in [("shared", "shared:"), ("private", "-"), ("slave", "-")] {
        let mut bundle = Bundle::new(&["cat", "/proc/self/mountinfo"]);
        bundle.set("/linux/rootfsPropagation", value);
        let done = runtime.run(&bundle).ok();
        let found = line(&done.stdout, "/")[6];
        assert!(found.starts_with(field) || value == "slave", "{value}: {found}");
        assert!(value == "shared" || !found.starts_with("shared"), "{value}: {found}");
    }
}

#[test]
fn cgroup_without_a_namespace_shows_the_containers_group_only() {
    let runtime = Runtime::husk();
    let mut bundle = Bundle::script("grep -c . /sys/fs/cgroup/cgroup.procs; ls -d /sys/fs/cgroup/husk");
    bundle.without_namespace("cgroup");
    let done = runtime.run(&bundle);
    assert!(done.stderr.contains("No such file"), "{}{}", done.stdout, done.stderr);
}

#[test]
fn refused_options_are_named() {
    let runtime = Runtime::husk();
    let mut bundle = Bundle::new(&["true"]);
    bundle.mount("/t", "tmpfs", "tmpfs", &["nosuid", "size=wide"]);
    let done = runtime.run(&bundle).expect_code(1);
    assert!(done.stderr.contains("mounts[7].options[1] (size=wide)"), "{}", done.stderr);
    let mut bundle = Bundle::new(&["true"]);
    bundle.mount("/t", "bind", "/no/such", &["rbind"]);
    let done = runtime.run(&bundle).expect_code(1);
    assert!(done.stderr.contains("mounts[7] (/t)") && done.stderr.contains("/no/such"), "{}", done.stderr);
}
