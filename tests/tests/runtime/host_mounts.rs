//! Containers without a mount namespace of their own: their mounts are in the caller's, and go with them. Each test's caller is
//! a shell in a mount namespace of the test's own, where all mounts are shared.

use husk_tests::{Bundle, Done, Runtime};
use serde_json::json;

/// Takes the mount namespace out of a spec.
fn shared(mut bundle: Bundle) -> Bundle {
    bundle.without_namespace("mount");
    bundle.write();
    bundle
}

/// As an ordinary user could make one by FUSE: a mount whose name is no text must not be in husk's way.
#[test]
fn mounts_of_others_may_have_any_name() {
    let bundle = Bundle::new(&["echo", "it ran"]);
    bundle.write();
    let script = "O=$D/$(printf 'a b\\n\\377'); mkdir \"$O\"; mount -t tmpfs t \"$O\"; begin
        \"$@\" run --no-pivot --bundle \"$B\" $C; same; umount \"$O\"";
    assert_eq!(caller(script, &bundle).ok().text(), "it ran\nsame");
}

/// Runs a script whose arguments are husk and its flags, with the bundle as `$B` and a folder as `$D`. In the end no mount
/// is there that was not there at the first `begin`.
fn caller(script: &str, bundle: &Bundle) -> Done {
    let runtime = Runtime::husk();
    let dir = husk_tests::temp_dir();
    let own = husk_tests::unique("hostmnt");
    let frame = format!(
        "set -e; mount --make-rshared /; D=$(cd \"$D\" && pwd -P)
        begin() {{ cat /proc/self/mountinfo >\"$D\"/before; }}
        same() {{ diff \"$D\"/before /proc/self/mountinfo && echo same; }}
        C={own}; begin
        {{ {script}
        }} || {{ \"$@\" delete --force {own} || true; exit 1; }}"
    );
    let run = runtime.command();
    let mut command = std::process::Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", &frame, "sh"]);
    command.env("D", dir.path()).env("B", bundle.path());
    command.envs(run.get_envs().filter_map(|(key, value)| Some((key, value?))));
    husk_tests::run(command.arg(run.get_program()).args(run.get_args()))
}

#[test]
fn the_program_is_in_the_callers_namespace_and_in_its_own_root() {
    let bundle =
        shared(Bundle::script("readlink /proc/self/ns/mnt; ls -d /proc/kcore /etc/shadow 2>&1; pwd"));
    let done = caller("readlink /proc/self/ns/mnt; \"$@\" run --bundle \"$B\" $C; same", &bundle).ok();
    let lines: Vec<_> = done.text().lines().collect();
    assert_eq!(lines[0], lines[1], "{done:?}");
    assert!(done.stdout.contains("/etc/shadow: No such file"), "{done:?}");
    assert_eq!(lines.last(), Some(&"same"), "{done:?}");
}

#[test]
fn exec_is_in_the_root_of_the_container() {
    let bundle = shared(Bundle::new(&["sleep", "100000"]));
    std::fs::write(bundle.path().join("rootfs/mark"), "marked").unwrap();
    let script = "\"$@\" run --detach --bundle \"$B\" $C; \"$@\" exec $C cat /mark; echo
        unshare --mount --propagation private \"$@\" exec $C readlink /proc/self/ns/mnt; readlink /proc/self/ns/mnt
        \"$@\" delete --force $C; same";
    let done = caller(script, &bundle).ok();
    let lines: Vec<_> = done.text().lines().collect();
    assert_eq!((lines[0], lines[1], lines[3]), ("marked", lines[2], "same"), "{done:?}");
}

#[test]
fn masks_and_read_only_paths_stay_below_the_root() {
    let bundle = shared(Bundle::new(&["sleep", "100000"]));
    let script = "\"$@\" run --detach --bundle \"$B\" $C; R=$(cd \"$B\"/rootfs && pwd -P)
        grep -v \" $R[/ ]\" /proc/self/mountinfo | diff \"$D\"/before - && echo outside the same
        test $(grep -c \" $R[/ ]\" /proc/self/mountinfo) -gt 5; test -w /proc/sys/kernel/hostname && echo writable
        \"$@\" kill $C KILL; while [ $(\"$@\" state $C | grep -c stopped) = 0 ]; do sleep 0.05; done; \"$@\" delete $C; same";
    assert_eq!(caller(script, &bundle).ok().text(), "outside the same\nwritable\nsame");
}

#[test]
fn a_shared_tree_that_was_bound_is_whole_afterwards() {
    for propagation in ["", "rshared"] {
        let mut bundle = Bundle::new(&["true"]);
        let dir = husk_tests::temp_dir();
        let path = dir.path().to_str().unwrap();
        bundle.mount("/m", "bind", path, &["rbind"]).mount("/s", "bind", path, &["rbind", "rshared"]);
        bundle.set("/linux/rootfsPropagation", propagation);
        let bundle = shared(bundle);
        let script = format!(
            "mount -t tmpfs a {path}; mkdir {path}/b; mount -t tmpfs b {path}/b; begin
            \"$@\" run --bundle \"$B\" $C; same"
        );
        assert_eq!(caller(&script, &bundle).ok().text(), "same", "{propagation}");
    }
}

#[test]
fn the_bundles_own_mount_stays() {
    let bundle = shared(Bundle::new(&["true"]));
    let script = "mount --bind \"$B\"/rootfs \"$B\"/rootfs; begin; \"$@\" run --bundle \"$B\" $C; same";
    assert_eq!(caller(script, &bundle).ok().text(), "same");
}

#[test]
fn what_fails_leaves_no_mount() {
    let mut bundle = Bundle::new(&["no-such-program"]);
    bundle.mount("/t", "tmpfs", "t", &[]).mount("/u", "tmpfs", "t", &["nonsense=1"]);
    let script = "\"$@\" run --bundle \"$B\" $C || echo failed; same";
    let bundle = shared(bundle);
    assert_eq!(caller(script, &bundle).ok().text(), "failed\nsame");
    let bundle = shared(Bundle::new(&["no-such-program"]));
    assert_eq!(caller(script, &bundle).ok().text(), "failed\nsame");
}

#[test]
fn a_killed_create_leaves_what_delete_removes() {
    let mut bundle = Bundle::new(&["true"]);
    // husk waits for it while the mounts are there.
    bundle.set("/hooks", json!({"createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", "touch \"$D/in\"; exec sleep 1000"], "env": ["D=/nowhere"]}]}));
    let bundle = shared(bundle);
    let script = "sed -i \"s|/nowhere|$D|\" \"$B\"/config.json; \"$@\" create --bundle \"$B\" $C & P=$!
        while [ ! -e \"$D\"/in ]; do kill -0 $P; sleep 0.05; done
        H=$(cat /proc/$P/task/$P/children); kill -9 $P; wait $P || true; kill -9 $H 2>/dev/null || true
        same >/dev/null && echo nothing was there; \"$@\" delete --force $C 2>/dev/null; same";
    assert_eq!(caller(script, &bundle).ok().text(), "same");
}

#[test]
fn a_root_under_another_mount_is_told() {
    let bundle = shared(Bundle::new(&["sleep", "100000"]));
    // Also where mountinfo writes the path in another way.
    let script = "mv \"$B\"/rootfs \"$B/the root\"; sed -i 's/\"rootfs\"/\"the root\"/' \"$B\"/config.json
        \"$@\" run --detach --bundle \"$B\" $C; mount -t tmpfs over \"$B/the root\"
        \"$@\" delete --force $C 2>&1 || echo refused; umount \"$B/the root\"; \"$@\" delete --force $C; same";
    let done = caller(script, &bundle).ok();
    assert!(done.text().contains("lies under another mount"), "{done:?}");
    assert!(done.text().ends_with("refused\nsame"), "{done:?}");
}

/// The creator's mount namespace lives on, and the one who deletes is in another.
#[test]
fn delete_from_another_mount_namespace_unmounts_in_the_creators() {
    let bundle = shared(Bundle::new(&["sleep", "100000"]));
    let away = "unshare --mount --propagation private \"$@\"";
    let running = format!("\"$@\" run --detach --bundle \"$B\" $C; {away} delete --force $C; same");
    assert_eq!(caller(&running, &bundle).ok().text(), "same");
    let bundle = shared(Bundle::new(&["true"]));
    let stopped = format!(
        "\"$@\" run --detach --bundle \"$B\" $C
        while [ $(\"$@\" state $C | grep -c stopped) = 0 ]; do sleep 0.05; done; {away} delete $C; same"
    );
    assert_eq!(caller(&stopped, &bundle).ok().text(), "same");
}

/// Nothing is left to unmount then.
#[test]
fn delete_after_the_creators_mount_namespace_has_gone() {
    let bundle = shared(Bundle::new(&["true"]));
    let script = "unshare --mount --propagation private \"$@\" run --detach --bundle \"$B\" $C
        while [ $(\"$@\" state $C | grep -c stopped) = 0 ]; do sleep 0.05; done; \"$@\" delete $C; same";
    assert_eq!(caller(script, &bundle).ok().text(), "same");
}

#[test]
fn with_a_user_namespace_it_is_an_error() {
    let mut bundle = Bundle::new(&["true"]);
    bundle.push("/linux/namespaces", json!({"type": "user"}));
    for kind in ["uid", "gid"] {
        bundle.set(
            &format!("/linux/{kind}Mappings"),
            json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]),
        );
    }
    let bundle = shared(bundle);
    let done = caller("\"$@\" run --bundle \"$B\" $C 2>&1 || same", &bundle).ok();
    assert!(
        done.text().contains("linux.namespaces: has a user namespace and no mount namespace"),
        "{done:?}"
    );
}

#[test]
fn the_hosts_own_root_is_an_error() {
    let mut bundle = Bundle::new(&["true"]);
    bundle.set("/root/path", "/");
    let bundle = shared(bundle);
    let done = caller("\"$@\" run --bundle \"$B\" $C 2>&1 || same", &bundle).ok();
    assert!(done.text().contains("root.path: is the host's own root"), "{done:?}");
}
