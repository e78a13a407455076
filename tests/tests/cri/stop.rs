//! Stop signal, grace period, SIGKILL; idempotence.

use std::time::{Duration, Instant};

use husk_cri_api::{RemoveContainerRequest, Signal, StopContainerRequest};

use crate::node::Node;
use crate::pods::{host_pod, script};

const DEAF: &str = "trap '' TERM; echo ready; while :; do sleep 1; done";

#[test]
fn a_program_has_its_grace_period() {
    let node = Node::start();
    let config = host_pod(&node);
    let pod = node.run_pod(&config);
    let polite = script("polite", "trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.1; done");
    let id = node.run(&pod, &polite, &config);
    husk_tests::wait_until("the trap", || node.lines("polite") == ["ready"]);
    node.stop(&id, 300);
    let status = node.status(&id);
    assert_eq!((status.exit_code, node.lines("polite").last().unwrap().as_str()), (7, "bye"), "{status:?}");

    let deaf = node.run(&pod, &script("deaf", DEAF), &config);
    husk_tests::wait_until("the trap", || node.lines("deaf") == ["ready"]);
    node.stop(&deaf, 1);
    let status = node.status(&deaf);
    assert_eq!((status.exit_code, status.reason.as_str()), (137, "Error"), "{status:?}");
    assert!(status.message.contains("grace"), "{status:?}");
    // It has ended; nothing more to do.
    node.stop(&deaf, 1);
    node.remove_pod(&pod);
    assert_eq!(node.leftovers(), Vec::<String>::new());
}

#[test]
fn a_second_stop_shortens_the_first_one_s_grace() {
    let node = Node::start();
    let config = host_pod(&node);
    let pod = node.run_pod(&config);
    let id = node.run(&pod, &script("deaf", DEAF), &config);
    husk_tests::wait_until("the trap", || node.lines("deaf") == ["ready"]);
    let begun = Instant::now();
    let (mut client, request) =
        (node.runtime.clone(), StopContainerRequest { container_id: id.clone(), timeout: 3000 });
    let first = node.spawn(async move { client.stop_container(request).await });
    std::thread::sleep(Duration::from_millis(300));
    node.stop(&id, 1);
    node.wait(first).unwrap().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(1500));
    assert_eq!(node.status(&id).exit_code, 137);
    node.remove_pod(&pod);
}

#[test]
fn the_container_s_own_stop_signal_is_sent() {
    let node = Node::start();
    let config = host_pod(&node);
    let pod = node.run_pod(&config);
    let mut container = script("a", "trap 'exit 9' USR1; echo ready; while :; do sleep 0.1; done");
    container.stop_signal = Signal::Sigusr1 as i32;
    let id = node.run(&pod, &container, &config);
    husk_tests::wait_until("the trap", || node.lines("a") == ["ready"]);
    node.stop(&id, 300);
    assert_eq!(node.status(&id).exit_code, 9);
    assert_eq!(node.status(&id).stop_signal(), Signal::Sigusr1);
    node.remove_pod(&pod);
}

#[test]
fn a_running_container_is_removed_by_force() {
    let node = Node::start();
    let config = host_pod(&node);
    let pod = node.run_pod(&config);
    let id = node.run(&pod, &script("deaf", DEAF), &config);
    for _ in 0..2 {
        let (mut client, request) =
            (node.runtime.clone(), RemoveContainerRequest { container_id: id.clone() });
        node.wait(async move { client.remove_container(request).await }).unwrap();
    }
    // Its name is free again.
    node.run(&pod, &script("deaf", "exit 0"), &config);
    node.remove_pod(&pod);
    assert_eq!(node.leftovers(), Vec::<String>::new());
}
