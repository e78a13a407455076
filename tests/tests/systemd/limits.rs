//! Limits and devices, before and after systemd has read its units again.

use crate::machine::{Systemd, group_of, has_systemd, property, read, systemctl};
use husk_tests::{Bundle, unique};
use serde_json::json;
use std::path::Path;

const FILES: [&str; 9] = [
    "memory.max",
    "memory.high",
    "memory.low",
    "memory.swap.max",
    "pids.max",
    "cpu.max",
    "cpu.weight",
    "cpuset.cpus",
    "cpuset.mems",
];

fn values(group: &Path) -> Vec<String> {
    FILES.iter().map(|file| read(group, file)).collect()
}

#[test]
fn limits_outlive_a_reload() {
    if !has_systemd() {
        return;
    }
    let (husk, id) = (Systemd::new(), unique("sd"));
    let mut bundle = Bundle::new(&["sleep", "1000"]);
    bundle.set(
        "/linux/resources",
        json!({
            "memory": {"limit": 67_108_864, "swap": 100_663_296, "reservation": 16_777_216},
            "pids": {"limit": 50},
            "cpu": {"shares": 512, "quota": 20_000, "period": 50_000, "cpus": "0", "mems": "0"},
            "unified": {"memory.high": "60M"}
        }),
    );
    let container = husk.start(&bundle, &id);
    let (group, unit) = (group_of(container.pid()), format!("husk-{id}.scope"));
    let wanted = ["67108864", "62914560", "16777216", "33554432", "50", "20000 50000", "59", "0", "0"]
        .map(str::to_owned);
    assert_eq!(values(&group), wanted);
    assert_eq!(property(&unit, "MemoryMax"), "67108864");
    systemctl(&["daemon-reload"]).ok();
    assert_eq!(values(&group), wanted);

    let flags = ["--memory", "32m", "--memory-swap", "32m", "--pids-limit", "40", "--cpu-quota", "30000"];
    container.call_with("update", &flags, &[]).ok();
    systemctl(&["daemon-reload"]).ok();
    // A limit that somebody else changes makes systemd write all of them again.
    systemctl(&["set-property", "--runtime", &unit, "CPUWeight=33"]).ok();
    let wanted =
        ["33554432", "62914560", "16777216", "0", "40", "30000 50000", "33", "0", "0"].map(str::to_owned);
    assert_eq!(values(&group), wanted);
}

#[test]
fn idle_outlives_a_reload() {
    if !has_systemd() {
        return;
    }
    let (husk, id) = (Systemd::new(), unique("sd"));
    let mut bundle = Bundle::new(&["sleep", "1000"]);
    bundle.set("/linux/resources", json!({"cpu": {"idle": 1}}));
    let container = husk.start(&bundle, &id);
    let group = group_of(container.pid());
    systemctl(&["daemon-reload"]).ok();
    systemctl(&["set-property", "--runtime", &format!("husk-{id}.scope"), "TasksMax=100"]).ok();
    assert_eq!(read(&group, "cpu.idle"), "1");
    container.call_with("update", &["--cpu-idle", "0"], &[]).ok();
    systemctl(&["daemon-reload"]).ok();
    assert_eq!((read(&group, "cpu.idle"), read(&group, "cpu.weight")), ("0".into(), "100".into()));
}

#[test]
fn devices_outlive_a_reload() {
    if !has_systemd() {
        return;
    }
    let (husk, id) = (Systemd::new(), unique("sd"));
    let mut bundle = Bundle::new(&["sleep", "1000"]);
    for set in ["bounding", "effective", "permitted"] {
        bundle.push(&format!("/process/capabilities/{set}"), json!("CAP_MKNOD"));
    }
    // What the default rules don't allow, by a rule of the container's; and what no rule allows.
    bundle.set(
        "/linux/resources",
        json!({"devices": [
            {"allow": false, "access": "rwm"},
            {"allow": true, "type": "c", "major": 1, "minor": 4, "access": "w"}
        ]}),
    );
    let container = husk.start(&bundle, &id);
    container.sh("mknod /tmp/port c 1 4; mknod /tmp/kmsg c 1 11").ok();
    let try_all = || {
        let done = container.sh(
            "for rule in '< /dev/null' '> /dev/zero' '>> /tmp/port' '< /tmp/port' '< /tmp/kmsg' '>> /tmp/kmsg'; do \
             eval \"(: $rule) 2>/dev/null\" && echo \"$rule\"; done; true",
        );
        done.ok().text().to_owned()
    };
    let before = try_all();
    // Opening /dev/port takes CAP_SYS_RAWIO besides, so what is seen of it is that it makes no difference.
    assert!(before.contains("< /dev/null\n> /dev/zero") && !before.contains("kmsg"), "{before}");
    systemctl(&["daemon-reload"]).ok();
    assert_eq!(try_all(), before);
    systemctl(&["set-property", "--runtime", &format!("husk-{id}.scope"), "TasksMax=100"]).ok();
    assert_eq!(try_all(), before);
}

/// There is room for init alone, though another process held the scope before.
#[test]
fn one_process_and_no_more() {
    if !has_systemd() {
        return;
    }
    let (husk, id) = (Systemd::new(), unique("sd"));
    let mut bundle = Bundle::new(&["sleep", "1000"]);
    bundle.set("/linux/resources", json!({"pids": {"limit": 1}}));
    let container = husk.start(&bundle, &id);
    assert_eq!(read(&group_of(container.pid()), "pids.max"), "1");
    assert_eq!(property(&format!("husk-{id}.scope"), "TasksMax"), "1");
}

#[test]
fn properties_by_annotation() {
    if !has_systemd() {
        return;
    }
    let (husk, id) = (Systemd::new(), unique("sd"));
    let mut bundle = Bundle::new(&["sleep", "1000"]);
    bundle.set(
        "/annotations",
        json!({"org.systemd.property.TimeoutStopSec": "7", "org.systemd.property.Description": "'of its own'"}),
    );
    let _container = husk.start(&bundle, &id);
    let unit = format!("husk-{id}.scope");
    assert_eq!(property(&unit, "TimeoutStopUSec"), "7s");
    assert_eq!(property(&unit, "Description"), "of its own");
    for (name, value, wanted) in [
        ("TimeoutStopSec", "'soon'", "annotations[org.systemd.property.TimeoutStopSec]"),
        ("Slice", "'other.slice'", "annotations[org.systemd.property.Slice]: husk sets this property itself"),
        ("NoSuchThing", "true", "NoSuchThing"),
    ] {
        let mut wrong = Bundle::new(&["sleep", "1000"]);
        wrong.set("/annotations", json!({format!("org.systemd.property.{name}"): value}));
        let (_, done) = husk.try_start(&wrong, &unique("sd"));
        assert!(done.code != 0 && done.stderr.contains(wanted), "{}", done.stderr);
    }
}
