//! `linux.rootfsPropagation`, and the propagation of single mounts.

use super::{Mount, at, folder, mounts, refused, run, text};
use husk_tests::Bundle;

fn root(value: &str) -> Mount {
    let all = mounts(|bundle: &mut Bundle| bundle.set("/linux/rootfsPropagation", value));
    all.into_iter().find(|mount| mount.point == "/").unwrap()
}

fn is(mount: &Mount, kind: &str) -> bool {
    mount.propagation.iter().any(|one| one.starts_with(kind))
}

#[test]
fn a_shared_root() {
    let root = root("shared");
    assert!(is(&root, "shared:"), "{root:?}");
}

#[test]
fn a_private_root() {
    let root = root("private");
    assert!(root.propagation.is_empty(), "{root:?}");
}

#[test]
fn a_slave_root_is_not_shared() {
    let root = root("slave");
    assert!(!is(&root, "shared:"), "{root:?}");
}

#[test]
fn an_unbindable_root() {
    let root = root("unbindable");
    assert!(is(&root, "unbindable"), "{root:?}");
}

#[test]
fn an_unbindable_root_cannot_be_bound() {
    let done = run("mount --bind / /mnt", |bundle| {
        super::capable(bundle, &["CAP_SYS_ADMIN"]).set("/linux/rootfsPropagation", "unbindable")
    });
    assert_ne!(done.code, 0, "{done:?}");
}

#[test]
fn a_propagation_that_there_is_not_is_an_error() {
    refused(|bundle| bundle.set("/linux/rootfsPropagation", "sideways"));
}

#[test]
fn where_nothing_is_said_no_mount_of_the_container_reaches_the_host() {
    let all = mounts(super::same);
    let root = at(&all, "/");
    assert!(!is(root, "shared:"), "{root:?}");
}

/// A bind mount with an option of propagation.
fn bound(option: &str) -> Mount {
    let dir = folder(&[]);
    let all = mounts(|bundle: &mut Bundle| bundle.mount("/m", "bind", text(&dir), &["rbind", option]));
    all.into_iter().find(|mount| mount.point == "/m").unwrap()
}

#[test]
fn shared_mounts() {
    for option in ["shared", "rshared"] {
        let mount = bound(option);
        assert!(is(&mount, "shared:"), "{option}: {mount:?}");
    }
}

#[test]
fn private_mounts() {
    for option in ["private", "rprivate"] {
        let mount = bound(option);
        assert!(mount.propagation.is_empty(), "{option}: {mount:?}");
    }
}

#[test]
fn slave_mounts_are_not_shared() {
    for option in ["slave", "rslave"] {
        let mount = bound(option);
        assert!(!is(&mount, "shared:"), "{option}: {mount:?}");
    }
}

#[test]
fn unbindable_mounts() {
    for option in ["unbindable", "runbindable"] {
        let mount = bound(option);
        assert!(is(&mount, "unbindable"), "{option}: {mount:?}");
    }
}

/// A machine of the test's own: a mount namespace in which `a folder` is a shared tmpfs. In it a container is made
/// with a bind mount of that folder; then something is mounted there, and on the container's side, too.
fn both_sides(option: &str) -> String {
    let dir = folder(&[]);
    let runtime = husk_tests::Runtime::new();
    let mut bundle = Bundle::script(
        "touch /m/ready; while [ ! -e /m/go ]; do sleep 0.05; done; mount -t tmpfs inside /m/inside; grep -c ' /m/outside ' /proc/self/mountinfo; touch /m/done",
    );
    super::capable(&mut bundle, &["CAP_SYS_ADMIN"]);
    bundle.mount("/m", "bind", text(&dir), &["rbind", option]);
    if option == "rshared" {
        // Else the container's view of the machine's mounts is a slave of theirs.
        bundle.set("/linux/rootfsPropagation", "shared");
    }
    bundle.write();
    let script =
        "set -e; mount -t tmpfs tmpfs \"$D\"; mount --make-shared \"$D\"; mkdir \"$D\"/inside \"$D\"/outside
        { \"$@\" >\"$D\"/out; touch \"$D\"/ended; } &
        while [ ! -e \"$D\"/ready ] && [ ! -e \"$D\"/ended ]; do sleep 0.05; done
        mount -t tmpfs outside \"$D\"/outside; touch \"$D\"/go
        while [ ! -e \"$D\"/ended ]; do sleep 0.05; done
        cat \"$D\"/out; grep -c \" $D/inside \" /proc/self/mountinfo || true; wait";
    let container = husk_tests::Container::named(&runtime, &husk_tests::unique("prop"));
    let run = runtime.command();
    let mut command = std::process::Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", script, "sh"]).env("D", text(&dir));
    for (key, value) in run.get_envs() {
        if let Some(value) = value {
            command.env(key, value);
        }
    }
    command
        .arg(run.get_program())
        .args(run.get_args())
        .args(["run", "--bundle"])
        .arg(bundle.path())
        .arg(&container.id);
    husk_tests::run(&mut command).ok().text().to_owned()
}

#[test]
fn mounts_cross_a_shared_mount_both_ways() {
    assert_eq!(both_sides("rshared"), "1\n1");
}

#[test]
fn mounts_cross_a_slave_mount_from_the_host_only() {
    assert_eq!(both_sides("rslave"), "1\n0");
}

#[test]
fn mounts_do_not_cross_a_private_mount() {
    assert_eq!(both_sides("rprivate"), "0\n0");
}
