//! SIGKILL of the daemon: no container stops, no exit and no line is lost, nothing is left over.

use std::time::Duration;

use husk_cri_api::{
    ContainerState, CreateContainerRequest, ListContainersRequest, ListPodSandboxRequest,
    RunPodSandboxRequest,
};
use husk_tests::wait_until;

use crate::node::Node;
use crate::pods::{host_pod, own_pids, pod, script, with_namespaces};

/// Times of the kill are spread over the call's own time, shorter and longer.
fn pause(round: u32, longest: u64) {
    std::thread::sleep(Duration::from_micros(u64::from(round) * longest / 20));
}

#[test]
fn containers_go_on_while_the_daemon_is_away() {
    let mut node = Node::start();
    let config = with_namespaces(pod(&node), own_pids());
    let id = node.run_pod(&config);
    let text = "i=0; while [ $i -lt 400 ]; do echo $i; i=$((i+1)); sleep 0.01; done; exit 42";
    let runs = node.run(&id, &script("runs", text), &config);
    let stays = node.run(&id, &script("stays", "sleep 1000"), &config);
    let waits = node.create(&id, &script("waits", "exit 5"), &config);
    for round in 0..3 {
        node.kill();
        pause(round, 40_000);
        node.up();
        assert_eq!(node.status(&stays).state(), ContainerState::ContainerRunning);
    }
    assert_eq!(node.sh(&stays, "echo alive"), "alive");
    let status = node.end(&runs);
    assert_eq!((status.exit_code, status.reason.as_str()), (42, "Error"), "{status:?}");
    assert_eq!(node.lines("runs"), (0..400).map(|i| i.to_string()).collect::<Vec<_>>());
    node.try_start(&waits).expect("StartContainer");
    assert_eq!(node.end(&waits).exit_code, 5);
    node.remove_pod(&id);
    assert_eq!(node.leftovers(), Vec::<String>::new());
}

#[test]
fn an_exit_while_the_daemon_dies_is_kept() {
    let mut node = Node::start();
    let config = host_pod(&node);
    let pod = node.run_pod(&config);
    for round in 0..20 {
        let name = format!("c{round}");
        let code = i32::try_from(round).unwrap() + 1;
        let id = node.run(&pod, &script(&name, &format!("echo last; exit {code}")), &config);
        pause(round, 30_000);
        node.kill();
        node.up();
        let status = node.end(&id);
        assert_eq!(status.exit_code, code, "{status:?}");
        assert_eq!(node.lines(&name), ["last"]);
    }
    node.remove_pod(&pod);
    assert_eq!(node.leftovers(), Vec::<String>::new());
}

#[test]
fn a_sandbox_that_was_half_made_goes() {
    let mut node = Node::start();
    for round in 0..20 {
        let config = with_namespaces(pod(&node), own_pids());
        let request = RunPodSandboxRequest { config: Some(config), runtime_handler: String::new() };
        let mut client = node.runtime.clone();
        let call = node.spawn(async move { client.run_pod_sandbox(request).await });
        pause(round, 200_000);
        node.kill();
        let _ = node.wait(call);
        node.up();
        for id in node.pods() {
            node.remove_pod(&id);
        }
        wait_until("nothing left", || node.leftovers().is_empty());
    }
}

#[test]
fn a_container_that_was_half_made_goes() {
    let mut node = Node::start();
    let config = host_pod(&node);
    let pod = node.run_pod(&config);
    let before = node.leftovers();
    for round in 0..20 {
        let request = CreateContainerRequest {
            pod_sandbox_id: pod.clone(),
            config: Some(script(&format!("c{round}"), "sleep 1000")),
            sandbox_config: Some(config.clone()),
        };
        let mut client = node.runtime.clone();
        let call = node.spawn(async move { client.create_container(request).await });
        pause(round, 60_000);
        node.kill();
        let _ = node.wait(call);
        node.up();
        for id in node.containers() {
            let mut client = node.runtime.clone();
            let request = husk_cri_api::RemoveContainerRequest { container_id: id };
            node.wait(async move { client.remove_container(request).await }).expect("RemoveContainer");
        }
        wait_until("nothing left of the container", || node.leftovers() == before);
    }
    node.remove_pod(&pod);
    assert_eq!(node.leftovers(), Vec::<String>::new());
}

impl Node {
    fn pods(&self) -> Vec<String> {
        let mut client = self.runtime.clone();
        let list = self.wait(async move { client.list_pod_sandbox(ListPodSandboxRequest::default()).await });
        list.unwrap().into_inner().items.into_iter().map(|item| item.id).collect()
    }

    fn containers(&self) -> Vec<String> {
        let mut client = self.runtime.clone();
        let list = self.wait(async move { client.list_containers(ListContainersRequest::default()).await });
        list.unwrap().into_inner().containers.into_iter().map(|item| item.id).collect()
    }
}
