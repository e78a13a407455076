//! Limits through podman: they need every controller, so they run in the VM.

use crate::engine::Podman;
use husk_tests::cgroup;

#[test]
fn limits_are_in_the_groups_files_and_update_changes_them() {
    if !(cgroup::needs("memory") && cgroup::needs("pids") && cgroup::needs("cpu")) {
        return;
    }
    let podman = Podman::new();
    podman.start("box", &["--memory=64m", "--pids-limit=20", "--cpus=0.5", "busybox", "sleep", "1000"]);
    let read = |file: &str| {
        podman.podman(&["exec", "box", "cat", &format!("/sys/fs/cgroup/{file}")]).ok().text().to_owned()
    };
    assert_eq!(read("memory.max"), (64u64 << 20).to_string());
    assert_eq!(read("pids.max"), "20");
    assert_eq!(read("cpu.max"), "50000 100000");
    podman.podman(&["update", "--cpus=0.25", "box"]).ok();
    assert_eq!(read("cpu.max"), "25000 100000");
    let stats = podman.podman(&["stats", "--no-stream", "--format={{.PIDs}}", "box"]).ok();
    assert_eq!(stats.text(), "1");
}

#[test]
fn too_little_memory_ends_with_137() {
    if !cgroup::needs("memory") {
        return;
    }
    let podman = Podman::new();
    podman.start(
        "greedy",
        &["--memory=32m", "--memory-swap=32m", "busybox", "sh", "-c", "exec tail /dev/zero"],
    );
    podman.podman(&["wait", "greedy"]).ok();
    assert_eq!(podman.inspect("greedy", "{{.State.ExitCode}}"), "137");
}
