//! What docker gives a container and takes away from it.

use crate::engine::Docker;

#[test]
fn capabilities_seccomp_and_read_only_roots() {
    let docker = Docker::new();
    let status = |flags: &[&str]| {
        let command =
            ["busybox", "sh", "-c", "grep -E 'CapEff|NoNewPrivs|Seccomp:' /proc/self/status | cut -f2"];
        docker.run(&[&["--rm"], flags, &command].concat()).ok().text().to_owned()
    };
    assert_eq!(status(&[]), "00000000a80425fb\n0\n2");
    assert_eq!(status(&["--cap-drop=all", "--cap-add=chown"]), "0000000000000001\n0\n2");
    assert!(status(&["--security-opt=no-new-privileges"]).ends_with("\n1\n2"));
    assert!(status(&["--security-opt=seccomp=unconfined"]).ends_with("\n0\n0"));

    let profile = docker.path().join("profile.json");
    let rules = r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}]}"#;
    std::fs::write(&profile, rules).unwrap();
    let flag = format!("--security-opt=seccomp={}", profile.display());
    let done = docker.run(&["--rm", &flag, "busybox", "mkdir", "/tmp/x"]).expect_code(1);
    assert!(done.stderr.contains("No space left"), "{done:?}");

    docker.run(&["--rm", "--read-only", "busybox", "touch", "/root/file"]).expect_code(1);
    docker.run(&["--rm", "--read-only", "--tmpfs=/root", "busybox", "touch", "/root/file"]).ok();
}

#[test]
fn init_limits_of_processes_sysctl_and_devices() {
    let docker = Docker::new();
    let done = docker.run(&["--rm", "--init", "busybox", "sh", "-c", "cat /proc/1/comm; echo $$; exit 4"]);
    let done = done.expect_code(4);
    assert!(done.stdout.starts_with("docker-init\n") && !done.stdout.ends_with("\n1\n"), "{done:?}");
    let script = "ulimit -n; cat /proc/sys/kernel/msgmax /proc/self/oom_score_adj; \
                  stat -c %t,%T /dev/nothing; grep ' /dev/shm ' /proc/mounts | grep -c size=1024k";
    let done = docker.run(&[
        "--rm",
        "--ulimit=nofile=100:200",
        "--sysctl=kernel.msgmax=1234",
        "--oom-score-adj=500",
        "--device=/dev/null:/dev/nothing",
        "--shm-size=1m",
        "busybox",
        "sh",
        "-c",
        script,
    ]);
    assert_eq!(done.ok().text(), "100\n1234\n500\n1,3\n1");
    // The devices of the group: /dev/null with r alone can't be written.
    let done = docker.run(&[
        "--rm",
        "--device=/dev/null:/dev/nothing:r",
        "busybox",
        "dd",
        "if=/dev/nothing",
        "count=1",
    ]);
    done.ok();
}

#[test]
fn volumes_binds_and_tmpfs() {
    let docker = Docker::new();
    let shared = docker.path().join("shared");
    std::fs::create_dir(&shared).unwrap();
    std::fs::write(shared.join("in"), "from the host\n").unwrap();
    let bind = |more: &str| format!("--mount=type=bind,src={},dst=/mnt{more}", shared.display());
    docker.run(&["--rm", &bind(""), "busybox", "cp", "/mnt/in", "/mnt/out"]).ok();
    assert_eq!(std::fs::read_to_string(shared.join("out")).unwrap(), "from the host\n");
    docker.run(&["--rm", &bind(",readonly"), "busybox", "touch", "/mnt/out"]).expect_code(1);

    docker.run(&["--rm", "-v", "kept:/data", "busybox", "touch", "/data/file"]).ok();
    docker.run(&["--rm", "-v", "kept:/data:ro", "busybox", "test", "-e", "/data/file"]).ok();
    docker.run(&["--rm", "-v", "kept:/data:ro", "busybox", "touch", "/data/file"]).expect_code(1);
    let script = "grep ' /scratch ' /proc/mounts | cut -d' ' -f4";
    let options =
        docker.run(&["--rm", "--tmpfs=/scratch:size=1m,mode=700,exec", "busybox", "sh", "-c", script]).ok();
    for option in ["rw", "nosuid", "nodev", "size=1024k", "mode=700"] {
        assert!(options.text().split(',').any(|own| own == option), "{option}: {options:?}");
    }
    assert!(!options.text().contains("noexec"), "{options:?}");
}
