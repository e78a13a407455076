//! Pods over CRI: how long each call takes, what the shim costs in memory, how fast logs are.

mod image;

use crate::runtimes::Place;
use crate::stats::Samples;
use anyhow::{Context as _, Result, bail};
use husk_cri_api::runtime_service_client::RuntimeServiceClient;
use husk_cri_api::{
    ContainerConfig, ContainerMetadata, CreateContainerRequest, ExecSyncRequest, ImageSpec,
    LinuxPodSandboxConfig, LinuxSandboxSecurityContext, NamespaceMode, NamespaceOption, PodSandboxConfig,
    PodSandboxMetadata, RemovePodSandboxRequest, RunPodSandboxRequest, StartContainerRequest,
};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};
use tonic::transport::{Channel, Endpoint};

const NETWORK: &str = r#"{"cniVersion": "1.0.0", "name": "bench", "plugins": [{"type": "bridge", "bridge": "bench0",
 "ipam": {"type": "host-local", "dataDir": "DATA", "ranges": [[{"subnet": "10.98.0.0/16"}]]}}]}"#;
/// Bytes of one log line of the throughput test, its newline included.
const LINE: u64 = 100;
/// Bytes that the throughput test logs.
const LOG: u64 = 200_000_000;

#[derive(Default)]
struct Times {
    sandbox: Samples,
    create: Samples,
    start: Samples,
    first_line: Samples,
    exec: Samples,
    remove: Samples,
}

struct Node {
    daemon: Child,
    client: RuntimeServiceClient<Channel>,
    work: PathBuf,
    next: u32,
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

/// Measures; the result as Markdown. Pods go below the place's cgroup.
pub fn measure(bin: &Path, place: Place<'_>, rounds: usize) -> Result<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut node = start(bin, place).await?;
        let (mut host, mut cni) = (Times::default(), Times::default());
        for _ in 0..rounds {
            pod(&mut node, true, &mut host).await?;
            pod(&mut node, false, &mut cni).await?;
        }
        let memory = [memory(&mut node, 1).await?, memory(&mut node, 3).await?];
        let speed = throughput(&mut node).await?;
        Ok(report(&host, &cni, memory, speed))
    })
}

fn report(host: &Times, cni: &Times, memory: [u64; 2], speed: f64) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "## Pods over CRI ({} rounds)\n", host.sandbox.len());
    let _ = writeln!(out, "| | host network | CNI (bridge, host-local) |\n|---|---|---|");
    type Get = fn(&Times) -> &Samples;
    let rows: [(&str, Get); 6] = [
        ("RunPodSandbox", |t| &t.sandbox),
        ("CreateContainer", |t| &t.create),
        ("StartContainer", |t| &t.start),
        ("RunPodSandbox to first log line", |t| &t.first_line),
        ("ExecSync", |t| &t.exec),
        ("RemovePodSandbox, container running", |t| &t.remove),
    ];
    for (name, get) in rows {
        let _ = writeln!(out, "| {name} | {} | {} |", get(host).text(), get(cni).text());
    }
    let _ = writeln!(
        out,
        "\nMemory of the shim (PSS): {} KiB with one container, {} KiB with three.",
        memory[0], memory[1]
    );
    let _ = writeln!(out, "\nA container that writes lines of {LINE} bytes: {speed:.0} MB/s into its log.");
    out
}

