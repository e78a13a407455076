//! `linux.resources`: what each member writes to the group, on cgroup v2 with every controller.

use super::{idle, refused, run};
use husk_tests::cgroup::{Group, needs};
use husk_tests::{Bundle, Runtime};
use serde_json::{Value, json};

/// The content of files of a container's group with these resources, one per line.
fn files(resources: Value, names: &[&str]) -> Vec<String> {
    let runtime = Runtime::new();
    let group = Group::reserve("limit");
    let _container = idle(&runtime, |bundle: &mut Bundle| {
        for (key, value) in resources.as_object().unwrap() {
            bundle.set(&format!("/linux/resources/{key}"), value.clone());
        }
        bundle.set("/linux/cgroupsPath", group.path.as_str())
    });
    names
        .iter()
        .map(|name| {
            std::fs::read_to_string(group.dir().join(name))
                .unwrap_or_else(|error| panic!("{name}: {error}"))
                .trim()
                .to_owned()
        })
        .collect()
}

macro_rules! limits {
    ($($name:ident $controller:literal: $resources:tt => $($file:literal $value:literal),+;)*) => {
        $(#[test]
        fn $name() {
            if Runtime::new().needs_groups() && needs($controller) {
                assert_eq!(files(json!($resources), &[$($file),+]), [$($value),+]);
            }
        })*
    };
}

limits! {
    memory_limit "memory": {"memory": {"limit": 33554432}} => "memory.max" "33554432";
    memory_and_swap_together "memory": {"memory": {"limit": 33554432, "swap": 50331648}} => "memory.max" "33554432", "memory.swap.max" "16777216";
    no_swap "memory": {"memory": {"limit": 33554432, "swap": 33554432}} => "memory.swap.max" "0";
    unlimited_swap "memory": {"memory": {"limit": 33554432, "swap": -1}} => "memory.swap.max" "max";
    memory_without_limit "memory": {"memory": {"limit": -1}} => "memory.max" "max";
    memory_reservation "memory": {"memory": {"limit": 33554432, "reservation": 16777216}} => "memory.low" "16777216";
    pids_limit "pids": {"pids": {"limit": 77}} => "pids.max" "77";
    pids_without_limit "pids": {"pids": {"limit": -1}} => "pids.max" "max";
    cpu_quota_and_period "cpu": {"cpu": {"quota": 20000, "period": 50000}} => "cpu.max" "20000 50000";
    cpu_quota_alone "cpu": {"cpu": {"quota": 20000}} => "cpu.max" "20000 100000";
    cpu_period_alone "cpu": {"cpu": {"period": 50000}} => "cpu.max" "max 50000";
    cpu_without_quota "cpu": {"cpu": {"quota": -1}} => "cpu.max" "max 100000";
    cpu_burst "cpu": {"cpu": {"quota": 20000, "period": 50000, "burst": 10000}} => "cpu.max.burst" "10000";
    cpu_idle "cpu": {"cpu": {"idle": 1}} => "cpu.idle" "1";
    cpuset "cpuset": {"cpu": {"cpus": "0", "mems": "0"}} => "cpuset.cpus" "0", "cpuset.mems" "0";
    unified_memory "memory": {"unified": {"memory.high": "16777216", "memory.oom.group": "1"}} => "memory.high" "16777216", "memory.oom.group" "1";
    unified_pids "pids": {"unified": {"pids.max": "99"}} => "pids.max" "99";
    unified_wins_over_the_rest "pids": {"pids": {"limit": 77}, "unified": {"pids.max": "99"}} => "pids.max" "99";
    hugepages "hugetlb": {"hugepageLimits": [{"pageSize": "2MB", "limit": 4194304}]} => "hugetlb.2MB.max" "4194304";
}

#[test]
fn cpu_shares_grow_with_weight() {
    if !needs("cpu") {
        return;
    }
    // How 2 to 262144 become 1 to 10000 has changed over time; their order and ends have not.
    let weight =
        |shares: u64| files(json!({"cpu": {"shares": shares}}), &["cpu.weight"])[0].parse::<u64>().unwrap();
    let (least, some, most) = (weight(2), weight(1024), weight(262_144));
    assert!((least, most) == (1, 10_000) && (30..=110).contains(&some), "{least} {some} {most}");
}

