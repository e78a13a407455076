//! podman with systemd as its cgroup manager, as Debian sets it up: of root, and of an ordinary user, who has limits and can
//! pause that way. In the VM with systemd as PID 1.

use crate::engine::Podman;
use husk_tests::{cgroup, has_systemd, wait_until};

fn property(podman: &Podman, unit: &str, name: &str) -> String {
    podman.host(&["systemctl", "show", unit, "--property", name, "--value"]).ok().text().to_owned()
}

fn group(podman: &Podman, name: &str) -> std::path::PathBuf {
    cgroup::of_process(podman.inspect(name, "{{.State.Pid}}").parse().unwrap())
}

/// Limits as podman sets them, `update`, `stats`, `exec`, `pause`, `stop`, and an OOM kill.
fn life(podman: &Podman) {
    let limits = ["--memory=64m", "--pids-limit=20", "--cpus=0.5"];
    let script = "trap 'exit 5' TERM; echo up; while :; do sleep 0.1; done";
    podman.start("box", &[&limits[..], &["busybox", "sh", "-c", script]].concat());
    wait_until("the trap is set", || podman.podman(&["logs", "box"]).stdout.contains("up"));
    let files = || {
        let script = "cd /sys/fs/cgroup; cat memory.max pids.max cpu.max";
        podman.podman(&["exec", "box", "sh", "-c", script]).ok().text().to_owned()
    };
    assert_eq!(files(), "67108864\n20\n50000 100000");
    podman.podman(&["update", "--cpus=0.25", "--memory=32m", "box"]).ok();
    assert_eq!(files(), "33554432\n20\n25000 100000");
    let stats = podman.podman(&["stats", "--no-stream", "--format={{.PIDs}} {{.MemUsage}}", "box"]).ok();
    // podman 4.3 shows the limit that the container was made with.
    assert!(stats.text().contains("B / "), "{stats:?}");

    let group = group(podman, "box");
    podman.podman(&["pause", "box"]).ok();
    assert_eq!(std::fs::read_to_string(group.join("cgroup.freeze")).unwrap(), "1\n");
    podman.podman(&["unpause", "box"]).ok();
    podman.podman(&["stop", "--time=100", "box"]).ok();
    assert_eq!(podman.inspect("box", "{{.State.ExitCode}}"), "5");
    wait_until("its group is gone", || !group.exists());

    podman.start("greedy", &["--memory=32m", "--memory-swap=32m", "busybox", "tail", "/dev/zero"]);
    assert_eq!(podman.podman(&["wait", "greedy"]).ok().text(), "137");
}

#[test]
fn life_in_a_scope() {
    if !has_systemd() {
        return;
    }
    let podman = Podman::by_systemd(false);
    life(&podman);
    podman.start("box2", &["--memory=64m", "--cgroup-parent=husktest.slice", "busybox", "sleep", "1000"]);
    let scope = format!("libpod-{}.scope", podman.inspect("box2", "{{.Id}}"));
    assert!(group(&podman, "box2").starts_with(format!("/sys/fs/cgroup/husktest.slice/{scope}")));
    assert_eq!(property(&podman, &scope, "MemoryMax"), "67108864");
    assert_eq!(property(&podman, &scope, "Slice"), "husktest.slice");
    podman.podman(&["rm", "--force", "--time=0", "box2"]).ok();
    wait_until("systemd has forgotten the scope", || property(&podman, &scope, "LoadState") == "not-found");
}

#[test]
fn a_pod_has_a_slice() {
    if !has_systemd() {
        return;
    }
    let podman = Podman::by_systemd(false);
    let infra = ["--infra-image=busybox", "--infra-command=sleep 1000", "--network=none"];
    podman.podman(&[&["pod", "create", "--name=pod", "--memory=128m"], &infra[..]].concat()).ok();
    podman.podman(&["run", "-d", "--pod=pod", "--name=a", "busybox", "sleep", "1000"]).ok();
    let slice = group(&podman, "a").iter().find_map(|part| {
        let part = part.to_str().unwrap();
        part.starts_with("machine-libpod_pod_").then(|| part.to_owned())
    });
    assert_eq!(property(&podman, &slice.expect("a slice of the pod's"), "MemoryMax"), "134217728");
    podman.podman(&["exec", "a", "dd", "if=/dev/zero", "of=/dev/null", "count=1"]).ok();
    podman.podman(&["pod", "stop", "--time=0", "pod"]).ok();
    podman.podman(&["pod", "rm", "--force", "pod"]).ok();
}

#[test]
fn limits_and_pause_of_an_ordinary_user() {
    if !has_systemd() {
        return;
    }
    let podman = Podman::by_systemd(true);
    life(&podman);
    podman.start("box2", &["busybox", "sleep", "1000"]);
    let group = group(&podman, "box2");
    assert!(group.to_str().unwrap().contains("/user@12345.service/"), "{}", group.display());
    podman.podman(&["rm", "--force", "--time=0", "box2"]).ok();
}
