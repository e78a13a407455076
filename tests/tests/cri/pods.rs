//! What tests say to make pods and containers.

use husk_cri_api::{
    ContainerConfig, ContainerMetadata, ContainerState, ContainerStatus, ContainerStatusRequest,
    CreateContainerRequest, ExecSyncRequest, ExecSyncResponse, ImageSpec, LinuxContainerConfig,
    LinuxContainerResources, LinuxContainerSecurityContext, LinuxPodSandboxConfig,
    LinuxSandboxSecurityContext, NamespaceMode, NamespaceOption, PodSandboxConfig, PodSandboxMetadata,
    RemovePodSandboxRequest, RunPodSandboxRequest, StartContainerRequest, StopContainerRequest,
    StopPodSandboxRequest,
};
use husk_tests::{unique, wait_until};
use tonic::Status;

use crate::node::{IMAGE, Node};

/// A pod with its own network.
pub fn pod(node: &Node) -> PodSandboxConfig {
    let name = unique("pod");
    PodSandboxConfig {
        metadata: Some(PodSandboxMetadata {
            name: name.clone(),
            uid: name,
            namespace: "test".into(),
            attempt: 0,
        }),
        hostname: "test-pod".into(),
        log_directory: node.path().join("logs").display().to_string(),
        linux: Some(LinuxPodSandboxConfig::default()),
        ..Default::default()
    }
}

/// The same with these namespaces.
pub fn with_namespaces(mut config: PodSandboxConfig, options: NamespaceOption) -> PodSandboxConfig {
    let context = LinuxSandboxSecurityContext { namespace_options: Some(options), ..Default::default() };
    config.linux.get_or_insert_default().security_context = Some(context);
    config
}

/// Every container has its own PIDs, all else is the pod's, as Kubernetes has it by default.
pub fn own_pids() -> NamespaceOption {
    NamespaceOption { pid: NamespaceMode::Container as i32, ..Default::default() }
}

/// A pod on the host's network, which is the node's namespace: quicker to make.
pub fn host_pod(node: &Node) -> PodSandboxConfig {
    with_namespaces(pod(node), NamespaceOption { network: NamespaceMode::Node as i32, ..own_pids() })
}

/// A container that runs a shell script.
pub fn script(name: &str, text: &str) -> ContainerConfig {
    command(name, &["sh", "-c", text])
}

/// A container that runs a command.
pub fn command(name: &str, words: &[&str]) -> ContainerConfig {
    let context = LinuxContainerSecurityContext { namespace_options: Some(own_pids()), ..Default::default() };
    ContainerConfig {
        metadata: Some(ContainerMetadata { name: name.into(), attempt: 0 }),
        image: Some(ImageSpec { image: IMAGE.into(), ..Default::default() }),
        command: words.iter().map(|word| (*word).to_owned()).collect(),
        log_path: format!("{name}.log"),
        linux: Some(LinuxContainerConfig {
            resources: Some(LinuxContainerResources::default()),
            security_context: Some(context),
        }),
        ..Default::default()
    }
}

/// Its security context.
pub fn security(config: &mut ContainerConfig) -> &mut LinuxContainerSecurityContext {
    config.linux.get_or_insert_default().security_context.get_or_insert_default()
}

impl Node {
    /// RunPodSandbox.
    pub fn run_pod(&self, config: &PodSandboxConfig) -> String {
        self.try_run_pod(config).expect("RunPodSandbox")
    }

    /// RunPodSandbox.
    pub fn try_run_pod(&self, config: &PodSandboxConfig) -> Result<String, Status> {
        let request = RunPodSandboxRequest { config: Some(config.clone()), runtime_handler: String::new() };
        let mut client = self.runtime.clone();
        self.wait(async move { Ok(client.run_pod_sandbox(request).await?.into_inner().pod_sandbox_id) })
    }

