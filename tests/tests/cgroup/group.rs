//! Groups as such: what works on every host.

use crate::{file, inside, make, resources, start};
use husk_cgroup::{Cgroup, Error, Hierarchy, Leniency};
use husk_tests::cgroup::{Group, controllers};
use husk_tests::{in_vm, temp_dir, wait_until};
use serde_json::json;
use std::path::Path;

#[test]
fn parents_are_made_and_descendants_removed() {
    let own = Group::reserve("parents");
    let path = own.dir().join("pod/container");
    let group = Cgroup::create(&path).unwrap();
    assert!(group.exists() && group.is_empty().unwrap());
    std::fs::create_dir_all(path.join("exec/inner")).unwrap();
    Cgroup::open(own.dir()).delete().unwrap();
    assert!(!own.dir().exists());
    Cgroup::open(own.dir()).delete().unwrap();
}

#[test]
fn controllers_are_passed_on_to_the_group() {
    let (_own, group) = make("controllers");
    let there = group.controllers().unwrap();
    let wanted = ["cpu", "cpuset", "hugetlb", "io", "memory", "pids", "rdma"];
    for name in controllers().iter().filter(|name| wanted.contains(&name.as_str())) {
        assert!(there.contains(name), "{name} is missing: {there:?}");
    }
}

#[test]
fn a_group_in_use_is_no_new_group() {
    let (own, group) = make("in-use");
    let running = start(&group, "exec sleep 600");
    match Cgroup::create(&own.dir()) {
        Err(Error::NotEmpty { count, first, .. }) => assert_eq!((count, first), (1, running.pid())),
        other => panic!("{other:?}"),
    }
    // A pod's parent may be in use.
    Cgroup::ensure(&own.dir()).unwrap();
    drop(running);
    wait_until("the group is empty", || group.is_empty().unwrap());
    group.freeze().unwrap();
    assert!(matches!(Cgroup::create(&own.dir()), Err(Error::Frozen { .. })));
    group.thaw().unwrap();
    Cgroup::create(&own.dir()).unwrap();
}

#[test]
fn freeze_stops_everything_until_thaw() {
    let (_own, group) = make("freeze");
    let dir = temp_dir();
    let counter = dir.path().join("counter");
    let size = || std::fs::metadata(&counter).map_or(0, |meta| meta.len());
    let _running = start(&group, &format!("while :; do echo >>'{}'; done", counter.display()));
    wait_until("the counter runs", || size() > 0);
    group.freeze().unwrap();
    assert!(group.is_frozen().unwrap() && group.events().unwrap().unwrap().frozen);
    let stopped = size();
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert_eq!(size(), stopped);
    group.thaw().unwrap();
    wait_until("the counter runs again", || size() > stopped);
}

#[test]
fn kill_reaches_sessions_subgroups_and_frozen_processes() {
    let (_own, group) = make("kill");
    let mut first = start(&group, "setsid sleep 600 & setsid sleep 600 & wait");
    // Made after the process is there: no controller can be passed on then, so that both may have processes.
    let child = Cgroup::create(&group.path().join("child")).unwrap();
    let mut second = start(&child, "exec sleep 600");
    wait_until("all have joined", || group.pids().unwrap().len() >= 4);
    group.freeze().unwrap();
    group.kill_all().unwrap();
    first.0.wait().unwrap();
    second.0.wait().unwrap();
    wait_until("nobody is left", || group.is_empty().unwrap());
    group.delete().unwrap();
    assert!(!group.exists());
    // A group that is gone has nobody to kill.
    group.kill_all().unwrap();
    assert!(group.pids().unwrap().is_empty());
}

#[test]
fn a_signal_reaches_all() {
    let (_own, group) = make("signal");
    let dir = temp_dir();
    let script = format!(
        "trap 'echo >>{0}/got; exit' TERM; (trap 'echo >>{0}/got; exit' TERM; echo >>{0}/up; while :; do sleep 0.1; \
         done) & echo >>{0}/up; while :; do sleep 0.1; done",
        dir.path().display()
    );
    let _running = start(&group, &script);
    let lines = |name: &str| std::fs::read(dir.path().join(name)).map_or(0, |text| text.len());
    wait_until("both are up", || lines("up") == 2);
    assert!(group.signal_all(15).unwrap());
    wait_until("both got it", || lines("got") == 2);
    assert!(!group.is_frozen().unwrap());
}

