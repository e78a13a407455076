//! docker with systemd as its cgroup driver, which is its default on Debian. In the VM with systemd as PID 1.

use crate::engine::Docker;
use husk_tests::{cgroup, has_systemd, wait_until};

#[test]
fn life_in_a_scope() {
    if !has_systemd() {
        return;
    }
    let docker = Docker::by_systemd();
    docker.start_limited("box");
    let files = || docker.limits("box");
    assert_eq!(files(), "67108864\n20\n50000 100000");
    let group = cgroup::of_process(docker.inspect("box", "{{.State.Pid}}").parse().unwrap());
    let scope = format!("docker-{}.scope", docker.inspect("box", "{{.Id}}"));
    assert_eq!(group, std::path::Path::new("/sys/fs/cgroup/husktest.slice").join(&scope));
    let property = |name: &str| {
        docker.host(&["systemctl", "show", &scope, "--property", name, "--value"]).ok().text().to_owned()
    };
    assert_eq!(property("MemoryMax"), "67108864");
    docker.docker(&["update", "--memory=32m", "--memory-swap=32m", "--cpus=0.25", "box"]).ok();
    assert_eq!(files(), "33554432\n20\n25000 100000");
    assert_eq!(property("MemoryMax"), "33554432");
    docker.docker(&["pause", "box"]).ok();
    assert_eq!(std::fs::read_to_string(group.join("cgroup.freeze")).unwrap(), "1\n");
    docker.docker(&["unpause", "box"]).ok();
    docker.docker(&["rm", "--force", "box"]).ok();
    wait_until("systemd has forgotten the scope", || property("LoadState") == "not-found");

    docker.start("greedy", &["--memory=32m", "--memory-swap=32m", "busybox", "tail", "/dev/zero"]);
    assert_eq!(docker.docker(&["wait", "greedy"]).ok().text(), "137");
}
