//! OOM kills and refused forks: these need controllers of cgroup v2.

use crate::{explain, run_and_explain, verdict};
use husk_tests::{Bundle, Runtime, cgroup};

const LIMIT: i64 = 32 << 20;

fn limited(mut bundle: Bundle) -> Bundle {
    bundle.set("/linux/resources/memory", serde_json::json!({"limit": LIMIT, "swap": LIMIT}));
    bundle
}

#[test]
fn oom_of_init_is_oomkilled() {
    if !cgroup::needs("memory") {
        return;
    }
    let runtime = Runtime::husk();
    // A line without end: tail keeps all of it.
    let (husk, explained) = run_and_explain(&runtime, &limited(Bundle::new(&["tail", "/dev/zero"])));
    assert_eq!(husk, 137);
    verdict(
        &explained,
        "OOMKilled",
        137,
        "The container's init was killed by the OOM killer: the container's own memory limit",
    );
    let oom = &explained["record"]["oom"];
    assert_eq!((&oom["victim"], &oom["scope"]), (&"init".into(), &"container".into()), "{explained:#}");
    assert_eq!(oom["limit"], LIMIT, "{explained:#}");
    assert_eq!(oom["task"], "tail", "{explained:#}");
}

/// As below podman and docker: another program waits for the container, and has it deleted.
#[test]
fn oom_of_a_container_that_husk_did_not_wait_for_is_oomkilled() {
    if !cgroup::needs("memory") {
        return;
    }
    let runtime = Runtime::husk();
    let bundle = limited(Bundle::new(&["tail", "/dev/zero"]));
    let container = runtime.start(&bundle);
    husk_tests::wait_until("it has ended", || container.status() == "stopped");
    let verdict = |explained| {
        verdict(&explained, "OOMKilled", 137, "The container's init was killed by the OOM killer");
    };
    verdict(explain(&container));
    container.call("delete", &[]).ok();
    verdict(explain(&container));
}

#[test]
fn oom_of_a_child_is_told_as_that() {
    if !cgroup::needs("memory") {
        return;
    }
    let runtime = Runtime::husk();
    let (husk, explained) = run_and_explain(&runtime, &limited(Bundle::script("tail /dev/zero; exit 3")));
    assert_eq!(husk, 3);
    verdict(
        &explained,
        "Error",
        3,
        "Before that the OOM killer killed another process of the container (tail)",
    );
    // Even where the program ends as if it had been killed itself.
    let (husk, explained) = run_and_explain(&runtime, &limited(Bundle::script("tail /dev/zero; exit $?")));
    assert_eq!(husk, 137);
    verdict(&explained, "Error", 137, "Exited with code 137.");
}

#[test]
fn oom_of_the_group_is_oomkilled() {
    if !cgroup::needs("memory") {
        return;
    }
    let runtime = Runtime::husk();
    let mut bundle = limited(Bundle::script("tail /dev/zero; sleep 100000"));
    bundle.set("/linux/resources/unified", serde_json::json!({"memory.oom.group": "1"}));
    let (husk, explained) = run_and_explain(&runtime, &bundle);
    assert_eq!(husk, 137);
    verdict(&explained, "OOMKilled", 137, "All processes were killed by the OOM killer");
}

#[test]
fn oom_at_the_limit_of_the_group_above_names_it() {
    if !cgroup::needs("memory") {
        return;
    }
    let runtime = Runtime::husk();
    let pod = cgroup::Group::reserve("pod");
    // A first container makes husk hand the controller down to the pod's group.
    let mut first = limited(Bundle::new(&["true"]));
    first.set("/linux/cgroupsPath", format!("{}/first", pod.path));
    runtime.run(&first).ok();
    std::fs::write(pod.dir().join("memory.max"), LIMIT.to_string()).unwrap();
    let _ = std::fs::write(pod.dir().join("memory.swap.max"), "0");
    let mut bundle = Bundle::new(&["tail", "/dev/zero"]);
    bundle.set("/linux/cgroupsPath", format!("{}/second", pod.path));
    let (husk, explained) = run_and_explain(&runtime, &bundle);
    assert_eq!(husk, 137);
    verdict(&explained, "OOMKilled", 137, "the memory limit of a group above it");
    let limit = explained["record"]["oom"]["limitCgroup"].as_str().unwrap();
    assert!(limit.ends_with(&pod.path), "{limit}");
}

#[test]
fn refused_forks_are_told() {
    if !cgroup::needs("pids") {
        return;
    }
    let runtime = Runtime::husk();
    let mut bundle = Bundle::script("sleep 1 & sleep 1 & sleep 1 & sleep 1 & sleep 1 & wait; exit 1");
    bundle.set("/linux/resources/pids", serde_json::json!({"limit": 3}));
    let (_, explained) = run_and_explain(&runtime, &bundle);
    let message = explained["message"].as_str().unwrap();
    assert!(message.contains("refused (pids.max is 3)"), "{message}");
}
