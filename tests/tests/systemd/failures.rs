//! What goes wrong, and what it leaves: nothing.

use crate::machine::{Systemd, group_of, has_systemd, is_loaded};
use husk_tests::{Bundle, Container, run, unique, wait_until};
use serde_json::json;
use std::process::{Command, Stdio};

#[test]
fn a_machine_without_systemd() {
    let husk = Systemd::new();
    let bundle = Bundle::new(&["true"]);
    bundle.write();
    let line = husk.command();
    // The same on a machine that systemd runs: there is nothing of it to be seen here.
    let script = "mount -t tmpfs tmpfs /run && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", script, "sh"]);
    command.arg(line.get_program()).args(line.get_args());
    let done = run(command.args(["run", "--bundle"]).arg(bundle.path()).arg("c")).expect_code(1);
    let wanted = "--systemd-cgroup: systemd: systemd does not run this machine";
    assert!(done.stderr.contains(wanted), "{}", done.stderr);
    assert_eq!(run(husk.runtime.command().args(["list", "-q"])).ok().text(), "");
}

#[test]
fn names_that_cannot_be_meant() {
    let husk = Systemd::new();
    let mut bundle = Bundle::new(&["true"]);
    for (path, wanted) in [
        ("/a/b", "has not the form slice:prefix:name"),
        ("system:husk:c", "names no slice"),
        ("a--b.slice:husk:c", "names no slice"),
        ("a.slice:husk:b.slice", "a slice holds no processes"),
    ] {
        bundle.set("/linux/cgroupsPath", path);
        let (_, done) = husk.try_start(&bundle, &unique("sd"));
        let named = format!("linux.cgroupsPath: {path:?}");
        assert!(done.code == 1 && done.stderr.contains(&named), "{}", done.stderr);
        assert!(done.stderr.contains(wanted), "{}", done.stderr);
    }
}

#[test]
fn a_name_that_is_taken() {
    if !has_systemd() {
        return;
    }
    let (husk, id, other) = (Systemd::new(), unique("sd"), unique("sd"));
    let mut bundle = Bundle::new(&["sleep", "1000"]);
    bundle.set("/linux/cgroupsPath", format!("system.slice::{id}"));
    let container = husk.start(&bundle, &id);
    let (_, done) = husk.try_start(&bundle, &other);
    assert!(done.code == 1 && done.stderr.contains(&format!("{id}.scope")), "{}", done.stderr);
    assert!(done.stderr.contains("already"), "{}", done.stderr);
    // The first one has not lost its scope by that.
    assert_eq!(container.status(), "running");
    assert!(group_of(container.pid()).ends_with(format!("{id}.scope")));
    assert_eq!(run(husk.runtime.command().args(["list", "-q"])).ok().text(), id);
}

#[test]
fn nothing_is_left_of_what_could_not_be_made() {
    if !has_systemd() {
        return;
    }
    let (husk, id) = (Systemd::new(), unique("sd"));
    let unit = format!("husk-{id}.scope");
    let mut bundle = Bundle::new(&["/no/such/program"]);
    let (_, done) = husk.try_start(&bundle, &id);
    assert!(done.code != 0 && !is_loaded(&unit), "{}", done.stderr);
    // A limit that the kernel refuses, after the scope is there.
    bundle = Bundle::new(&["true"]);
    bundle.set("/linux/resources", json!({"unified": {"memory.max": "much"}}));
    let (_, done) = husk.try_start(&bundle, &id);
    assert!(done.stderr.contains("linux.resources.unified[memory.max]"), "{}", done.stderr);
    assert!(!is_loaded(&unit));
}

#[test]
fn a_killed_create_leaves_what_delete_removes() {
    if !has_systemd() {
        return;
    }
    let (husk, id) = (Systemd::new(), unique("sd"));
    let unit = format!("husk-{id}.scope");
    let mut bundle = Bundle::new(&["true"]);
    bundle.set("/hooks/createRuntime", json!([{"path": "/bin/sleep", "args": ["sleep", "1000"]}]));
    bundle.write();
    let mut child = husk
        .command()
        .args(["create", "--bundle"])
        .arg(bundle.path())
        .arg(&id)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_until("the scope is there", || is_loaded(&unit));
    child.kill().unwrap();
    child.wait().unwrap();
    let container = Container::named(&husk.runtime, &id);
    container.call_with("delete", &["--force"], &[]).ok();
    wait_until("the scope is gone", || !is_loaded(&unit));
}
