//! Checkpoint and restore through podman, where criu works.

use crate::engine::Podman;
use husk_tests::{criu, wait_until};

/// Counts in its root filesystem and in a tmpfs: the first is kept by podman, the second by criu.
const COUNTER: &str =
    "i=0; while :; do i=$((i+1)); echo $i >/count; echo $i >/dev/shm/count; sleep 0.2; done";

fn count(podman: &Podman, name: &str) -> u64 {
    let text = podman.podman(&["exec", name, "cat", "/dev/shm/count"]).ok().text().to_owned();
    text.parse().unwrap_or(0)
}

#[track_caller]
fn counts_on(podman: &Podman, name: &str, from: u64) -> u64 {
    let mut now = 0;
    wait_until("the counter goes on", || {
        now = count(podman, name);
        now > from
    });
    now
}

#[test]
fn checkpoint_and_restore_in_place_and_by_archive() {
    if !criu() {
        return;
    }
    let podman = Podman::new();
    podman.start("box", &["--label=a=b", "busybox", "sh", "-c", COUNTER]);
    let mut at = counts_on(&podman, "box", 0);
    let cp = |args: &[&str]| podman.podman(&[&["container"], args].concat()).ok();

    cp(&["checkpoint", "--leave-running", "box"]);
    assert_eq!(podman.inspect("box", "{{.State.Status}}"), "running");
    at = counts_on(&podman, "box", at);

    cp(&["checkpoint", "--print-stats", "box"]);
    assert_eq!(podman.inspect("box", "{{.State.Status}} {{.State.Checkpointed}}"), "exited true");
    let done = cp(&["restore", "--print-stats", "box"]);
    assert!(done.stdout.contains("criu_statistics"), "{done:?}");
    at = counts_on(&podman, "box", at);

    let archive = podman.path().join("box.tar.gz").display().to_string();
    cp(&["checkpoint", "--export", &archive, "box"]);
    podman.podman(&["rm", "box"]).ok();
    cp(&["restore", "--import", &archive, "--name", "copy"]);
    counts_on(&podman, "copy", at);
    podman.podman(&["stop", "--time=0", "copy"]).ok();
    assert_eq!(podman.inspect("copy", "{{.State.ExitCode}}"), "137");
}
