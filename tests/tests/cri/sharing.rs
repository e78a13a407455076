//! What the containers of a pod share, and what not.

use husk_cri_api::{
    ListPodSandboxRequest, NamespaceMode, NamespaceOption, PodSandboxStatusRequest, StatusRequest,
    VersionRequest,
};

use crate::node::Node;
use crate::pods::{host_pod, own_pids, pod, script, security, with_namespaces};

#[test]
fn a_kubelet_finds_what_it_looks_for() {
    let node = Node::start();
    let (mut client, mut again) = (node.runtime.clone(), node.runtime.clone());
    let version =
        node.wait(async move { client.version(VersionRequest::default()).await }).unwrap().into_inner();
    assert_eq!((version.version.as_str(), version.runtime_api_version.as_str()), ("0.1.0", "v1"));
    let status =
        node.wait(async move { again.status(StatusRequest { verbose: true }).await }).unwrap().into_inner();
    for condition in status.status.unwrap().conditions {
        assert!(condition.status, "{condition:?}");
    }
    assert_eq!(status.runtime_handlers[0].name, "");
}

#[test]
fn two_containers_share_network_ipc_and_name_but_not_pids() {
    let node = Node::start();
    let config = with_namespaces(pod(&node), own_pids());
    let id = node.run_pod(&config);
    let a = node.run(&id, &script("a", "echo hi > /dev/shm/x; nc -l -p 7000 -e cat"), &config);
    let b = node.run(&id, &script("b", "sleep 1000"), &config);
    for name in ["net", "ipc", "uts"] {
        let of = |id: &str| node.sh(id, &format!("readlink /proc/self/ns/{name}"));
        assert_eq!(of(&a), of(&b), "{name}");
        assert_ne!(of(&a), std::fs::read_link(format!("/proc/self/ns/{name}")).unwrap().to_str().unwrap());
    }
    assert_ne!(node.sh(&a, "readlink /proc/1/ns/pid"), node.sh(&b, "readlink /proc/1/ns/pid"));
    assert_eq!(node.sh(&b, "hostname"), "test-pod");
    assert_eq!(node.sh(&b, "cat /dev/shm/x"), "hi");
    assert_eq!(node.sh(&b, "tr '\\0' ' ' < /proc/1/cmdline"), "sleep 1000");
    let status = node.pod_status(&id);
    let ip = status.network.unwrap().ip;
    assert!(ip.starts_with("10.91."), "{ip}");
    assert!(node.sh(&b, "ip addr show eth0").contains(&format!("{ip}/")));
    husk_tests::wait_until("an answer over localhost", || {
        node.sh(&b, "echo ping | nc -w 5 127.0.0.1 7000") == "ping"
    });
    node.remove_pod(&id);
    assert_eq!(node.leftovers(), Vec::<String>::new());
}

#[test]
fn a_shared_pid_namespace_has_a_pause_process_that_reaps() {
    let node = Node::start();
    let shared = NamespaceOption { pid: NamespaceMode::Pod as i32, ..Default::default() };
    let config = with_namespaces(pod(&node), shared.clone());
    let id = node.run_pod(&config);
    let mut ids = Vec::new();
    for name in ["a", "b"] {
        let mut container = script(name, "sleep 1000 & wait");
        security(&mut container).namespace_options = Some(shared.clone());
        ids.push(node.run(&id, &container, &config));
    }
    assert_eq!(
        node.sh(&ids[0], "readlink /proc/self/ns/pid"),
        node.sh(&ids[1], "readlink /proc/self/ns/pid")
    );
    assert!(node.sh(&ids[0], "cat /proc/1/comm").contains("pause"));
    // An orphan becomes PID 1's child, and does not stay a zombie.
    node.sh(&ids[0], "(sh -c 'exec sleep 0.1' & )");
    husk_tests::wait_until("no zombie", || {
        node.sh(&ids[0], "grep -l '^State:.Z' /proc/[0-9]*/status").is_empty()
    });
    node.remove_pod(&id);
    assert_eq!(node.leftovers(), Vec::<String>::new());
}

#[test]
fn host_namespaces_are_the_node_s() {
    let node = Node::start();
    let host = NamespaceMode::Node as i32;
    let all = NamespaceOption { network: host, pid: host, ipc: host, ..Default::default() };
    let config = with_namespaces(host_pod(&node), all.clone());
    let id = node.run_pod(&config);
    let mut container = script("a", "sleep 1000");
    security(&mut container).namespace_options = Some(all);
    let a = node.run(&id, &container, &config);
    for name in ["pid", "ipc"] {
        let own = std::fs::read_link(format!("/proc/self/ns/{name}")).unwrap();
        assert_eq!(node.sh(&a, &format!("readlink /proc/self/ns/{name}")), own.to_str().unwrap(), "{name}");
    }
    let net = std::fs::read_link(format!("/proc/{}/ns/net", node.pid())).unwrap();
    assert_eq!(node.sh(&a, "readlink /proc/self/ns/net"), net.to_str().unwrap());
    assert_eq!(node.pod_status(&id).network.unwrap().ip, "");
    node.remove_pod(&id);
    assert_eq!(node.leftovers(), Vec::<String>::new());
}

#[test]
fn the_same_call_at_once_makes_one_thing() {
    let node = Node::start();
    let config = with_namespaces(pod(&node), own_pids());
    let request = husk_cri_api::RunPodSandboxRequest { config: Some(config.clone()), ..Default::default() };
    let calls: Vec<_> = (0..8)
        .map(|_| {
            let (mut client, request) = (node.runtime.clone(), request.clone());
            node.spawn(
                async move { client.run_pod_sandbox(request).await.unwrap().into_inner().pod_sandbox_id },
            )
        })
        .collect();
    let ids: Vec<String> = calls.into_iter().map(|call| node.wait(call).unwrap()).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let container = script("a", "sleep 1000");
    let calls: Vec<_> = (0..8)
        .map(|_| {
            let mut client = node.runtime.clone();
            let request = husk_cri_api::CreateContainerRequest {
                pod_sandbox_id: ids[0].clone(),
                config: Some(container.clone()),
                sandbox_config: Some(config.clone()),
            };
            node.spawn(
                async move { client.create_container(request).await.unwrap().into_inner().container_id },
            )
        })
        .collect();
    let made: Vec<String> = calls.into_iter().map(|call| node.wait(call).unwrap()).collect();
    assert!(made.iter().all(|id| *id == made[0]), "{made:?}");
    let mut client = node.runtime.clone();
    let list =
        node.wait(async move { client.list_pod_sandbox(ListPodSandboxRequest::default()).await }).unwrap();
    assert_eq!(list.into_inner().items.len(), 1);
    node.remove_pod(&ids[0]);
    node.remove_pod(&ids[0]);
    assert_eq!(node.leftovers(), Vec::<String>::new());
}

impl Node {
    fn pod_status(&self, id: &str) -> husk_cri_api::PodSandboxStatus {
        let mut client = self.runtime.clone();
        let request = PodSandboxStatusRequest { pod_sandbox_id: id.into(), verbose: false };
        self.wait(async move { client.pod_sandbox_status(request).await })
            .unwrap()
            .into_inner()
            .status
            .unwrap()
    }
}
