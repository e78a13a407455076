//! Scopes from their beginning to their end.

use crate::machine::{Systemd, group_of, has_systemd, is_loaded, property, read, systemctl};
use husk_tests::{Bundle, run, unique, wait_until};
use std::process::Command;

#[test]
fn a_scope_in_its_slice() {
    if !has_systemd() {
        return;
    }
    let (husk, id) = (Systemd::new(), unique("sd"));
    let mut bundle = Bundle::new(&["sleep", "1000"]);
    bundle.set("/linux/cgroupsPath", format!("husk-deep.slice:pre:{id}"));
    let container = husk.start(&bundle, &id);
    let unit = format!("pre-{id}.scope");
    let group = group_of(container.pid());
    assert!(group.ends_with(format!("husk.slice/husk-deep.slice/{unit}")), "{}", group.display());
    // Whoever held the scope until init was there has gone.
    assert_eq!(read(&group, "cgroup.procs"), container.pid().to_string());
    assert_eq!(property(&unit, "Delegate"), "yes");
    assert_eq!(property(&unit, "Slice"), "husk-deep.slice");
    assert_eq!(property(&unit, "ActiveState"), "active");

    assert_eq!(container.exec(&["cat", "/proc/self/cgroup"]).ok().text(), "0::/");
    container.call("pause", &[]).ok();
    assert_eq!(container.status(), "paused");
    systemctl(&["daemon-reload"]).ok();
    assert_eq!(container.status(), "paused");
    container.call("resume", &[]).ok();
    assert_eq!(container.call("ps", &["-f", "json"]).ok().text(), format!("[{}]", container.pid()));

    container.call_with("delete", &["--force"], &[]).ok();
    assert!(!group.exists() && !is_loaded(&unit));
    // The name is free at once.
    husk.start(&bundle, &id).call_with("delete", &["--force"], &[]).ok();
    systemctl(&["stop", "husk.slice"]).ok();
}

#[test]
fn without_a_path() {
    if !has_systemd() {
        return;
    }
    let husk = Systemd::new();
    // systemd's names have no plus sign.
    let id = format!("{}+x", unique("sd"));
    let bundle = Bundle::new(&["sleep", "1000"]);
    let container = husk.start(&bundle, &id);
    let unit = format!("husk-{}\\x2bx.scope", id.trim_end_matches("+x"));
    assert!(group_of(container.pid()).ends_with(format!("system.slice/{unit}")));
    container.call("kill", &["KILL"]).ok();
    container.wait_for("stopped");
    wait_until("systemd has forgotten the scope", || !is_loaded(&unit));
    container.call("delete", &[]).ok();
}

#[test]
fn systemctl_stops_it() {
    if !has_systemd() {
        return;
    }
    let (husk, id) = (Systemd::new(), unique("sd"));
    // Ends by the signal that systemd sends first.
    let mut bundle = Bundle::script("trap 'exit 0' TERM; while :; do sleep 0.1; done");
    bundle.set("/linux/cgroupsPath", format!("-.slice::{id}"));
    let container = husk.start(&bundle, &id);
    assert!(group_of(container.pid()).ends_with(format!("cgroup/{id}.scope")));
    systemctl(&["stop", &format!("{id}.scope")]).ok();
    container.wait_for("stopped");
    container.call("delete", &[]).ok();
}

#[test]
fn a_run_to_the_end() {
    if !has_systemd() {
        return;
    }
    let (husk, id) = (Systemd::new(), unique("sd"));
    let bundle = Bundle::script("cat /proc/self/cgroup; exit 7");
    bundle.write();
    let done = run(husk.command().args(["run", "--bundle"]).arg(bundle.path()).arg(&id)).expect_code(7);
    assert_eq!(done.text(), "0::/");
    assert!(!is_loaded(&format!("husk-{id}.scope")));
}

/// Where no bus is (yet), root reaches systemd by its own socket.
#[test]
fn without_a_bus() {
    if !has_systemd() {
        return;
    }
    let (husk, id) = (Systemd::new(), unique("sd"));
    let bundle = Bundle::script("exit 9");
    bundle.write();
    let mut command = husk.command();
    command.env("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nowhere/bus");
    run(command.args(["run", "--bundle"]).arg(bundle.path()).arg(&id)).expect_code(9);
}

/// What husk says to systemd is what its peers say, as far as somebody can see it from outside.
#[test]
fn the_group_is_where_runc_makes_it() {
    if !has_systemd() {
        return;
    }
    let place = |program: &str| {
        let id = unique("sd");
        let mut bundle = Bundle::new(&["sleep", "1000"]);
        bundle.set("/linux/cgroupsPath", format!("husk-peer.slice:x:{id}"));
        bundle.write();
        let root = bundle.path().join("state");
        let call = |words: &[&str]| {
            run(Command::new(program).arg("--systemd-cgroup").arg("--root").arg(&root).args(words))
        };
        call(&["run", "--detach", "--bundle", bundle.path().to_str().unwrap(), &id]).ok();
        let state: serde_json::Value = serde_json::from_str(&call(&["state", &id]).ok().stdout).unwrap();
        let group = group_of(state["pid"].as_u64().unwrap() as u32);
        call(&["delete", "--force", &id]).ok();
        group.to_string_lossy().replace(&id, "ID")
    };
    assert_eq!(place(husk_tests::bin("husk").to_str().unwrap()), place("runc"));
}
