//! The words with which husk refuses what it cannot do, and where it gives less than was asked for.

use husk_tests::{Bundle, Runtime, in_vm, run, unique};
use serde_json::json;

#[test]
fn refused_options_are_named() {
    let runtime = Runtime::husk();
    let mut bundle = Bundle::new(&["true"]);
    bundle.mount("/t", "tmpfs", "tmpfs", &["nosuid", "size=wide"]);
    let done = runtime.run(&bundle).expect_code(1);
    assert!(done.stderr.contains("mounts[7].options[1] (size=wide)"), "{}", done.stderr);
    let mut bundle = Bundle::new(&["true"]);
    bundle.mount("/t", "bind", "/no/such", &["rbind"]);
    let done = runtime.run(&bundle).expect_code(1);
    assert!(done.stderr.contains("mounts[7] (/t)") && done.stderr.contains("/no/such"), "{}", done.stderr);
}

/// The message names what asked for the descriptor.
#[test]
fn descriptors_that_are_not_open_are_named_with_who_asked_for_them() {
    let runtime = Runtime::husk();
    let bundle = Bundle::new(&["true"]);
    bundle.write();
    for (listen, words) in [("50", "LISTEN_FDS=50: descriptor"), ("0", "--preserve-fds 50: descriptor")] {
        let mut command = runtime.command();
        command.args(["run", "--preserve-fds", "50", "--bundle"]).arg(bundle.path()).arg(unique("fds"));
        let done = run(command.env("LISTEN_FDS", listen).env_remove("LISTEN_PID")).expect_code(1);
        assert!(done.stderr.contains(words), "{words}: {done:?}");
    }
}

#[test]
fn cve_2023_25809_cgroups_of_the_host_are_not_shown_to_a_user_namespace() {
    let runtime = Runtime::husk();
    let mut bundle = Bundle::script("grep -c . /sys/fs/cgroup/cgroup.procs; ls -d /sys/fs/cgroup/husk");
    bundle.without_namespace("cgroup");
    // In the host's user namespace it is told of the host's groups anyhow, by /proc/self/cgroup.
    assert!(runtime.run(&bundle).ok().stdout.contains("/sys/fs/cgroup/husk"));
    let map = json!([{"containerID": 0, "hostID": 100_000, "size": 65_536}]);
    bundle.set("/linux/uidMappings", map.clone()).set("/linux/gidMappings", map);
    bundle.push("/linux/namespaces", json!({"type": "user"}));
    let done = runtime.run(&bundle);
    assert!(done.stderr.contains("No such file"), "{}{}", done.stdout, done.stderr);
}

#[test]
fn a_namespace_of_the_wrong_type_or_none_is_refused() {
    let runtime = Runtime::husk();
    let mut bundle = Bundle::new(&["true"]);
    bundle.join_namespace("network", "/proc/self/ns/uts".as_ref());
    let done = runtime.run(&bundle).expect_code(1);
    assert!(done.stderr.contains("network namespace /proc/self/ns/uts"), "{}", done.stderr);
    let mut bundle = Bundle::new(&["true"]);
    bundle.join_namespace("ipc", "/no/such".as_ref());
    let done = runtime.run(&bundle).expect_code(1);
    assert!(done.stderr.contains("ipc namespace /no/such: No such file"), "{}", done.stderr);
}

#[test]
fn a_limit_beyond_the_hard_one_is_named_where_it_may_not_be_raised() {
    if in_vm() {
        return; // There root may raise every limit.
    }
    let runtime = Runtime::husk();
    let mut bundle = Bundle::script("ulimit -Hn");
    bundle.set(
        "/process/rlimits",
        json!([{"type": "RLIMIT_NOFILE", "soft": 1, "hard": 1_000_000_000_000_u64}]),
    );
    let done = runtime.run(&bundle).expect_code(1);
    assert!(done.stderr.contains("process.rlimits[0] (RLIMIT_NOFILE)"), "{}", done.stderr);
}

