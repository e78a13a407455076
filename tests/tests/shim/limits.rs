//! Limits: OOM told truly, limits changed while the container runs.

use crate::pod::{PATIENCE, Pod};
use husk_exit::{OomVictim, Verdict};
use husk_shim_api::{Call, Event, Kill, Reply, StopReason};
use husk_tests::{Bundle, cgroup};
use serde_json::json;

fn limited(script: &str) -> Bundle {
    let mut bundle = Bundle::script(script);
    bundle.set("/linux/resources/memory", json!({"limit": 32 << 20, "swap": 32 << 20}));
    bundle
}

#[test]
fn init_killed_for_lack_of_memory() {
    if !cgroup::needs("memory") {
        return;
    }
    let mut pod = Pod::new();
    let id = pod.create(limited("exec dd if=/dev/zero of=/dev/shm/x bs=1M count=60"));
    pod.start(&id);
    assert_eq!(pod.wait(&id).code(), Some(137));
    let told = pod.record(&id);
    assert!(matches!(told.verdict(), Verdict::OomKilled { .. }), "{told:?}");
}

#[test]
fn a_child_killed_for_lack_of_memory_is_told_as_that() {
    if !cgroup::needs("memory") {
        return;
    }
    let mut pod = Pod::new();
    let id =
        pod.create(limited("dd if=/dev/zero of=/dev/shm/x bs=1M count=60; rm /dev/shm/x; sleep 1; exit 3"));
    pod.start(&id);
    // While the container goes on.
    match pod.client.event(PATIENCE).unwrap() {
        Some(Event::Oom { container, kills }) => assert_eq!((container, kills), (id.clone(), 1)),
        other => panic!("{other:?}"),
    }
    assert_eq!(pod.wait(&id).code(), Some(3));
    let told = pod.record(&id);
    assert_eq!(told.oom.as_ref().map(|oom| oom.victim), Some(OomVictim::Child));
    assert!(matches!(told.verdict(), Verdict::Exited { code: 3 }), "{told:?}");
}

#[test]
fn limits_change_while_it_runs() {
    if !cgroup::needs("pids") {
        return;
    }
    let mut pod = Pod::new();
    let id = pod.run("sleep 1000");
    let update = Call::Update { container: id.clone(), resources: json!({"pids": {"limit": 77}}) };
    assert_eq!(pod.client.call(update).unwrap(), Reply::Done);
    let group = cgroup::of_process(pod.container_state(&id).pid.unwrap() as u32);
    assert_eq!(std::fs::read_to_string(group.join("pids.max")).unwrap().trim(), "77");
}

/// systemd as a container's init is stopped by SIGRTMIN+3.
#[test]
fn real_time_signals_arrive() {
    let mut pod = Pod::new();
    let id = pod.run("trap 'exit 8' 37; echo up; while :; do sleep 0.05; done");
    husk_tests::wait_until("the trap is set", || pod.log(&id).contains("up"));
    let kill = Kill { container: id.clone(), exec: None, signal: 37, all: false, why: StopReason::Stop };
    assert_eq!(pod.client.call(Call::Kill(kill)).unwrap(), Reply::Done);
    assert_eq!(pod.wait(&id).code(), Some(8));
}
