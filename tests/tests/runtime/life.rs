//! create, start, state, kill, delete: order, repetition, parallel use, and what a killed husk leaves.

use husk_tests::{Bundle, Container, Runtime, run, unique, wait_until};
use std::process::Stdio;

#[test]
fn a_create_that_fails_leaves_nothing() {
    let runtime = Runtime::husk();
    for (pointer, value) in [
        ("/process/cwd", serde_json::json!("/no/such")),
        ("/process/args", serde_json::json!(["/no/such"])),
        ("/linux/sysctl", serde_json::json!({"net.no.such": "1"})),
    ] {
        let mut bundle = Bundle::new(&["true"]);
        bundle.set(pointer, value);
        if pointer == "/process/cwd" {
            bundle.set("/process/user", serde_json::json!({"uid": 1000, "gid": 1000}));
        }
        let (container, done) = runtime.try_create(&bundle);
        assert_ne!(done.code, 0, "{pointer}");
        assert!(!runtime.root().join(&container.id).exists(), "{pointer}");
        let group = husk_cgroup::Hierarchy::detect().unwrap().root().join("husk").join(&container.id);
        assert!(!group.exists(), "{pointer}");
    }
}

#[test]
fn what_a_killed_create_leaves_can_be_deleted() {
    let runtime = Runtime::husk();
    let mut bundle = Bundle::new(&["true"]);
    // Holds create up for as long as the test needs.
    let hook = serde_json::json!([{"path": "/bin/sleep", "args": ["sleep", "1000"]}]);
    bundle.set("/hooks", serde_json::json!({"createRuntime": hook}));
    bundle.write();
    let container = Container::named(&runtime, &unique("killed"));
    let mut create = runtime
        .command()
        .args(["create", "--bundle"])
        .arg(bundle.path())
        .arg(&container.id)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let group = husk_cgroup::Hierarchy::detect().unwrap().root().join("husk").join(&container.id);
    let hooks = || children(create.id());
    wait_until("the hook runs", || hooks().len() >= 2);
    let left = hooks();
    create.kill().unwrap();
    create.wait().unwrap();
    container.call_with("delete", &["--force"], &[]).ok();
    assert!(!group.exists());
    assert!(!runtime.root().join(&container.id).exists());
    // The hook is not the container's; it is this test's to end.
    for pid in left {
        let _ = run(std::process::Command::new("kill").args(["-KILL", &pid.to_string()]));
    }
}

fn children(pid: u32) -> Vec<u32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

#[test]
fn one_container_under_parallel_commands_ends_up_in_one_state() {
    let runtime = Runtime::husk();
    let bundle = Bundle::new(&["sleep", "1000"]);
    bundle.write();
    for _ in 0..3 {
        let container = Container::named(&runtime, &unique("race"));
        let created: i32 = std::thread::scope(|scope| {
            let create = || {
                let mut command = runtime.command();
                command.args(["create", "--bundle"]).arg(bundle.path()).arg(&container.id);
                i32::from(run(&mut command).code == 0)
            };
            let both = [scope.spawn(create), scope.spawn(create)];
            both.into_iter().map(|one| one.join().unwrap()).sum()
        });
        assert_eq!(created, 1, "exactly one create wins");
        let started: i32 = std::thread::scope(|scope| {
            let start = || i32::from(container.call("start", &[]).code == 0);
            let both = [scope.spawn(start), scope.spawn(start)];
            both.into_iter().map(|one| one.join().unwrap()).sum()
        });
        assert_eq!(started, 1, "exactly one start wins");
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| container.call_with("delete", &["--force"], &[]).ok());
            }
        });
        assert!(!runtime.root().join(&container.id).exists());
    }
}

#[test]
fn a_container_that_waits_for_its_start_can_be_ended() {
    let runtime = Runtime::new();
    for signal in ["TERM", "INT", "HUP"] {
        let bundle = Bundle::new(&["true"]);
        let container = runtime.create(&bundle);
        container.call("kill", &[signal]).ok();
        container.wait_for("stopped");
    }
}
