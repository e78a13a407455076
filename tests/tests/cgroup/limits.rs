//! Limits in force. They need a host whose controllers are all on cgroup v2.

use crate::{file, inside, make, resources, start};
use husk_cgroup::Leniency;
use husk_tests::cgroup::needs;
use husk_tests::wait_until;
use serde_json::{Value, json};

/// The group's file after the resources have been applied.
fn apply(group: &husk_cgroup::Cgroup, json: Value, name: &str) -> String {
    let skipped = group.apply(&resources(json), Leniency::Strict).unwrap();
    assert_eq!(skipped, []);
    file(group, name)
}

#[test]
fn memory_limit_kills_and_is_on_record() {
    if !needs("memory") {
        return;
    }
    let (_own, group) = make("memory");
    let before = group.memory_events().unwrap().unwrap();
    assert_eq!(
        apply(&group, json!({"memory": {"limit": 32 << 20, "swap": 32 << 20}}), "memory.max"),
        "33554432"
    );
    assert_eq!(file(&group, "memory.swap.max"), "0");
    // tail keeps what it reads until a line ends, and no line of zeros does.
    inside(&group, "exec tail /dev/zero").expect_code(137);
    let delta = group.memory_events().unwrap().unwrap().since(&before);
    assert_eq!((delta.oom_kill, delta.oom_group_kill), (1, 0), "{delta:?}");
    let local = group.memory_events_local().unwrap().unwrap();
    assert!(local.oom >= 1, "{local:?}");
    assert!(group.memory().unwrap().unwrap().peak.unwrap() > 16 << 20);
}

#[test]
fn the_limit_of_a_parent_is_not_the_groups_own() {
    if !needs("memory") {
        return;
    }
    let (own, pod) = make("pod");
    apply(&pod, json!({"memory": {"limit": 32 << 20, "swap": 32 << 20}}), "memory.max");
    let group = husk_cgroup::Cgroup::create(&own.dir().join("container")).unwrap();
    inside(&group, "exec tail /dev/zero").expect_code(137);
    assert_eq!(group.memory_events().unwrap().unwrap().oom_kill, 1);
    assert_eq!(group.memory_events_local().unwrap().unwrap().oom, 0);
    assert!(pod.memory_events_local().unwrap().unwrap().oom >= 1);
}

#[test]
fn memory_reservation_and_unified() {
    if !needs("memory") {
        return;
    }
    let (_own, group) = make("low");
    assert_eq!(apply(&group, json!({"memory": {"reservation": 4096}}), "memory.low"), "4096");
    assert_eq!(apply(&group, json!({"memory": {"limit": -1}}), "memory.max"), "max");
    assert_eq!(apply(&group, json!({"unified": {"memory.oom.group": "1"}}), "memory.oom.group"), "1");
    let text = group.apply(&resources(json!({"unified": {"memory.nothing": "1"}})), Leniency::Strict);
    assert!(text.unwrap_err().to_string().contains("no such file"));
}

#[test]
fn a_limit_below_use_is_refused_if_asked() {
    if !needs("memory") {
        return;
    }
    let (_own, group) = make("check");
    let _running = start(&group, "exec sleep 600");
    wait_until("memory is in use", || group.memory().unwrap().unwrap().current > 4096);
    let wanted = resources(json!({"memory": {"limit": 4096, "checkBeforeUpdate": true}}));
    let text = group.apply(&wanted, Leniency::Strict).unwrap_err().to_string();
    assert!(text.contains("rejecting memory limit 4096") && text.contains("checkBeforeUpdate"), "{text}");
    assert_eq!(file(&group, "memory.max"), "max");
}

#[test]
fn pids_limit_refuses_forks_and_counts_them() {
    if !needs("pids") {
        return;
    }
    let (_own, group) = make("pids");
    assert_eq!(apply(&group, json!({"pids": {"limit": 3}}), "pids.max"), "3");
    let done = inside(&group, "sleep 5 & sleep 5 & sleep 5 & sleep 5 & kill %1 %2 %3; wait");
    assert!(done.stderr.contains("fork") || done.code != 0, "{done:?}");
    assert!(group.pids_max_hits().unwrap().unwrap() >= 1);
    assert_eq!(apply(&group, json!({"pids": {"limit": -1}}), "pids.max"), "max");
    group.kill_all().unwrap();
}