#[test]
fn a_hook_that_fails_ends_the_create_and_poststop_runs() {
    let runtime = Runtime::husk();
    let dir = husk_tests::temp_dir();
    let log = dir.path().join("log");
    for name in ["prestart", "createRuntime", "createContainer", "startContainer"] {
        let mut bundle = Bundle::new(&["true"]);
        let program = if name == "startContainer" { "/bin/sh" } else { "/bin/bash" };
        let fails = json!([{"path": program, "args": ["sh", "-c", "echo the reason >&2; exit 3"]}]);
        bundle.set("/hooks", json!({name: fails, "poststop": [{"path": "/bin/sh", "args": ["sh", "-c", format!("echo poststop >> {}", log.display())]}]}));
        let done = runtime.run(&bundle).expect_code(1);
        let words = format!("error running {name} hook #0: hooks.{name}[0]");
        assert!(done.stderr.contains(&words), "{}", done.stderr);
        assert!(done.stderr.contains("the reason"), "{}", done.stderr);
        assert!(std::fs::read_to_string(&log).unwrap().starts_with("poststop"), "{name}");
        std::fs::remove_file(&log).unwrap();
    }
}

#[test]
fn a_hook_over_its_time_is_killed() {
    let runtime = Runtime::husk();
    let mut bundle = Bundle::new(&["true"]);
    bundle.set(
        "/hooks",
        json!({"createRuntime": [{"path": "/bin/sleep", "args": ["sleep", "1000"], "timeout": 1}]}),
    );
    let done = runtime.run(&bundle).expect_code(1);
    assert!(done.stderr.contains("hooks.createRuntime[0]") && done.stderr.contains("1 s"), "{}", done.stderr);
}

#[test]
fn contradictions_are_refused() {
    let runtime = Runtime::husk();
    let mut bundle = Bundle::new(&["true"]);
    bundle.set("/process/terminal", true);
    let (_container, done) = runtime.try_create(&bundle);
    assert!(done.code != 0 && done.stderr.contains("--console-socket"), "{}", done.stderr);
}

#[test]
fn scheduling_and_oom_score() {
    let runtime = Runtime::husk();
    let mut bundle = Bundle::script(
        "cut -d' ' -f19,41 /proc/self/stat; cat /proc/self/oom_score_adj; uname -m; cat /proc/self/personality",
    );
    bundle.set("/process/scheduler", json!({"policy": "SCHED_BATCH", "nice": 3}));
    bundle.set("/process/ioPriority", json!({"class": "IOPRIO_CLASS_IDLE", "priority": 0}));
    bundle.set("/process/oomScoreAdj", 500);
    bundle.set("/linux/personality", json!({"domain": "LINUX32"}));
    bundle.set("/linux/memoryPolicy", json!({"mode": "MPOL_BIND", "nodes": "0"}));
    assert_eq!(runtime.run(&bundle).ok().text(), "3 3\n500\ni686\n00000008");
}

#[test]
fn lazy_pages_are_said_not_to_be_there() {
    let runtime = Runtime::husk();
    let bundle = Bundle::new(&["sleep", "100000"]);
    let container = runtime.start(&bundle);
    let done = container.call_with("checkpoint", &["--lazy-pages"], &[]).expect_code(1);
    assert!(done.stderr.contains("--lazy-pages is not implemented"), "{}", done.stderr);
    assert_eq!(container.status(), "running");
}

#[test]
fn a_flag_without_its_value_is_named_as_podman_wants_it() {
    // podman restores containers into pods only where it reads this.
    let done = run(Runtime::husk().command().args(["restore", "--lsm-mount-context"]));
    let done = done.expect_code(1);
    assert!(done.stderr.contains("flag needs an argument: '--lsm-mount-context"), "{done:?}");
}

#[test]
fn capabilities_that_cannot_be_granted_are_a_warning_with_their_names() {
    let mut bundle = Bundle::new(&["true"]);
    bundle.set(
        "/process/capabilities",
        json!({"bounding": ["CAP_KILL"], "permitted": ["CAP_KILL"], "effective": ["CAP_KILL", "CAP_CHOWN"],
            "inheritable": ["CAP_FOWNER"]}),
    );
    let done = Runtime::husk().run(&bundle).ok();
    assert!(done.stderr.contains("can't make effective capability CAP_CHOWN"), "{done:?}");
    assert!(done.stderr.contains("can't make inheritable capability CAP_FOWNER"), "{done:?}");
}
