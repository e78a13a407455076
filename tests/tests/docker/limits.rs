//! Limits through docker: they need every controller, so they run in the VM. One test, as dockerd is slow there.

use crate::engine::Docker;
use husk_tests::cgroup;

#[test]
fn limits_are_in_force_and_update_changes_them() {
    if !(cgroup::needs("memory") && cgroup::needs("pids") && cgroup::needs("cpu")) {
        return;
    }
    let docker = Docker::new();
    docker.start_limited("box");
    let files = || docker.limits("box");
    assert_eq!(files(), "67108864\n20\n50000 100000");
    docker
        .docker(&["update", "--memory=32m", "--memory-swap=32m", "--pids-limit=30", "--cpus=0.25", "box"])
        .ok();
    assert_eq!(files(), "33554432\n30\n25000 100000");
    let stats = docker.docker(&["stats", "--no-stream", "--format={{.PIDs}} {{.MemUsage}}", "box"]).ok();
    assert!(stats.text().starts_with("1 ") && stats.text().ends_with(" / 32MiB"), "{stats:?}");

    docker.start("greedy", &["--memory=32m", "--memory-swap=32m", "busybox", "tail", "/dev/zero"]);
    docker.docker(&["wait", "greedy"]).ok();
    assert_eq!(docker.inspect("greedy", "{{.State.ExitCode}} {{.State.OOMKilled}}"), "137 true");
}
