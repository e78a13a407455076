//! `mounts[].options`: attributes that reach what is mounted below, too (`rro` and its like).

use super::{Mount, mounts, run};
use husk_tests::Bundle;

/// A recursive bind mount of what has mounts below it, with these options: all its mounts.
fn nested(options: &[&str]) -> Vec<Mount> {
    // /dev of every machine has mounts below it: pts and shm.
    let all = mounts(|bundle: &mut Bundle| {
        let mut list = vec!["rbind"];
        list.extend(options);
        bundle.mount("/m", "bind", "/dev", &list)
    });
    let found: Vec<_> =
        all.into_iter().filter(|mount| mount.point == "/m" || mount.point.starts_with("/m/")).collect();
    assert!(found.len() > 1, "/dev of this machine has no mounts below it: {found:#?}");
    found
}

#[track_caller]
fn all_have(mounts: &[Mount], options: &[&str]) {
    for mount in mounts {
        for option in options {
            assert!(mount.has(option), "{option}: {mount:#?}");
        }
    }
}

#[track_caller]
fn none_has(mounts: &[Mount], options: &[&str]) {
    for mount in mounts {
        for option in options {
            assert!(!mount.has(option), "{option}: {mount:#?}");
        }
    }
}

#[test]
fn rro() {
    all_have(&nested(&["rro"]), &["ro"]);
}

#[test]
fn ro_is_for_the_top_alone() {
    let mounts = nested(&["ro"]);
    let (top, below): (Vec<_>, Vec<_>) = mounts.into_iter().partition(|mount| mount.point == "/m");
    all_have(&top, &["ro"]);
    assert!(below.iter().any(|mount| mount.has("rw")), "{below:#?}");
}

#[test]
fn rrw_takes_back_ro() {
    all_have(&nested(&["rro", "rrw"]), &["rw"]);
}

#[test]
fn rnosuid_rnodev_and_rnoexec() {
    all_have(&nested(&["rnosuid", "rnodev", "rnoexec"]), &["nosuid", "nodev", "noexec"]);
}

#[test]
fn rsuid_rdev_and_rexec() {
    none_has(&nested(&["rsuid", "rdev", "rexec"]), &["nosuid", "nodev", "noexec"]);
}

#[test]
fn rnoatime() {
    all_have(&nested(&["rnoatime"]), &["noatime"]);
}

#[test]
fn rrelatime() {
    all_have(&nested(&["rrelatime"]), &["relatime"]);
}

#[test]
fn rstrictatime() {
    none_has(&nested(&["rstrictatime"]), &["relatime", "noatime"]);
}

#[test]
fn rnodiratime() {
    all_have(&nested(&["rnodiratime"]), &["nodiratime"]);
}

#[test]
fn rnosymfollow() {
    all_have(&nested(&["rnosymfollow"]), &["nosymfollow"]);
}

#[test]
fn every_recursive_option_is_taken() {
    for option in ["ratime", "rdiratime", "rnorelatime", "rnostrictatime", "rsymfollow"] {
        let done = run("echo done", |bundle| bundle.mount("/m", "bind", "/dev", &["rbind", option]));
        assert_eq!(done.text(), "done", "{option}: {done:?}");
    }
}

#[test]
fn a_recursive_read_only_mount_refuses_writes_below() {
    let script = "touch /m/shm/husk-test 2>&1; touch /m/husk-test 2>&1";
    let done = run(script, |bundle| bundle.mount("/m", "bind", "/dev", &["rbind", "rro"]));
    assert_eq!(done.stdout.matches("Read-only file system").count(), 2, "{done:?}");
}
