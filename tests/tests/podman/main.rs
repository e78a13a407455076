//! podman with husk as its runtime: what podman's users do every day. `RUNTIME=/usr/sbin/runc` runs the same on a peer.

mod checkpoint;
mod engine;
mod limits;
mod more;
mod rootless;
mod systemd;

use engine::Podman;
use husk_tests::wait_until;

#[test]
fn output_and_exit_codes_of_run() {
    let podman = Podman::new();
    assert_eq!(podman.run(&["--rm", "busybox", "echo", "hello"]).ok().text(), "hello");
    for code in [0, 1, 3, 255] {
        podman.run(&["--rm", "busybox", "sh", "-c", &format!("exit {code}")]).expect_code(code);
    }
    podman.run(&["--rm", "busybox", "no-such-program"]).expect_code(127);
    podman.run(&["--rm", "busybox", "/etc/passwd"]).expect_code(126);
    assert_eq!(podman.podman(&["ps", "-aq"]).ok().text(), "");
}

#[test]
fn exec_in_a_running_container() {
    let podman = Podman::new();
    podman.start("box", &["busybox", "sleep", "1000"]);
    assert_eq!(podman.podman(&["exec", "box", "echo", "inside"]).ok().text(), "inside");
    podman.podman(&["exec", "box", "sh", "-c", "exit 9"]).expect_code(9);
    podman.podman(&["exec", "box", "no-such-program"]).expect_code(127);
    let id = podman.podman(&[
        "exec",
        "-u",
        "1000:50",
        "-w",
        "/tmp",
        "-e",
        "A=b c",
        "box",
        "sh",
        "-c",
        "id -u; id -g; pwd; echo $A",
    ]);
    assert_eq!(id.ok().text(), "1000\n50\n/tmp\nb c");
    assert_eq!(podman.podman(&["exec", "-t", "box", "tty"]).ok().text(), "/dev/pts/0");
}

/// podman 4.3 asks for ambient capabilities that it does not make inheritable.
#[test]
fn a_warning_of_the_runtimes_is_not_the_programs_output() {
    let podman = Podman::new();
    podman.start("box", &["--user=1000", "--cap-add=dac_override", "busybox", "sleep", "1000"]);
    let exec = || podman.podman(&["exec", "--user=0", "box", "sh", "-c", "echo out; echo err >&2"]).ok();
    let done = exec();
    assert_eq!((&*done.stdout, &*done.stderr), ("out\n", "err\n"));
    let ends_of_exec = || {
        podman.podman(&["exec", "--user=0", "box", "no-such-program"]).expect_code(127);
        podman.podman(&["exec", "--user=0", "box", "/etc"]).expect_code(126);
    };
    ends_of_exec();
    // As podman is where nobody told it that the runtime has a log.
    let file = podman.path().join("containers.conf");
    let lines = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<_> = lines.lines().filter(|line| !line.contains("supports_json")).collect();
    std::fs::write(&file, lines.join("\n")).unwrap();
    assert!(exec().stderr.ends_with("err\n"));
    ends_of_exec();
    podman.run(&["--rm", "busybox", "no-such-program"]).expect_code(127);
    podman.run(&["--rm", "busybox", "/etc/passwd"]).expect_code(126);
}

#[test]
fn stop_sends_the_signal_and_then_kills() {
    let podman = Podman::new();
    podman.start(
        "polite",
        &["busybox", "sh", "-c", "trap 'exit 5' TERM; echo up; while :; do sleep 0.1; done"],
    );
    wait_until("the trap is set", || podman.podman(&["logs", "polite"]).stdout.contains("up"));
    podman.podman(&["stop", "--time=50", "polite"]).ok();
    assert_eq!(podman.inspect("polite", "{{.State.ExitCode}}"), "5");
    podman.start("deaf", &["busybox", "sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"]);
    podman.podman(&["stop", "--time=1", "deaf"]).ok();
    assert_eq!(podman.inspect("deaf", "{{.State.ExitCode}} {{.State.OOMKilled}}"), "137 false");
}

#[test]
fn kill_wait_restart_and_remove() {
    let podman = Podman::new();
    podman.start("box", &["busybox", "sleep", "1000"]);
    podman.podman(&["kill", "--signal=KILL", "box"]).ok();
    assert_eq!(podman.podman(&["wait", "box"]).ok().text(), "137");
    podman.podman(&["restart", "box"]).ok();
    assert_eq!(podman.inspect("box", "{{.State.Status}}"), "running");
    podman.podman(&["rm", "--force", "--time=0", "box"]).ok();
    assert_eq!(podman.podman(&["ps", "-aq"]).ok().text(), "");
}

#[test]
fn pause_and_unpause() {
    let podman = Podman::new();
    podman.start("box", &["busybox", "sleep", "1000"]);
    podman.podman(&["pause", "box"]).ok();
    assert_eq!(podman.inspect("box", "{{.State.Status}}"), "paused");
    podman.podman(&["unpause", "box"]).ok();
    assert_eq!(podman.podman(&["exec", "box", "echo", "awake"]).ok().text(), "awake");
}

#[test]
fn rights_are_taken_away() {
    let podman = Podman::new();
    let caps = |flags: &[&str]| {
        let mut args = vec!["--rm"];
        args.extend(flags);
        args.extend(["busybox", "sh", "-c", "grep -E 'CapEff|NoNewPrivs' /proc/self/status | cut -f2"]);
        podman.run(&args).ok().text().to_owned()
    };
    assert_eq!(caps(&["--cap-drop=all"]), "0000000000000000\n0");
    assert_eq!(caps(&["--cap-drop=all", "--cap-add=chown"]), "0000000000000001\n0");
    assert!(caps(&["--security-opt=no-new-privileges"]).ends_with("\n1"));
    podman.run(&["--rm", "--read-only", "busybox", "touch", "/root/file"]).expect_code(1);
    podman.run(&["--rm", "--read-only", "busybox", "touch", "/tmp/file"]).ok();
}