async fn start(bin: &Path, place: Place<'_>) -> Result<Node> {
    let dir = place.work.join("cri");
    std::fs::create_dir_all(dir.join("cni"))?;
    std::fs::create_dir_all(dir.join("logs"))?;
    let network = NETWORK.replace("DATA", &dir.join("ipam").to_string_lossy());
    std::fs::write(dir.join("cni/10-bench.conflist"), network)?;
    let parent = place.group.strip_prefix(place.cgroups)?.join("pods");
    let config = format!(
        "root = {:?}\nstate = {:?}\nlisten = {:?}\nlog = \"warn\"\n[cgroup]\nparent = \"/{}\"\n\
         ignore_missing_controllers = true\n[network]\nconf_dir = {:?}\n",
        dir.join("root"),
        place.state.join("cri"),
        dir.join("cri.sock"),
        parent.display(),
        dir.join("cni")
    );
    let file = dir.join("husk.toml");
    std::fs::write(&file, config)?;
    let layout = image::layout(&dir)?;
    let loaded = Command::new(bin.join("husk-cri"))
        .arg("--config")
        .arg(&file)
        .args(["image", "load"])
        .arg(layout)
        .output()?;
    if !loaded.status.success() {
        bail!("husk-cri image load: {}", String::from_utf8_lossy(&loaded.stderr));
    }
    let daemon = Command::new(bin.join("husk-cri")).arg("--config").arg(&file).spawn().context("husk-cri")?;
    let begin = Instant::now();
    let endpoint = Endpoint::from_shared(format!("unix://{}", dir.join("cri.sock").display()))?;
    let channel = loop {
        match endpoint.connect().await {
            Ok(channel) => break channel,
            Err(error) if begin.elapsed() > Duration::from_secs(30) => {
                return Err(error).context("connect to husk-cri");
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    };
    Ok(Node { daemon, client: RuntimeServiceClient::new(channel), work: dir, next: 0 })
}

impl Node {
    fn sandbox(&mut self, host: bool) -> PodSandboxConfig {
        self.next += 1;
        let name = format!("pod{}", self.next);
        let network = if host { NamespaceMode::Node } else { NamespaceMode::Pod };
        let namespaces = NamespaceOption {
            network: network.into(),
            pid: NamespaceMode::Container.into(),
            ..Default::default()
        };
        PodSandboxConfig {
            metadata: Some(PodSandboxMetadata {
                name: name.clone(),
                uid: name.clone(),
                namespace: "bench".into(),
                attempt: 0,
            }),
            log_directory: self.work.join("logs").join(&name).to_string_lossy().into_owned(),
            linux: Some(LinuxPodSandboxConfig {
                security_context: Some(LinuxSandboxSecurityContext {
                    namespace_options: Some(namespaces),
                    ..Default::default()
                }),
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    async fn run(&mut self, config: &PodSandboxConfig) -> Result<String> {
        let request = RunPodSandboxRequest { config: Some(config.clone()), runtime_handler: String::new() };
        Ok(self.client.run_pod_sandbox(request).await?.into_inner().pod_sandbox_id)
    }

    async fn create(
        &mut self,
        sandbox: &str,
        config: &PodSandboxConfig,
        name: &str,
        script: &str,
    ) -> Result<String> {
        let image = ImageSpec { image: image::NAME.into(), ..Default::default() };
        let request = CreateContainerRequest {
            pod_sandbox_id: sandbox.into(),
            config: Some(ContainerConfig {
                metadata: Some(ContainerMetadata { name: name.into(), attempt: 0 }),
                image: Some(image),
                command: ["/bin/sh", "-c", script].map(String::from).to_vec(),
                log_path: format!("{name}.log"),
                ..Default::default()
            }),
            sandbox_config: Some(config.clone()),
        };
        Ok(self.client.create_container(request).await?.into_inner().container_id)
    }

    async fn start(&mut self, container: &str) -> Result<()> {
        self.client.start_container(StartContainerRequest { container_id: container.into() }).await?;
        Ok(())
    }

    async fn remove(&mut self, sandbox: &str) -> Result<()> {
        self.client.remove_pod_sandbox(RemovePodSandboxRequest { pod_sandbox_id: sandbox.into() }).await?;
        Ok(())
    }
}

async fn pod(node: &mut Node, host: bool, times: &mut Times) -> Result<()> {
    let config = node.sandbox(host);
    let begin = Instant::now();
    let sandbox = node.run(&config).await?;
    times.sandbox.push(begin.elapsed());
    let step = Instant::now();
    let container = node.create(&sandbox, &config, "main", "echo up; exec sleep 100000").await?;
    times.create.push(step.elapsed());
    let step = Instant::now();
    node.start(&container).await?;
    times.start.push(step.elapsed());
    let log = Path::new(&config.log_directory).join("main.log");
    while std::fs::metadata(&log).map_or(0, |meta| meta.len()) == 0 {
        if begin.elapsed() > Duration::from_secs(30) {
            bail!("{}: no line in 30 s", log.display());
        }
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    times.first_line.push(begin.elapsed());
    let step = Instant::now();
    let exec = ExecSyncRequest { container_id: container, cmd: vec!["/bin/true".into()], timeout: 30 };
    node.client.exec_sync(exec).await?;
    times.exec.push(step.elapsed());
    let step = Instant::now();
    node.remove(&sandbox).await?;
    times.remove.push(step.elapsed());
    Ok(())
}

/// PSS in KiB of the shim of a pod with so many idle containers.
async fn memory(node: &mut Node, containers: u32) -> Result<u64> {
    let config = node.sandbox(true);
    let sandbox = node.run(&config).await?;
    for number in 0..containers {
        let container = node.create(&sandbox, &config, &format!("c{number}"), "exec sleep 100000").await?;
        node.start(&container).await?;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut pss = None;
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command);
        if command.split('\0').next().is_some_and(|program| program.ends_with("husk-shim"))
            && command.contains(&sandbox)
        {
            let rollup = std::fs::read_to_string(entry.path().join("smaps_rollup"))?;
            let line = rollup.lines().find(|line| line.starts_with("Pss:")).context("Pss")?;
            pss = line.split_whitespace().nth(1).and_then(|number| number.parse().ok());
        }
    }
    node.remove(&sandbox).await?;
    pss.context("the shim of the pod was not found")
}

/// Megabytes of lines per second from a container into its log.
async fn throughput(node: &mut Node) -> Result<f64> {
    let config = node.sandbox(true);
    let sandbox = node.run(&config).await?;
    let line = "x".repeat(LINE as usize - 1);
    let container = node.create(&sandbox, &config, "loud", &format!("yes {line} | head -c {LOG}")).await?;
    let log = Path::new(&config.log_directory).join("loud.log");
    let begin = Instant::now();
    node.start(&container).await?;
    // Each line has time, stream and tag before it.
    while std::fs::metadata(&log).map_or(0, |meta| meta.len()) < LOG + LOG / LINE * 30 {
        if begin.elapsed() > Duration::from_secs(120) {
            bail!("{}: not written in 120 s", log.display());
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let speed = LOG as f64 / 1e6 / begin.elapsed().as_secs_f64();
    node.remove(&sandbox).await?;
    std::fs::remove_file(log)?;
    Ok(speed)
}