    /// CreateContainer.
    pub fn create(&self, pod: &str, config: &ContainerConfig, sandbox: &PodSandboxConfig) -> String {
        self.try_create(pod, config, sandbox).expect("CreateContainer")
    }

    /// CreateContainer.
    pub fn try_create(
        &self,
        pod: &str,
        config: &ContainerConfig,
        sandbox: &PodSandboxConfig,
    ) -> Result<String, Status> {
        let request = CreateContainerRequest {
            pod_sandbox_id: pod.into(),
            config: Some(config.clone()),
            sandbox_config: Some(sandbox.clone()),
        };
        let mut client = self.runtime.clone();
        self.wait(async move { Ok(client.create_container(request).await?.into_inner().container_id) })
    }

    /// StartContainer.
    pub fn try_start(&self, id: &str) -> Result<(), Status> {
        let mut client = self.runtime.clone();
        let request = StartContainerRequest { container_id: id.into() };
        self.wait(async move { client.start_container(request).await.map(drop) })
    }

    /// CreateContainer and StartContainer.
    pub fn run(&self, pod: &str, config: &ContainerConfig, sandbox: &PodSandboxConfig) -> String {
        let id = self.create(pod, config, sandbox);
        self.try_start(&id).expect("StartContainer");
        id
    }

    /// ContainerStatus.
    pub fn status(&self, id: &str) -> ContainerStatus {
        let mut client = self.runtime.clone();
        let request = ContainerStatusRequest { container_id: id.into(), verbose: false };
        self.wait(
            async move { client.container_status(request).await.expect("ContainerStatus").into_inner() },
        )
        .status
        .expect("a status")
    }

    /// Waits for a container's end.
    pub fn end(&self, id: &str) -> ContainerStatus {
        wait_until("a container's end", || self.status(id).state() == ContainerState::ContainerExited);
        self.status(id)
    }

    /// StopContainer.
    pub fn stop(&self, id: &str, timeout: i64) {
        let mut client = self.runtime.clone();
        let request = StopContainerRequest { container_id: id.into(), timeout };
        self.wait(async move { client.stop_container(request).await.map(drop) }).expect("StopContainer");
    }

    /// StopPodSandbox and RemovePodSandbox.
    pub fn remove_pod(&self, id: &str) {
        let mut client = self.runtime.clone();
        let stop = StopPodSandboxRequest { pod_sandbox_id: id.into() };
        let remove = RemovePodSandboxRequest { pod_sandbox_id: id.into() };
        self.wait(async move {
            client.stop_pod_sandbox(stop).await?;
            client.remove_pod_sandbox(remove).await
        })
        .expect("StopPodSandbox, RemovePodSandbox");
    }

    /// ExecSync.
    pub fn exec(&self, id: &str, words: &[&str]) -> ExecSyncResponse {
        self.try_exec(id, words, 0).expect("ExecSync")
    }

    /// ExecSync of a shell script: what it writes.
    pub fn sh(&self, id: &str, text: &str) -> String {
        let done = self.exec(id, &["sh", "-c", text]);
        String::from_utf8_lossy(&done.stdout).trim().to_owned()
    }

    /// ExecSync.
    pub fn try_exec(&self, id: &str, words: &[&str], timeout: i64) -> Result<ExecSyncResponse, Status> {
        let cmd = words.iter().map(|word| (*word).to_owned()).collect();
        let request = ExecSyncRequest { container_id: id.into(), cmd, timeout };
        let mut client = self.runtime.clone().max_decoding_message_size(64 << 20);
        self.wait(async move { client.exec_sync(request).await }).map(|answer| answer.into_inner())
    }

    /// Lines of a container's log without their tags.
    pub fn lines(&self, name: &str) -> Vec<String> {
        let text =
            std::fs::read_to_string(self.path().join("logs").join(format!("{name}.log"))).unwrap_or_default();
        text.lines().map(|line| line.splitn(4, ' ').nth(3).unwrap_or_default().to_owned()).collect()
    }
}
