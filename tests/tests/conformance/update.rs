//! `update`: limits of a running container.

use super::{idle, same};
use husk_tests::cgroup::{Group, needs};
use husk_tests::{Bundle, Container, Runtime, run};
use serde_json::json;
use std::process::Stdio;

/// Updates a container by flags and gives the content of files of its group.
fn updated(flags: &[&str], names: &[&str]) -> Vec<String> {
    let runtime = Runtime::new();
    let group = Group::reserve("update");
    let container = idle(&runtime, |bundle: &mut Bundle| {
        bundle.set("/linux/resources/memory", json!({"limit": 128 << 20}));
        bundle.set("/linux/resources/cpu", json!({"quota": 50_000, "period": 100_000}));
        bundle.set("/linux/cgroupsPath", group.path.as_str())
    });
    container.call_with("update", flags, &[]).ok();
    names
        .iter()
        .map(|name| std::fs::read_to_string(group.dir().join(name)).unwrap().trim().to_owned())
        .collect()
}

macro_rules! updates {
    ($($name:ident: $flags:expr => $($file:literal $value:literal),+;)*) => {
        $(#[test]
        fn $name() {
            if needs("memory") {
                assert_eq!(updated(&$flags, &[$($file),+]), [$($value),+]);
            }
        })*
    };
}

updates! {
    memory: ["--memory", "67108864"] => "memory.max" "67108864", "cpu.max" "50000 100000";
    memory_and_swap: ["--memory", "67108864", "--memory-swap", "100663296"] => "memory.max" "67108864", "memory.swap.max" "33554432";
    memory_reservation: ["--memory-reservation", "33554432"] => "memory.low" "33554432";
    memory_with_a_unit: ["--memory", "64M"] => "memory.max" "67108864";
    pids: ["--pids-limit", "77"] => "pids.max" "77";
    no_limit_of_pids: ["--pids-limit", "-1"] => "pids.max" "max";
    cpu_quota: ["--cpu-quota", "20000"] => "cpu.max" "20000 100000";
    cpu_period: ["--cpu-period", "200000", "--cpu-quota", "40000"] => "cpu.max" "40000 200000";
    no_cpu_quota: ["--cpu-quota", "-1"] => "cpu.max" "max 100000";
    cpuset: ["--cpuset-cpus", "0"] => "cpuset.cpus" "0";
    cpu_idle: ["--cpu-idle", "1"] => "cpu.idle" "1";
    cpu_burst: ["--cpu-burst", "10000"] => "cpu.max.burst" "10000";
    cpuset_mems: ["--cpuset-mems", "0"] => "cpuset.mems" "0";
}

/// Updates by a document that `how` passes on.
fn by_document(how: impl Fn(&Runtime, &Container<'_>, &std::path::Path)) {
    if !needs("memory") {
        return;
    }
    let runtime = Runtime::new();
    let group = Group::reserve("update");
    let container = idle(&runtime, |bundle| bundle.set("/linux/cgroupsPath", group.path.as_str()));
    let bundle = container.bundle();
    let path = bundle.path().join("resources.json");
    std::fs::write(&path, json!({"memory": {"limit": 64 << 20}, "pids": {"limit": 55}}).to_string()).unwrap();
    how(&runtime, &container, &path);
    let file = |name: &str| std::fs::read_to_string(group.dir().join(name)).unwrap().trim().to_owned();
    assert_eq!((file("memory.max").as_str(), file("pids.max").as_str()), ("67108864", "55"));
}

#[test]
fn by_a_file() {
    by_document(|_, container, path| {
        container.call_with("update", &["--resources", path.to_str().unwrap()], &[]).ok();
    });
}

#[test]
fn by_standard_input() {
    by_document(|runtime, container, path| {
        let mut command = runtime.command();
        command.args(["update", "-r", "-", &container.id]);
        husk_tests::command::run_with_stdin(&mut command, Stdio::from(std::fs::File::open(path).unwrap()))
            .ok();
    });
}

#[test]
fn device_rules_stay() {
    if !needs("memory") {
        return;
    }
    let runtime = Runtime::new();
    let container = idle(&runtime, |bundle| super::capable(bundle, &["CAP_MKNOD", "CAP_SYSLOG"]));
    container.call_with("update", &["--memory", "67108864"], &[]).ok();
    assert_ne!(container.sh("mknod /k c 1 11 && : </k").code, 0);
    container.sh("echo x >/dev/null").ok();
}

#[test]
fn of_a_created_container() {
    if !needs("memory") {
        return;
    }
    let runtime = Runtime::new();
    let group = Group::reserve("update");
    let mut bundle = Bundle::new(&["sleep", "100000"]);
    bundle.set("/linux/cgroupsPath", group.path.as_str());
    let container = runtime.create(&bundle);
    container.call_with("update", &["--pids-limit", "33"], &[]).ok();
    assert_eq!(std::fs::read_to_string(group.dir().join("pids.max")).unwrap(), "33\n");
}

#[test]
fn cpu_share() {
    if needs("cpu") {
        let weight =
            |shares: &str| updated(&["--cpu-share", shares], &["cpu.weight"])[0].parse::<u64>().unwrap();
        assert!(weight("2") < weight("2048"));
    }
}

#[test]
fn a_weight_of_block_devices_is_taken() {
    if needs("io") {
        updated(&["--blkio-weight", "300"], &[]);
    }
}

#[test]
fn less_memory_than_is_in_use_is_an_error_where_that_is_to_be_checked() {
    if !needs("memory") {
        return;
    }
    let runtime = Runtime::new();
    let container =
        idle(&runtime, |bundle| bundle.set("/linux/resources/memory", json!({"limit": 128 << 20})));
    let bundle = container.bundle();
    let path = bundle.path().join("resources.json");
    std::fs::write(&path, json!({"memory": {"limit": 4096, "checkBeforeUpdate": true}}).to_string()).unwrap();
    assert_ne!(container.call_with("update", &["--resources", path.to_str().unwrap()], &[]).code, 0);
    assert_eq!(container.status(), "running");
}

#[test]
fn intel_rdt_without_the_hardware_is_an_error() {
    let runtime = Runtime::new();
    if !runtime.needs_groups() || std::path::Path::new("/sys/fs/resctrl/schemata").exists() {
        return;
    }
    let container = idle(&runtime, same);
    for flags in [["--l3-cache-schema", "L3:0=f"], ["--mem-bw-schema", "MB:0=50"]] {
        assert_ne!(container.call_with("update", &flags, &[]).code, 0, "{flags:?}");
    }
}

#[test]
fn a_value_that_is_none_is_an_error() {
    let runtime = Runtime::new();
    if !runtime.needs_groups() {
        return;
    }
    let container = idle(&runtime, same);
    assert_ne!(container.call_with("update", &["--memory", "much"], &[]).code, 0);
    assert_ne!(container.call_with("update", &["--resources", "/no/such/file"], &[]).code, 0);
}

#[test]
fn of_no_container_is_an_error() {
    let runtime = Runtime::new();
    assert_ne!(
        Container::named(&runtime, "husk-nobody").call_with("update", &["--memory", "67108864"], &[]).code,
        0
    );
    assert_ne!(run(runtime.command().arg("update")).code, 0);
}