#[test]
fn cpu_quota_throttles() {
    if !needs("cpu") {
        return;
    }
    let (_own, group) = make("quota");
    assert_eq!(apply(&group, json!({"cpu": {"quota": 5000, "period": 50000}}), "cpu.max"), "5000 50000");
    let _running = start(&group, "while :; do :; done");
    wait_until("it is throttled", || group.cpu().unwrap().unwrap().nr_throttled > 2);
}

#[test]
fn cpu_burst_and_quota_change_together_both_ways() {
    if !needs("cpu") {
        return;
    }
    let (_own, group) = make("burst");
    let set = |quota: u64, burst: u64| {
        apply(&group, json!({"cpu": {"quota": quota, "period": 100_000, "burst": burst}}), "cpu.max.burst")
    };
    assert_eq!(set(50_000, 40_000), "40000");
    assert_eq!(set(10_000, 5_000), "5000");
    assert_eq!(set(90_000, 80_000), "80000");
    let bad = resources(json!({"cpu": {"quota": 20_000, "burst": 90_000}}));
    let text = group.apply(&bad, Leniency::Strict).unwrap_err().to_string();
    assert!(text.contains("linux.resources.cpu"), "{text}");
    assert_eq!(file(&group, "cpu.max"), "90000 100000");
}

#[test]
fn cpu_weight_and_idle() {
    if !needs("cpu") {
        return;
    }
    let (_own, group) = make("weight");
    assert_eq!(apply(&group, json!({"cpu": {"shares": 2}}), "cpu.weight"), "1");
    assert_eq!(apply(&group, json!({"cpu": {"shares": 1024}}), "cpu.weight"), "100");
    assert_eq!(apply(&group, json!({"cpu": {"idle": 1}}), "cpu.idle"), "1");
    assert_eq!(apply(&group, json!({"cpu": {"idle": 0, "shares": 2048}}), "cpu.idle"), "0");
}

#[test]
fn cpuset_binds() {
    if !needs("cpuset") {
        return;
    }
    let (_own, group) = make("cpuset");
    assert_eq!(apply(&group, json!({"cpu": {"cpus": "0", "mems": "0"}}), "cpuset.cpus"), "0");
    let done = inside(&group, "grep Cpus_allowed_list /proc/self/status").ok();
    assert_eq!(done.text().split_whitespace().nth(1), Some("0"));
    let far = resources(json!({"cpu": {"cpus": "4000"}}));
    if let Err(error) = group.apply(&far, Leniency::Strict) {
        assert!(error.to_string().contains("linux.resources.cpu.cpus"), "{error}");
    }
}

#[test]
fn io_throttle_of_a_disk() {
    if !needs("io") {
        return;
    }
    // Any whole disk does; the limit is on this group alone.
    let mut disks = std::fs::read_dir("/sys/block").unwrap().flatten().map(|disk| disk.path());
    let Some(number) = disks.find_map(|disk| std::fs::read_to_string(disk.join("dev")).ok()) else {
        return husk_tests::skip("there is no disk");
    };
    let (major, minor) = number.trim().split_once(':').unwrap();
    let device = |rate: u64| json!([{"major": major.parse::<i64>().unwrap(), "minor": minor.parse::<i64>().unwrap(), "rate": rate}]);
    let (_own, group) = make("io");
    let text = apply(&group, json!({"blockIO": {"throttleReadBpsDevice": device(1 << 20)}}), "io.max");
    assert!(text.contains(&format!("{} rbps=1048576", number.trim())), "{text}");
    let text = apply(&group, json!({"blockIO": {"throttleReadBpsDevice": device(0)}}), "io.max");
    assert!(!text.contains("rbps=1048576"), "{text}");
}