#[test]
fn a_process_in_the_group_keeps_it_and_is_named() {
    let (_own, group) = make("busy");
    let running = start(&group, "exec sleep 600");
    let text = group.delete().unwrap_err().to_string();
    assert!(text.contains(&format!("pid {}", running.pid())), "{text}");
    drop(running);
    group.delete().unwrap();
}

#[test]
fn nothing_outside_the_hierarchy_is_removed() {
    let dir = temp_dir();
    std::fs::create_dir(dir.path().join("empty")).unwrap();
    for path in [dir.path(), Path::new("/"), Hierarchy::detect().unwrap().root()] {
        let text = Cgroup::open(path).delete().unwrap_err().to_string();
        assert!(text.contains("not a group"), "{text}");
    }
    assert!(dir.path().join("empty").exists());
}

#[test]
fn a_missing_controller_is_named_with_its_place() {
    let (_own, group) = make("hybrid");
    let wanted = resources(json!({"memory": {"limit": 64 << 20}}));
    if in_vm() || controllers().iter().any(|c| c == "memory") {
        // A pure v2 host: the same call puts the limit in force.
        assert!(group.apply(&wanted, Leniency::Strict).unwrap().is_empty());
        assert_eq!(file(&group, "memory.max"), (64 << 20).to_string());
        return;
    }
    let text = group.apply(&wanted, Leniency::Strict).unwrap_err().to_string();
    assert!(text.contains("linux.resources.memory.limit needs the memory controller"), "{text}");
    assert!(text.contains("bound to cgroup v1"), "{text}");
    let skipped = group.apply(&wanted, Leniency::Skip).unwrap();
    assert_eq!(skipped[0].field, "linux.resources.memory.limit");
}

#[test]
fn a_failed_apply_changes_nothing() {
    if !husk_tests::cgroup::needs("hugetlb") {
        return;
    }
    let (_own, group) = make("back");
    let Some(size) = group.stats().unwrap().hugetlb.keys().next().cloned() else {
        return husk_tests::skip("the host has no huge pages");
    };
    let name = format!("hugetlb.{size}.max");
    // A new group may read as the greatest number of pages there is, and after a write as max.
    let limit = || group.stats().unwrap().hugetlb[&size].limit;
    assert_eq!(limit(), None);
    let bad = resources(json!({
        "hugepageLimits": [{"pageSize": size, "limit": 1 << 30}], "unified": {"hugetlb.nothing": "1"}
    }));
    let text = group.apply(&bad, Leniency::Strict).unwrap_err().to_string();
    assert!(text.contains("unified[hugetlb.nothing]"), "{text}");
    assert_eq!(limit(), None);
    let good = resources(json!({"hugepageLimits": [{"pageSize": size, "limit": 1 << 30}]}));
    group.apply(&good, Leniency::Strict).unwrap();
    assert_eq!(file(&group, &name), (1 << 30).to_string());
}

#[test]
fn a_page_size_that_the_host_lacks() {
    let (_own, group) = make("pages");
    let limit = |limit: u64| resources(json!({"hugepageLimits": [{"pageSize": "3MB", "limit": limit}]}));
    assert!(group.apply(&limit(0), Leniency::Strict).is_ok());
    assert!(group.apply(&limit(1 << 30), Leniency::Strict).is_err());
}

#[test]
fn statistics_are_read_from_every_group() {
    let (_own, group) = make("stats");
    inside(&group, "i=0; while [ $i -lt 2000 ]; do i=$((i+1)); done").ok();
    let stats = group.stats().unwrap();
    assert!(stats.cpu.unwrap().usage_usec > 0, "{stats:?}");
    if controllers().iter().any(|c| c == "memory") {
        assert!(stats.memory.unwrap().stat.contains_key("anon"));
        assert_eq!(stats.pids.unwrap().current, 0);
    }
}

#[test]
fn joining_a_group_that_passes_controllers_on_is_explained() {
    let (_own, group) = make("inner");
    let _child = Cgroup::create(&group.path().join("child")).unwrap();
    let running = start(&Cgroup::open(group.path().join("child")), "exec sleep 600");
    // With no controller to pass on, the group may have processes: then there is nothing to see.
    if let Err(error) = group.add(running.pid()) {
        assert!(error.to_string().contains("passes controllers on"), "{error}");
    } else {
        assert!(file(&group, "cgroup.subtree_control").is_empty());
    }
}
