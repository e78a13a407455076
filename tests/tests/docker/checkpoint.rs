//! `docker checkpoint` (experimental), where criu works.

use crate::engine::Docker;
use husk_tests::{criu, wait_until};

#[test]
fn checkpoint_and_start_from_it() {
    if !criu() {
        return;
    }
    let docker = Docker::new();
    let counter = "i=0; while :; do i=$((i+1)); echo $i >/count; sleep 0.2; done";
    docker.start("box", &["--security-opt=seccomp=unconfined", "busybox", "sh", "-c", counter]);
    let count = || {
        let done = docker.docker(&["exec", "box", "cat", "/count"]);
        done.text().parse::<u64>().unwrap_or(0)
    };
    wait_until("the counter counts", || count() > 0);
    docker.docker(&["checkpoint", "create", "--leave-running", "box", "first"]).ok();
    assert_eq!(docker.inspect("box", "{{.State.Status}}"), "running");
    let at = count();
    docker.docker(&["checkpoint", "create", "box", "second"]).ok();
    wait_until("it has ended", || docker.inspect("box", "{{.State.Status}}") == "exited");
    let list = docker.docker(&["checkpoint", "ls", "box"]).ok();
    assert!(list.stdout.contains("first") && list.stdout.contains("second"), "{list:?}");
    docker.docker(&["start", "--checkpoint", "second", "box"]).ok();
    wait_until("the counter goes on", || count() > at);
    docker.docker(&["checkpoint", "rm", "box", "first"]).ok();
}