#[test]
fn a_seccomp_profile_of_the_users_own() {
    let podman = Podman::new();
    let profile = podman.path().join("profile.json");
    let rules = r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}]}"#;
    std::fs::write(&profile, rules).unwrap();
    let flag = format!("--security-opt=seccomp={}", profile.display());
    let done = podman.run(&["--rm", &flag, "busybox", "mkdir", "/tmp/x"]).expect_code(1);
    assert!(done.stderr.contains("No space left"), "{done:?}");
    podman.run(&["--rm", "busybox", "mkdir", "/tmp/x"]).ok();
}

#[test]
fn volumes_tmpfs_environment_user_and_host_name() {
    let podman = Podman::new();
    let shared = podman.path().join("shared");
    std::fs::create_dir(&shared).unwrap();
    std::fs::write(shared.join("in"), "from the host\n").unwrap();
    let (rw, ro) = (format!("{}:/mnt", shared.display()), format!("{}:/mnt:ro", shared.display()));
    podman.run(&["--rm", "-v", &rw, "busybox", "sh", "-c", "cat /mnt/in >/mnt/out"]).ok();
    assert_eq!(std::fs::read_to_string(shared.join("out")).unwrap(), "from the host\n");
    podman.run(&["--rm", "-v", &ro, "busybox", "touch", "/mnt/out"]).expect_code(1);
    let done = podman.run(&[
        "--rm",
        "--tmpfs=/scratch:size=1m",
        "--hostname=kiwi",
        "-e",
        "A=1",
        "-u",
        "ann",
        "-w",
        "/usr",
        "busybox",
        "sh",
        "-c",
        "hostname; echo $A; id -u; pwd; grep ' /scratch ' /proc/mounts | cut -d' ' -f3",
    ]);
    assert_eq!(done.ok().text(), "kiwi\n1\n1000\n/usr\ntmpfs");
}

#[test]
fn a_user_namespace_of_podmans_choice() {
    let podman = Podman::new();
    let map = podman
        .run(&["--rm", "--userns=auto", "busybox", "sh", "-c", "id -u; head -n 1 /proc/self/uid_map"])
        .ok();
    let words: Vec<&str> = map.text().split_whitespace().collect();
    assert_eq!(words[..2], ["0", "0"], "root inside, mapped from 0: {map:?}");
    assert!(words[2].parse::<u32>().unwrap() >= 200_000, "an id of the range for containers: {map:?}");
    podman
        .run(&["--rm", "--uidmap=0:300000:1000", "--gidmap=0:300000:1000", "busybox", "touch", "/root/mine"])
        .ok();
}

#[test]
fn a_pod_shares_its_namespaces() {
    let podman = Podman::new();
    // Without an infra image that podman would have to build.
    podman
        .podman(&[
            "pod",
            "create",
            "--name=pod",
            "--share=net,uts,ipc",
            // podman 4.3 gives the group of a pod a device program that denies everything.
            "--share-parent=false",
            "--network=none",
            "--infra-image=busybox",
            "--infra-command=sleep 1000",
            "--cgroup-parent",
            podman.parent(),
        ])
        .ok();
    podman.podman(&["run", "-d", "--pod=pod", "--name=a", "busybox", "sleep", "1000"]).ok();
    podman.podman(&["run", "-d", "--pod=pod", "--name=b", "busybox", "sleep", "1000"]).ok();
    let namespace = |name: &str, kind: &str| {
        podman.podman(&["exec", name, "readlink", &format!("/proc/self/ns/{kind}")]).ok().text().to_owned()
    };
    for kind in ["net", "uts", "ipc"] {
        assert_eq!(namespace("a", kind), namespace("b", kind), "{kind}");
    }
    assert_ne!(namespace("a", "pid"), namespace("b", "pid"));
    podman.podman(&["pod", "stop", "--time=0", "pod"]).ok();
    podman.podman(&["pod", "rm", "--force", "pod"]).ok();
}

#[test]
fn health_checks_logs_top_and_events() {
    let podman = Podman::new();
    podman.start(
        "box",
        &[
            "--health-cmd=test -e /tmp/well",
            "--health-interval=disable",
            "busybox",
            "sh",
            "-c",
            "echo out; echo err >&2; sleep 1000",
        ],
    );
    podman.podman(&["healthcheck", "run", "box"]).expect_code(1);
    podman.podman(&["exec", "box", "touch", "/tmp/well"]).ok();
    podman.podman(&["healthcheck", "run", "box"]).ok();
    wait_until("the log is there", || {
        let logs = podman.podman(&["logs", "box"]).ok();
        logs.stdout == "out\n" && logs.stderr == "err\n"
    });
    assert!(podman.podman(&["top", "box", "pid", "comm"]).ok().text().contains("sleep"));
    let events =
        podman.podman(&["events", "--stream=false", "--filter=container=box", "--format={{.Status}}"]).ok();
    for event in ["create", "init", "start", "exec"] {
        assert!(events.stdout.contains(event), "{event}: {events:?}");
    }
}

#[test]
fn a_terminal_and_init() {
    let podman = Podman::new();
    let done = podman
        .run(&["--rm", "-t", "busybox", "sh", "-c", "tty; test -t 0 && test -t 1 && echo terminal"])
        .ok();
    assert_eq!(done.text().replace('\r', ""), "/dev/pts/0\nterminal");
    let done = podman.run(&["--rm", "-i", "busybox", "cat"]).ok();
    assert_eq!(done.text(), "");
}
