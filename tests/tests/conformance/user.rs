//! `process.user`: ids, groups, umask.

use super::{output, refused, run};
use husk_tests::Runtime;
use serde_json::json;

#[test]
fn uid_and_gid() {
    let shown = output(
        "id -u; id -g; id -ru; id -rg; grep -E '^(U|G)id' /proc/self/status | tr -d '\\t\\n'",
        |bundle| bundle.set("/process/user", json!({"uid": 1000, "gid": 50})),
    );
    assert_eq!(shown, "1000\n50\n1000\n50\nUid:1000100010001000Gid:50505050");
}

#[test]
fn an_id_needs_no_name() {
    let shown = output("id -u; id -g", |bundle| {
        bundle.set("/process/user", json!({"uid": 4_000_000, "gid": 5_000_000}))
    });
    assert_eq!(shown, "4000000\n5000000");
}

#[test]
fn additional_groups() {
    let shown = output("id -G", |bundle| {
        bundle.set("/process/user", json!({"uid": 0, "gid": 0, "additionalGids": [5, 7, 4_000_000]}))
    });
    assert_eq!(shown, "0 5 7 4000000");
}

#[test]
fn no_groups_but_those_of_the_spec() {
    // /etc/group has ann in staff; the ids of the spec are taken alone.
    let shown = output("id -G; grep ^Groups /proc/self/status | tr -d ' \\t'", |bundle| {
        bundle.set("/process/user", json!({"uid": 1000, "gid": 1000}))
    });
    assert_eq!(shown, "1000\nGroups:");
}

#[test]
fn umask() {
    assert_eq!(
        output("umask; touch /tmp/x; stat -c %a /tmp/x", |bundle| bundle.set("/process/user/umask", 0o77)),
        "0077\n600"
    );
}

#[test]
fn a_umask_of_zero_is_not_no_umask() {
    assert_eq!(output("umask", |bundle| bundle.set("/process/user/umask", 0)), "0000");
}

#[test]
fn files_belong_to_the_user() {
    let shown = output("touch /tmp/x && stat -c '%u %g' /tmp/x", |bundle| {
        std::os::unix::fs::chown(bundle.rootfs().join("tmp"), Some(1000), None).unwrap();
        bundle.set("/process/user", json!({"uid": 1000, "gid": 50}))
    });
    assert_eq!(shown, "1000 50");
}

#[test]
fn another_user_may_not_what_root_may() {
    let done = run("touch /x", |bundle| bundle.set("/process/user", json!({"uid": 1000, "gid": 1000})));
    assert!(done.code != 0 && done.stderr.contains("Permission denied"), "{done:?}");
}

#[test]
fn the_standard_streams_can_be_opened_again_by_the_user() {
    // Engines give pipes; a file of root's is closed to others, whoever inherits it.
    let runtime = Runtime::new();
    let mut bundle = husk_tests::Bundle::script("echo again >/proc/self/fd/1");
    bundle.set("/process/user", json!({"uid": 1000, "gid": 1000})).write();
    let container = husk_tests::Container::named(&runtime, &husk_tests::unique("pipe"));
    let mut command = runtime.command();
    command.args(["run", "--bundle"]).arg(bundle.path()).arg(&container.id);
    let output = command.stdin(std::process::Stdio::null()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "again\n", "{output:?}");
}

#[test]
fn ids_that_are_no_ids_are_errors() {
    for (field, value) in [
        ("uid", json!(-1)),
        ("uid", json!(4_294_967_296_u64)),
        ("gid", json!(-1)),
        ("gid", json!(4_294_967_296_u64)),
        ("uid", json!("root")),
        ("additionalGids", json!([-1])),
    ] {
        refused(|bundle| bundle.set(&format!("/process/user/{field}"), value));
    }
}