#[test]
fn throttled_devices() {
    if !needs("io") {
        return;
    }
    let mut disks = std::fs::read_dir("/sys/block").unwrap().flatten().map(|disk| disk.path());
    let Some(number) = disks.find_map(|disk| std::fs::read_to_string(disk.join("dev")).ok()) else {
        return husk_tests::skip("there is no disk");
    };
    let (major, minor) = number.trim().split_once(':').unwrap();
    let device = |rate: u64| json!([{"major": major.parse::<i64>().unwrap(), "minor": minor.parse::<i64>().unwrap(), "rate": rate}]);
    let shown = files(
        json!({"blockIO": {"throttleReadBpsDevice": device(1 << 20), "throttleWriteBpsDevice": device(2 << 20),
            "throttleReadIOPSDevice": device(300), "throttleWriteIOPSDevice": device(400)}}),
        &["io.max"],
    );
    for word in ["rbps=1048576", "wbps=2097152", "riops=300", "wiops=400"] {
        assert!(shown[0].contains(word), "{word}: {shown:?}");
    }
}

#[test]
fn the_limit_of_processes_is_in_force() {
    if !needs("pids") {
        return;
    }
    let done = run("for i in 1 2 3 4 5 6; do sleep 5 & done; echo all", |bundle| {
        bundle.set("/linux/resources/pids", json!({"limit": 4}))
    });
    assert!(done.stderr.contains("fork"), "{done:?}");
}

#[test]
fn the_limit_of_memory_is_in_force() {
    if !needs("memory") {
        return;
    }
    let mut bundle = Bundle::new(&["tail", "/dev/zero"]);
    bundle.set("/linux/resources/memory", json!({"limit": 32 << 20, "swap": 32 << 20}));
    Runtime::new().run(&bundle).expect_code(137);
}

#[test]
fn the_set_of_processors_is_in_force() {
    if !needs("cpuset") {
        return;
    }
    let done = run("grep Cpus_allowed_list /proc/self/status", |bundle| {
        bundle.set("/linux/resources/cpu", json!({"cpus": "0"}))
    })
    .ok();
    assert_eq!(done.text().split_whitespace().nth(1), Some("0"));
}

#[test]
fn a_file_of_unified_that_there_is_not_is_an_error() {
    if !needs("memory") {
        return;
    }
    refused(|bundle| bundle.set("/linux/resources/unified", json!({"memory.no-such-file": "1"})));
    refused(|bundle| bundle.set("/linux/resources/unified", json!({"nope.max": "1"})));
}

#[test]
fn a_path_in_unified_is_an_error() {
    let runtime = Runtime::new();
    if !runtime.needs_groups() {
        return;
    }
    refused(|bundle| bundle.set("/linux/resources/unified", json!({"../cgroup.procs": "1"})));
}

#[test]
fn a_value_that_the_kernel_refuses_is_an_error() {
    if !needs("cpu") {
        return;
    }
    refused(|bundle| bundle.set("/linux/resources/cpu", json!({"quota": 1, "period": 50000})));
    refused(|bundle| bundle.set("/linux/resources/cpu", json!({"cpus": "4000-4001x"})));
}

#[test]
fn a_page_size_that_there_is_not_is_an_error() {
    if !needs("hugetlb") {
        return;
    }
    let runtime = Runtime::new();
    if !runtime.needs_groups() {
        return;
    }
    refused(|bundle| bundle.set("/linux/resources/hugepageLimits", json!([{"pageSize": "3MB", "limit": 1}])));
}

#[test]
fn an_rdma_device_that_there_is_not_is_an_error() {
    if needs("rdma") {
        let limit = json!({"no-such-device0": {"hcaHandles": 2, "hcaObjects": 2000}});
        refused(|bundle| bundle.set("/linux/resources/rdma", limit));
    }
}

#[test]
fn the_weight_of_block_devices_is_taken() {
    if needs("io") {
        run("true", |bundle| bundle.set("/linux/resources/blockIO", json!({"weight": 300}))).ok();
    }
}

#[test]
fn no_resources_are_no_limits() {
    if !needs("memory") {
        return;
    }
    assert_eq!(files(json!({"pids": {"limit": 77}}), &["memory.max", "cpu.max"]), ["max", "max 100000"]);
}
