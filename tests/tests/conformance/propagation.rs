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
    machine(script, &runtime, &bundle, &dir)
}

/// Runs a script in a mount namespace of its own, with the runtime's `run` as its arguments and `dir` in `$D`.
fn machine(script: &str, runtime: &husk_tests::Runtime, bundle: &Bundle, dir: &tempfile::TempDir) -> String {
    let container = husk_tests::Container::named(runtime, &husk_tests::unique("prop"));
    let run = runtime.command();
    let mut command = std::process::Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", script, "sh"]).env("D", text(dir));
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
    if !husk_tests::Runtime::new().needs_our_mounts() {
        return;
    }
    assert_eq!(both_sides("rshared"), "1\n1");
}

#[test]
fn mounts_cross_a_slave_mount_from_the_host_only() {
    if !husk_tests::Runtime::new().needs_our_mounts() {
        return;
    }
    assert_eq!(both_sides("rslave"), "1\n0");
}

#[test]
fn mounts_do_not_cross_a_private_mount() {
    assert_eq!(both_sides("rprivate"), "0\n0");
}

/// The root's line of mountinfo where all mounts of the machine are shared.
fn root_of_shared(propagation: Option<&str>) -> String {
    let dir = folder(&[]);
    let mut bundle = Bundle::script("grep ' / / \\| /[^ ]* / ' /proc/self/mountinfo");
    if let Some(value) = propagation {
        bundle.set("/linux/rootfsPropagation", value);
    }
    bundle.write();
    machine("mount --make-rshared /; \"$@\"", &husk_tests::Runtime::new(), &bundle, &dir)
}

#[test]
fn a_slave_root_follows_the_machines_shared_mount() {
    for value in ["slave", "rslave"] {
        let root = root_of_shared(Some(value));
        assert!(root.contains(" master:") && !root.contains(" shared:"), "{value}: {root}");
    }
}

#[test]
fn a_bind_mount_with_nothing_said_follows_the_machines_shared_mount() {
    let dir = folder(&[]);
    let mut bundle = Bundle::script("grep ' /m ' /proc/self/mountinfo");
    bundle.mount("/m", "bind", text(&dir), &["rbind"]).set("/linux/rootfsPropagation", "rslave").write();
    let line = machine("mount --make-rshared /; \"$@\"", &husk_tests::Runtime::new(), &bundle, &dir);
    assert!(line.contains(" master:") && !line.contains(" shared:"), "{line}");
}

/// All mounts of the machine are shared, one below another; the container has mounts of its own. The machine has the same
/// mounts before, meanwhile and afterwards.
#[test]
fn no_type_of_the_root_changes_the_machines_mounts() {
    let script = "set -e; D=$(cd \"$D\" && pwd -P); mount -t tmpfs tmpfs \"$D\"; mkdir \"$D\"/below; mount --make-rshared /
        mount -t tmpfs below \"$D\"/below; mkdir \"$D\"/below/deeper; mount -t tmpfs deeper \"$D\"/below/deeper
        cat /proc/self/mountinfo >\"$D\"/before
        { \"$@\" >\"$D\"/out || touch \"$D\"/failed; touch \"$D\"/ended; } &
        while [ ! -e \"$D\"/ready ] && [ ! -e \"$D\"/ended ]; do sleep 0.05; done
        cat /proc/self/mountinfo >\"$D\"/meanwhile; touch \"$D\"/go; wait
        cat /proc/self/mountinfo >\"$D\"/after; cat \"$D\"/out; test ! -e \"$D\"/failed
        diff \"$D\"/before \"$D\"/meanwhile && diff \"$D\"/before \"$D\"/after && echo same";
    let values = ["", "slave", "rslave", "private", "rprivate", "shared", "rshared"];
    for value in values {
        let dir = folder(&[]);
        let mut bundle = Bundle::script(
            "mount -t tmpfs own /mnt; touch /m/ready; while [ ! -e /m/go ]; do sleep 0.05; done",
        );
        super::capable(&mut bundle, &["CAP_SYS_ADMIN"]);
        bundle.mount("/m", "bind", text(&dir), &["rbind", "rprivate"]).mount("/t", "tmpfs", "t", &[]);
        if !value.is_empty() {
            bundle.set("/linux/rootfsPropagation", value);
        }
        bundle.write();
        assert_eq!(machine(script, &husk_tests::Runtime::new(), &bundle, &dir), "same", "{value}");
    }
}
