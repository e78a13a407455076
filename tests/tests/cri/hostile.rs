//! Requests that are wrong: each one clear error that names the field, and nothing made.

use husk_cri_api::{
    ContainerConfig, ContainerStatusRequest, ExecRequest, ImageSpec, Int64Value, ListContainersRequest,
    Mount, NamespaceMode, PodSandboxConfig, PodSandboxStatusRequest, PullImageRequest,
    RemoveContainerRequest, RemovePodSandboxRequest, StopContainerRequest, StopPodSandboxRequest,
};
use tonic::Code;

use crate::node::Node;
use crate::pods::{host_pod, script, security};

#[test]
fn unknown_ids_are_not_found_or_fine() {
    let node = Node::start();
    let mut client = node.runtime.clone();
    node.wait(async move {
        let id = "no-such-id".to_owned();
        let status = ContainerStatusRequest { container_id: id.clone(), verbose: false };
        assert_eq!(client.container_status(status).await.unwrap_err().code(), Code::NotFound);
        let status = PodSandboxStatusRequest { pod_sandbox_id: id.clone(), verbose: false };
        assert_eq!(client.pod_sandbox_status(status).await.unwrap_err().code(), Code::NotFound);
        client.stop_container(StopContainerRequest { container_id: id.clone(), timeout: 1 }).await.unwrap();
        client.remove_container(RemoveContainerRequest { container_id: id.clone() }).await.unwrap();
        client.stop_pod_sandbox(StopPodSandboxRequest { pod_sandbox_id: id.clone() }).await.unwrap();
        client.remove_pod_sandbox(RemovePodSandboxRequest { pod_sandbox_id: id }).await.unwrap();
        let refused = client.exec(ExecRequest::default()).await.unwrap_err();
        assert_eq!(
            (refused.code(), refused.message()),
            (Code::Unimplemented, "husk-cri does not implement Exec")
        );
    });
}

#[test]
fn bad_sandboxes_are_refused_by_the_field_s_name() {
    let node = Node::start();
    let bad = |field: &str, change: &dyn Fn(&mut PodSandboxConfig)| {
        let mut config = host_pod(&node);
        change(&mut config);
        let refused = node.try_run_pod(&config).unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{field}: {refused:?}");
        assert!(refused.message().contains(field), "{field}: {refused:?}");
    };
    bad("config.metadata", &|c| c.metadata = None);
    bad("metadata.name", &|c| c.metadata.get_or_insert_default().name = String::new());
    bad("log_directory", &|c| c.log_directory = "logs".into());
    bad("cgroup_parent", &|c| c.linux.get_or_insert_default().cgroup_parent = "/a/../../b".into());
    bad("sysctls", &|c| {
        let linux = c.linux.get_or_insert_default();
        linux.sysctls.insert("kernel.core_pattern".into(), "|/bin/x".into());
    });
    bad("sysctls", &|c| {
        let linux = c.linux.get_or_insert_default();
        linux.sysctls.insert("net.ipv4.ip_forward".into(), "1".into());
    });
    bad("pid", &|c| {
        let context = c.linux.get_or_insert_default().security_context.get_or_insert_default();
        context.namespace_options.get_or_insert_default().pid = 77;
    });
    bad("userns_options", &|c| {
        let context = c.linux.get_or_insert_default().security_context.get_or_insert_default();
        let options = context.namespace_options.get_or_insert_default();
        options.userns_options.get_or_insert_default().mode = NamespaceMode::Pod as i32;
    });
    assert_eq!(node.leftovers(), Vec::<String>::new());
}

#[test]
fn bad_containers_are_refused_and_leave_nothing() {
    let node = Node::start();
    let config = host_pod(&node);
    let pod = node.run_pod(&config);
    let before = node.leftovers();
    let bad = |code: Code, word: &str, change: &dyn Fn(&mut ContainerConfig)| {
        let mut container = script("bad", "exit 0");
        change(&mut container);
        let refused = node.try_create(&pod, &container, &config).unwrap_err();
        assert_eq!(refused.code(), code, "{word}: {refused:?}");
        assert!(refused.message().contains(word), "{word}: {refused:?}");
    };
    let invalid = Code::InvalidArgument;
    bad(invalid, "config.metadata", &|c| c.metadata = None);
    bad(invalid, "config.image", &|c| c.image = None);
    bad(Code::NotFound, "image", &|c| {
        c.image = Some(ImageSpec { image: "nowhere/none:1".into(), ..Default::default() });
    });
    bad(invalid, "log_path", &|c| c.log_path = "../../etc/x".into());
    bad(invalid, "working_dir", &|c| c.working_dir = "relative".into());
    bad(invalid, "capabilities", &|c| {
        security(c).capabilities.get_or_insert_default().add_capabilities.push("FLY".into());
    });
    bad(invalid, "run_as_user", &|c| security(c).run_as_user = Some(Int64Value { value: 1 << 32 }));
    bad(invalid, "run_as_username", &|c| security(c).run_as_username = "nosuchuser".into());
    bad(invalid, "container_path", &|c| {
        c.mounts.push(Mount {
            container_path: "../x".into(),
            host_path: "/tmp".into(),
            ..Default::default()
        });
    });
    bad(invalid, "oom_score_adj", &|c| {
        c.linux.get_or_insert_default().resources.get_or_insert_default().oom_score_adj = 5000;
    });
    bad(invalid, "envs[0]", &|c| {
        c.envs.push(husk_cri_api::KeyValue { key: "A=B".into(), value: Vec::new() });
    });
    assert_eq!(node.leftovers(), before);
    let mut client = node.runtime.clone();
    let list =
        node.wait(async move { client.list_containers(ListContainersRequest::default()).await }).unwrap();
    assert!(list.into_inner().containers.is_empty());
    node.remove_pod(&pod);
    assert_eq!(node.leftovers(), Vec::<String>::new());
}

#[test]
fn bad_image_names_are_refused() {
    let node = Node::start();
    for name in ["", "UPPER/case:1", "a b", "x@sha256:12"] {
        let mut client = node.images.clone();
        let image = ImageSpec { image: name.into(), ..Default::default() };
        let request = PullImageRequest { image: Some(image), ..Default::default() };
        let refused = node.wait(async move { client.pull_image(request).await }).unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{name:?}: {refused:?}");
    }
}
