//! A container's life goes on where it was: processes, state, cgroup, hooks, records.

use crate::world::{World, cgroup_options, count, counter, counts_on, criu};
use husk_tests::{Bundle, Container, NetNs, cgroup, run, unique, wait_until};
use serde_json::json;

#[test]
fn a_counter_goes_on_twice() {
    if !criu() {
        return;
    }
    let world = World::new();
    let mut bundle = counter();
    bundle.set("/annotations", json!({"org.example.color": "green"}));
    if cgroup::controllers().iter().any(|name| name == "pids") {
        bundle.set("/linux/resources/pids", json!({"limit": 77}));
    }
    let container = world.start(&bundle);
    let mut last = counts_on(&bundle, 5);
    let options = cgroup_options();
    let before = container.state();
    let group = cgroup::of_process(container.pid());
    for round in 0..2 {
        world.checkpoint(&container, &[]).ok();
        let gone = container.call("state", &[]);
        assert!(gone.code != 0 && gone.stderr.contains("not exist"), "{gone:?}");
        assert!(!group.exists(), "{}", group.display());
        let stopped_at = count(&bundle);
        assert!(stopped_at >= last);
        world.restore(&bundle, &container, &[]).ok();
        last = counts_on(&bundle, stopped_at);
        assert!(last < stopped_at + 200, "round {round}: it went on from {stopped_at}, and is at {last}");

        let mut after = container.state();
        assert_eq!(after["status"], "running");
        assert_ne!(after["pid"], 0);
        for changed in ["pid", "created"] {
            after[changed] = before[changed].clone();
        }
        assert_eq!(after, before);
        assert_eq!(cgroup::of_process(container.pid()), group);
        if bundle.spec["linux"]["resources"]["pids"].is_object() {
            assert_eq!(std::fs::read_to_string(group.join("pids.max")).unwrap().trim(), "77");
        }
    }
    if world.is_husk() {
        assert_eq!(cgroup_options(), options, "the machine's cgroup2");
        // The container's view of it is its own.
        assert_eq!(container.exec(&["cat", "/proc/self/cgroup"]).ok().text(), "0::/");
    }
    assert_eq!(container.exec(&["cat", "/proc/1/comm"]).ok().text(), "sh");
    container.call("pause", &[]).ok();
    assert_eq!(container.status(), "paused");
    container.call("resume", &[]).ok();
    container.call("kill", &["KILL"]).ok();
    container.wait_for("stopped");
    container.call("delete", &[]).ok();
    assert!(!group.exists());
}

#[test]
fn memory_in_three_steps_while_it_runs() {
    if !criu() {
        return;
    }
    let world = World::new();
    let bundle = counter();
    let container = world.start(&bundle);
    counts_on(&bundle, 2);
    let step = |name: &str, flags: &[&str]| {
        let mut command = world.runtime.command();
        command.arg("checkpoint").arg("--image-path").arg(world.path(name));
        run(command.args(flags).arg(&container.id))
    };
    step("first", &["--pre-dump"]).ok();
    assert_eq!(container.status(), "running");
    step("second", &["--pre-dump", "--parent-path", "../first"]).ok();
    counts_on(&bundle, count(&bundle));
    for wrong in ["/absolute", "../none"] {
        let done = step("images", &["--parent-path", wrong]);
        assert!(done.code != 0 && done.stderr.contains("--parent-path"), "{done:?}");
    }
    step("images", &["--parent-path", "../second"]).ok();
    assert!(world.path("images").join("parent").exists());
    let stopped_at = count(&bundle);
    world.restore(&bundle, &container, &[]).ok();
    counts_on(&bundle, stopped_at);
}

#[test]
fn a_container_left_running_stays_as_it_was() {
    if !criu() {
        return;
    }
    let world = World::new();
    let bundle = counter();
    let container = world.start(&bundle);
    let at = counts_on(&bundle, 2);
    let pid = container.pid();
    world.checkpoint(&container, &["--leave-running"]).ok();
    assert_eq!((container.pid(), container.status().as_str()), (pid, "running"));
    counts_on(&bundle, at);
    if world.is_husk() {
        container.call("pause", &[]).ok();
        world.checkpoint(&container, &["--leave-running"]).ok();
        assert_eq!(container.status(), "paused");
        container.call("resume", &[]).ok();
        counts_on(&bundle, count(&bundle));
    }
    // What was written is a container of its own.
    container.call_with("delete", &["--force"], &[]).ok();
    let at = count(&bundle);
    let again = Container::named(&world.runtime, &unique("again"));
    world.restore(&bundle, &again, &["--manage-cgroups-mode", "ignore"]).ok();
    counts_on(&bundle, at);
    assert_eq!(again.exec(&["cat", "/proc/self/cgroup"]).ok().text(), "0::/");
}

#[test]
fn a_network_namespace_of_others_is_found_again() {
    if !criu() {
        return;
    }
    let world = World::new();
    let ns = NetNs::new();
    let mut bundle = counter();
    bundle.join_namespace("network", &ns.path());
    let container = world.start(&bundle);
    counts_on(&bundle, 2);
    let link = |pid: u32| std::fs::read_link(format!("/proc/{pid}/ns/net")).unwrap();
    let before = link(container.pid());
    world.checkpoint(&container, &[]).ok();
    let at = count(&bundle);
    world.restore(&bundle, &container, &[]).ok();
    counts_on(&bundle, at);
    assert_eq!(link(container.pid()), before);
}

#[test]
fn hooks_run_and_streams_are_the_callers() {
    if !criu() {
        return;
    }
    let world = World::husk();
    let mut bundle = Bundle::script("while ! test -e /tmp/end; do sleep 0.1; done; echo to the log; exit 6");
    let seen = world.path("hooks");
    let hook = |name: &str| {
        let script = format!("cat >>{0}; echo ' {name}' >>{0}", seen.display());
        json!([{"path": "/bin/sh", "args": ["sh", "-c", script]}])
    };
    bundle.set("/hooks", json!({"createRuntime": hook("createRuntime"), "poststop": hook("poststop")}));
    bundle.write();
    let container = Container::named(&world.runtime, &unique("hooks"));
    // Streams that are files of the host, as of `husk run … >log`.
    run(world.runtime.command().args(["run", "-d", "--bundle"]).arg(bundle.path()).arg(&container.id)).ok();
    world.checkpoint(&container, &[]).ok();
    let explained = container.call("explain", &[]).ok();
    assert!(explained.stdout.contains("a checkpoint of it was written to disk"), "{explained:?}");

    let mut restore = world.restore_command(&bundle, &container);
    std::thread::scope(|scope| {
        let restored = scope.spawn(move || run(&mut restore));
        wait_until("it is restored", || {
            container.call("state", &[]).code == 0 && container.status() == "running"
        });
        std::fs::write(bundle.rootfs().join("tmp/end"), "").unwrap();
        let done = restored.join().unwrap().expect_code(6);
        assert_eq!(done.text(), "to the log");
    });
    let log = std::fs::read_to_string(seen).unwrap();
    let order: Vec<&str> = log.lines().filter_map(|line| line.rsplit(' ').next()).collect();
    assert_eq!(order, ["createRuntime", "poststop", "createRuntime", "poststop"]);
    let second = log.lines().nth(2).unwrap();
    assert!(second.contains("\"status\":\"creating\"") && !second.contains("\"pid\":0"), "{second}");
    let explained = container.call("explain", &[]).ok();
    assert!(explained.stdout.contains('6'), "{explained:?}");
}
