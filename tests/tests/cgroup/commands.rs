//! The commands that act on a container's group, called as a person calls them.

use crate::file;
use husk_cgroup::Cgroup;
use husk_tests::cgroup::{Group, needs, of_process};
use husk_tests::{Bundle, Container, Runtime, in_vm, run, wait_until};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

/// Says by a file when it can be signalled: before its trap is set, SIGTERM means nothing to a PID 1.
const LOOP: &str = "trap 'exit 7' TERM; : >/ready; while :; do sleep 0.1; done";

/// A container whose group the test knows.
fn bundle(script: &str, prefix: &str) -> (Bundle, Group) {
    let group = Group::reserve(prefix);
    let mut bundle = Bundle::script(script);
    bundle.set("/linux/cgroupsPath", group.path.as_str());
    (bundle, group)
}

fn config(runtime: &Runtime, container: &Container<'_>) -> Value {
    let text = std::fs::read(runtime.root().join(&container.id).join("config.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

#[test]
fn pause_and_resume() {
    let runtime = Runtime::husk();
    let (bundle, group) = bundle("while :; do echo >>/counter; done", "pause");
    let container = runtime.start(&bundle);
    let size = || std::fs::metadata(bundle.rootfs().join("counter")).map_or(0, |meta| meta.len());
    wait_until("the counter runs", || size() > 0);
    container.call("pause", &[]).ok();
    assert_eq!(container.status(), "paused");
    let stopped = size();
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert_eq!(size(), stopped);
    let again = container.call("pause", &[]).expect_code(1);
    assert!(again.stderr.contains("paused already"), "{}", again.stderr);
    container.call("resume", &[]).ok();
    assert_eq!(container.status(), "running");
    wait_until("the counter runs again", || size() > stopped);
    let again = container.call("resume", &[]).expect_code(1);
    assert!(again.stderr.contains("not paused"), "{}", again.stderr);
    // A paused container can be killed and deleted.
    container.call("pause", &[]).ok();
    container.call("kill", &["KILL"]).ok();
    container.wait_for("stopped");
    container.call("delete", &[]).ok();
    assert!(!group.dir().exists());
}

#[test]
fn signals_by_name_and_number() {
    let runtime = Runtime::husk();
    for signal in [&[][..], &["TERM"], &["sigterm"], &["15"]] {
        let bundle = Bundle::script(LOOP);
        let container = runtime.start(&bundle);
        wait_until("the trap is set", || bundle.rootfs().join("ready").exists());
        container.call("kill", signal).ok();
        container.wait_for("stopped");
        let done = container.call("kill", &["KILL"]).expect_code(1);
        // The words by which containerd's shim knows this case.
        assert!(done.stderr.contains("container not running"), "{}", done.stderr);
        container.call_with("kill", &["--all"], &["KILL"]).ok();
    }
    let bundle = Bundle::script(LOOP);
    let container = runtime.start(&bundle);
    let done = container.call("kill", &["NOSUCH"]).expect_code(1);
    assert!(done.stderr.contains("unknown signal \"NOSUCH\""), "{}", done.stderr);
    assert_eq!(container.status(), "running");
}

#[test]
fn kill_all_reaches_children_of_a_shared_pid_namespace() {
    let runtime = Runtime::husk();
    let (mut bundle, group) = bundle("setsid sleep 600 & exec sleep 600", "all");
    bundle.without_namespace("pid");
    let container = runtime.start(&bundle);
    let group_of = Cgroup::open(group.dir());
    wait_until("both run", || group_of.pids().unwrap().len() == 2);
    container.call("kill", &["KILL"]).ok();
    wait_until("nobody is left", || group_of.is_empty().unwrap());
    container.wait_for("stopped");
    container.call("delete", &[]).ok();
}

#[test]
fn delete_wants_a_stopped_container_or_force() {
    let runtime = Runtime::husk();
    let (bundle, group) = bundle(LOOP, "delete");
    let container = runtime.start(&bundle);
    let done = container.call("delete", &[]).expect_code(1);
    assert!(done.stderr.contains("not stopped: running"), "{}", done.stderr);
    let pid = container.pid();
    assert_eq!(of_process(pid), group.dir());
    container.call_with("delete", &["--force"], &[]).ok();
    assert!(!group.dir().exists() && !runtime.root().join(&container.id).exists());
    // Gone is what was asked for, with force; without it, it is an error.
    container.call_with("delete", &["--force"], &[]).ok();
    let done = container.call("delete", &[]).expect_code(1);
    assert!(done.stderr.contains("does not exist"), "{}", done.stderr);
}

#[test]
fn a_created_container_is_deleted_without_force() {
    let runtime = Runtime::husk();
    let (bundle, group) = bundle(LOOP, "created");
    let container = runtime.create(&bundle);
    assert_eq!(container.status(), "created");
    container.call("delete", &[]).ok();
    assert!(!group.dir().exists());
}

#[test]
fn force_removes_what_a_killed_create_left() {
    let runtime = Runtime::husk();
    let (bundle, group) = bundle(LOOP, "killed");
    let container = runtime.create(&bundle);
    container.call("kill", &["KILL"]).ok();
    container.wait_for("stopped");
    // As if the power had gone before the state was written.
    std::fs::remove_file(runtime.root().join(&container.id).join("state.json")).unwrap();
    let done = container.call("delete", &[]).expect_code(1);
    assert!(done.stderr.contains("--force"), "{}", done.stderr);
    container.call_with("delete", &["--force"], &[]).ok();
    assert!(!group.dir().exists() && !runtime.root().join(&container.id).exists());
}

#[test]
fn list_and_state_say_the_same() {
    let runtime = Runtime::husk();
    let mut bundle = Bundle::script(LOOP);
    bundle.set("/annotations", json!({"org.example.key": "value"}));
    let container = runtime.start(&bundle);
    let state = container.state();
    assert_eq!(state["status"], "running");
    assert_eq!(state["annotations"]["org.example.key"], "value");
    assert_eq!(state["bundle"], bundle.path().to_str().unwrap());
    let list = run(runtime.command().args(["list", "--format", "json"])).ok();
    let list: Value = serde_json::from_str(&list.stdout).unwrap();
    for key in ["id", "pid", "status", "bundle", "created", "rootfs", "ociVersion"] {
        assert_eq!(list[0][key], state[key], "{key}");
    }
    assert_eq!(list[0]["owner"], "root");
    let quiet = run(runtime.command().args(["list", "-q"])).ok();
    assert_eq!(quiet.text(), container.id);
    let table = run(runtime.command().arg("list")).ok();
    assert!(table.stdout.starts_with("ID "), "{}", table.stdout);
    assert!(table.stdout.lines().nth(1).unwrap().contains("running"));
}

#[test]
fn list_of_no_containers() {
    let runtime = Runtime::husk();
    let done = run(runtime.command().arg("list")).expect_code(1);
    assert!(done.stderr.contains("no such directory"), "{}", done.stderr);
    std::fs::create_dir(runtime.root()).unwrap();
    let done = run(runtime.command().args(["list", "-f", "json"])).ok();
    assert_eq!(done.text(), "[]");
}

#[test]
fn events_shows_statistics() {
    let runtime = Runtime::husk();
    let bundle = Bundle::script(LOOP);
    let container = runtime.start(&bundle);
    let done = container.call_with("events", &["--stats"], &[]).ok();
    let event: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(event["type"], "stats");
    assert_eq!(event["id"], container.id.as_str());
    assert!(event["data"]["cpu"]["usage"]["total"].as_u64().unwrap() > 0);
    let done = container.call_with("events", &["--interval", "0s"], &[]).expect_code(1);
    assert!(done.stderr.contains("--interval"), "{}", done.stderr);
}

#[test]
fn features_is_json() {
    let done = run(Runtime::husk().command().arg("features")).ok();
    let features: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(features["linux"]["cgroup"]["v2"], true);
}

#[test]
fn update_puts_limits_in_force_and_keeps_them() {
    if !needs("memory") {
        return;
    }
    let runtime = Runtime::husk();
    let (mut bundle, group) = bundle(LOOP, "update");
    bundle.set("/linux/resources/memory", json!({"limit": 128 << 20}));
    bundle.set("/linux/resources/cpu", json!({"quota": 50_000, "period": 100_000}));
    let container = runtime.start(&bundle);
    let group = Cgroup::open(group.dir());
    assert_eq!(file(&group, "memory.max"), (128 << 20).to_string());
    let update = |flags: &[&str]| container.call_with("update", flags, &[]);
    update(&["--memory", "64M", "--pids-limit", "77", "--cpu-quota", "20000", "--cpu-share", "512"]).ok();
    assert_eq!(file(&group, "memory.max"), (64 << 20).to_string());
    assert_eq!(file(&group, "pids.max"), "77");
    assert_eq!(file(&group, "cpu.max"), "20000 100000");
    let kept = config(&runtime, &container);
    assert_eq!(kept["linux"]["resources"]["memory"]["limit"], 64 << 20);
    assert_eq!(kept["linux"]["resources"]["cpu"]["period"], 100_000);
    // The second value is refused, so the first must not stay.
    let done = update(&["--memory", "32M", "--cpu-quota", "1"]).expect_code(1);
    assert!(done.stderr.contains("linux.resources.cpu.quota"), "{}", done.stderr);
    assert_eq!(file(&group, "memory.max"), (64 << 20).to_string());
    assert_eq!(config(&runtime, &container), kept);
    // From a file and from standard input.
    let path = bundle.path().join("resources.json");
    std::fs::write(&path, json!({"unified": {"memory.high": "33554432"}}).to_string()).unwrap();
    update(&["--resources", path.to_str().unwrap()]).ok();
    assert_eq!(file(&group, "memory.high"), "33554432");
    let mut command = runtime.command();
    command.args(["update", "-r", "-", &container.id]);
    let stdin = Stdio::from(std::fs::File::open(&path).unwrap());
    husk_tests::command::run_with_stdin(&mut command, stdin).ok();
    // The device rules are not touched by all this.
    assert_ne!(container.sh("mknod /k c 1 11 && exec 3</k").code, 0);
}

#[test]
fn update_says_what_is_wrong() {
    let runtime = Runtime::husk();
    let bundle = Bundle::script(LOOP);
    let container = runtime.start(&bundle);
    for (flags, wanted) in [
        (&["--memory", "much"][..], "--memory \"much\""),
        (&["--cpuset-cpus", "all"], "linux.resources.cpu.cpus"),
        (&["--resources", "/nonexistent"], "/nonexistent"),
        (&["--l3-cache-schema", "x"], "Intel RDT"),
        (&["--blkio-weight", "5"], "10 to 1000"),
    ] {
        let done = container.call_with("update", flags, &[]).expect_code(1);
        assert!(done.stderr.contains(wanted), "{flags:?}: {}", done.stderr);
    }
    if !in_vm() && !husk_tests::cgroup::controllers().iter().any(|c| c == "pids") {
        let done = container.call_with("update", &["--pids-limit", "5"], &[]).expect_code(1);
        assert!(done.stderr.contains("pids controller"), "{}", done.stderr);
    }
    container.call("kill", &["KILL"]).ok();
    container.wait_for("stopped");
    let done = container.call_with("update", &["--memory", "64M"], &[]).expect_code(1);
    assert!(done.stderr.contains("container not running"), "{}", done.stderr);
}

#[test]
fn an_oom_kill_of_init_ends_with_137() {
    if !needs("memory") {
        return;
    }
    let runtime = Runtime::husk();
    let mut bundle = Bundle::new(&["tail", "/dev/zero"]);
    bundle.set("/linux/resources/memory", json!({"limit": 32 << 20, "swap": 32 << 20}));
    runtime.run(&bundle).expect_code(137);
}

#[test]
fn an_oom_kill_of_a_child_is_shown_and_survived() {
    if !needs("memory") {
        return;
    }
    let runtime = Runtime::husk();
    let script = "while [ ! -e /go ]; do sleep 0.1; done; tail /dev/zero; while :; do sleep 0.1; done";
    let (mut bundle, group) = bundle(script, "oom");
    bundle.set("/linux/resources/memory", json!({"limit": 32 << 20, "swap": 32 << 20}));
    let container = runtime.start(&bundle);
    let mut command = runtime.command();
    command.args(["events", "--interval", "1h", &container.id]).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // The watcher is there once it has opened the file it polls.
    let pid = child.id();
    wait_until("events watches", || watches(pid, "memory.events"));
    std::fs::write(bundle.rootfs().join("go"), "").unwrap();
    let line = BufReader::new(child.stdout.take().unwrap()).lines().next().unwrap().unwrap();
    assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), json!({"type": "oom", "id": container.id}));
    assert_eq!(container.status(), "running");
    assert_eq!(Cgroup::open(group.dir()).memory_events().unwrap().unwrap().oom_kill, 1);
    let _ = child.kill();
    child.wait().unwrap();
}

fn watches(pid: u32, name: &str) -> bool {
    let Ok(fds) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    fds.flatten().any(|fd| std::fs::read_link(fd.path()).is_ok_and(|to| to.ends_with(name)))
}

#[test]
fn a_limit_without_its_controller_fails_create_and_leaves_nothing() {
    if husk_tests::cgroup::controllers().iter().any(|c| c == "memory") {
        // Every controller is there: nothing to be refused.
        return;
    }
    let runtime = Runtime::husk();
    let (mut bundle, group) = bundle(LOOP, "refused");
    bundle.set("/linux/resources/memory", json!({"limit": 64 << 20}));
    let (container, done) = runtime.try_create(&bundle);
    let done = done.expect_code(1);
    assert!(
        done.stderr.contains("memory controller") && done.stderr.contains("cgroup v1"),
        "{}",
        done.stderr
    );
    assert!(!group.dir().exists() && !runtime.root().join(&container.id).exists());
}

#[test]
fn the_default_group_goes_with_its_last_container() {
    let runtime = Runtime::husk();
    let bundle = Bundle::script(LOOP);
    let container = runtime.start(&bundle);
    let dir = of_process(container.pid());
    assert!(dir.ends_with(std::path::Path::new("husk").join(&container.id)), "{}", dir.display());
    container.call_with("delete", &["--force"], &[]).ok();
    assert!(!dir.exists());
}

#[test]
fn many_at_a_time_share_the_default_parent() {
    let runtime = Runtime::husk();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..5 {
                    let done = runtime.run(&Bundle::new(&["true"]));
                    assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{done:?}");
                }
            });
        }
    });
}

#[test]
fn the_group_of_a_new_container_must_be_free() {
    let runtime = Runtime::husk();
    let (bundle, group) = bundle(LOOP, "taken");
    Cgroup::ensure(&group.dir()).unwrap();
    let mut command = Command::new("sh");
    command
        .args(["-c", "echo $$ >\"$0/cgroup.procs\" && exec sleep 600"])
        .arg(group.dir())
        .stdin(Stdio::null());
    let mut child = command.spawn().unwrap();
    let own = Cgroup::open(group.dir());
    wait_until("the process has joined", || own.pids().unwrap().len() == 1);
    let (_container, done) = runtime.try_create(&bundle);
    let _ = child.kill();
    child.wait().unwrap();
    let done = done.expect_code(1);
    assert!(done.stderr.contains("is in use"), "{}", done.stderr);
    assert!(group.dir().exists());
}
