//! CreateContainer.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use husk_cri_api::{ContainerConfig, ContainerEventType, CreateContainerRequest, NamespaceMode};
use husk_image::{Image, SnapshotOptions};
use husk_shim_api::{Call, Create, Reply};
use serde_json::Value;

use super::{discard, end, rootfs, volumes};
use crate::error::{Context, Error, Result};
use crate::node::{Container, Node, Sandbox};
use crate::sandbox;
use crate::shim;
use crate::spec::{self, Input, Namespaces};
use crate::store::{ContainerPhase, ContainerRecord, Entry, RECORD_VERSION, SandboxPhase, blocking};

/// Makes a container and gives its id. A call for a name that is being made joins; one for a container that waits for
/// its start gives its id.
pub async fn create(node: &Arc<Node>, request: CreateContainerRequest) -> Result<String> {
    let config = request.config.ok_or_else(|| Error::missing("config"))?;
    check(&config)?;
    let sandbox = node.sandboxes.find(&request.pod_sandbox_id)?;
    let key = format!("container {} in {}", name(&config), sandbox.entry.get().id);
    let job = node.clone();
    node.making.join(&key, move || make(job, sandbox, config)).await
}

fn name(config: &ContainerConfig) -> String {
    let metadata = config.metadata.clone().unwrap_or_default();
    format!("{}_{}", metadata.name, metadata.attempt)
}

fn check(config: &ContainerConfig) -> Result<()> {
    let metadata = config.metadata.as_ref().ok_or_else(|| Error::missing("config.metadata"))?;
    if metadata.name.is_empty() {
        return Err(Error::missing("config.metadata.name"));
    }
    if config.image.as_ref().is_none_or(|image| image.image.is_empty()) {
        return Err(Error::missing("config.image.image"));
    }
    if config.windows.is_some() {
        return Err(Error::invalid("config.windows", "this is a Linux node"));
    }
    let up = |path: &str| Path::new(path).components().any(|part| matches!(part, Component::ParentDir));
    if config.log_path.contains('\0') || config.log_path.starts_with('/') || up(&config.log_path) {
        let why = format!("{:?} is not a path below the sandbox's log_directory", config.log_path);
        return Err(Error::invalid("config.log_path", why));
    }
    let options = spec::security(config).namespace_options.unwrap_or_default();
    spec::check_namespaces("config.linux.security_context.namespace_options", &options, false)
}

async fn make(node: Arc<Node>, sandbox: Arc<Sandbox>, config: ContainerConfig) -> Result<String> {
    let begun = Instant::now();
    // While a container is made, its sandbox is neither stopped nor removed.
    let _gate = sandbox.gate.read().await;
    let pod = sandbox.entry.get();
    if pod.phase != SandboxPhase::Ready {
        return Err(Error::State { what: format!("sandbox {:?} is not ready", pod.id) });
    }
    for container in node.containers_of(&pod.id) {
        let record = container.entry.get();
        if record.config.metadata != config.metadata {
            continue;
        }
        if record.phase == ContainerPhase::Created && record.config == config {
            return Ok(record.id.clone());
        }
        let what = format!("container {} has the name {} in its sandbox", record.id, name(&config));
        return Err(Error::Exists { what });
    }
    let wanted = config.image.clone().unwrap_or_default().image;
    let image = node.images.status(&wanted);
    let image = image.ok_or_else(|| Error::NotFound { kind: "image", id: wanted.clone() })?;
    let id = crate::id::fresh()?;
    let record = ContainerRecord {
        version: RECORD_VERSION,
        id: id.clone(),
        sandbox: pod.id.clone(),
        image_id: image.id.to_string(),
        image_ref: image.digests.first().cloned().unwrap_or_else(|| image.id.to_string()),
        created_at: crate::id::now(),
        stop_signal: spec::stop_signal(&config, &image.config)?,
        log: log_path(&pod.config.log_directory, &config.log_path),
        resources: config.linux.as_ref().and_then(|linux| linux.resources.clone()).unwrap_or_default(),
        cgroup: format!("{}/{id}", pod.cgroup.trim_end_matches('/')),
        config,
        ..ContainerRecord::default()
    };
    // The record is the intent: from here on, whatever a crash leaves is found by it.
    let folder = node.paths.container(&id);
    std::fs::create_dir(&folder).on("create", folder.display().to_string())?;
    let entry = match Entry::create(node.paths.container_record(&id), record).await {
        Ok(entry) => entry,
        Err(error) => {
            let _ = std::fs::remove_dir_all(&folder);
            return Err(error);
        }
    };
    let container = Arc::new(Container::new(entry));
    if let Err(error) = build(&node, &sandbox, &container, &image).await {
        container.entry.note_now(|record| record.phase = ContainerPhase::Removing);
        if let Err(left) = discard(&node, &container).await {
            tracing::warn!(container_id = id, error = %left, "a failed container could not be taken back");
        }
        return Err(error);
    }
    node.containers.insert(id.clone(), container.clone());
    end::catch_up(&node, &sandbox, &container).await;
    end::announce(&node, &container, ContainerEventType::ContainerCreatedEvent);
    tracing::info!(
        container_id = id,
        elapsed_ms = begun.elapsed().as_millis() as u64,
        "container is created"
    );
    Ok(id)
}

fn log_path(folder: &str, path: &str) -> PathBuf {
    if folder.is_empty() || path.is_empty() { PathBuf::new() } else { Path::new(folder).join(path) }
}

async fn build(
    node: &Arc<Node>,
    sandbox: &Arc<Sandbox>,
    container: &Arc<Container>,
    image: &Arc<Image>,
) -> Result<()> {
    let record = container.entry.get();
    let image_id = image.id.to_string();
    let snapshot = node.images.prepare(&record.id, &image_id, SnapshotOptions::default()).await;
    let snapshot = snapshot.on("prepare", format!("a snapshot of {image_id}"))?;
    let volumes = volumes::prepare(node, &record).await?;

    let context = spec::security(&record.config);
    let (node2, sandbox2, container2, image2) =
        (node.clone(), sandbox.clone(), container.clone(), image.clone());
    blocking(move || {
        let target = node2.paths.rootfs(&record.id);
        crate::node::private(&node2.paths.bundle(&record.id))?;
        crate::node::private(&target)?;
        snapshot.mount(&target).on("mount", target.display().to_string())?;
        let user = spec::resolve_user(&target, &context, &image2.config.user)?;
        container2.entry.update_now(|record| record.user = user)?;
        let config = config_json(&node2, &sandbox2, &container2, &image2, &volumes)?;
        rootfs::working_dir(&target, &config)?;
        let path = node2.paths.bundle(&record.id).join("config.json");
        crate::store::write(&path, &config)
    })
    .await?;
    start_init(node, sandbox, container).await
}

fn config_json(
    node: &Node,
    sandbox: &Sandbox,
    container: &Container,
    image: &Image,
    volumes: &[Option<PathBuf>],
) -> Result<Value> {
    let (pod, record) = (sandbox.entry.get(), container.entry.get());
    let context = spec::security(&record.config);
    let options = context.namespace_options.clone().unwrap_or_default();
    let target = match options.pid() {
        NamespaceMode::Target => Some(target_pid(node, &pod.id, &options.target_id)?),
        _ => None,
    };
    let namespaces = Namespaces::plan(&options, &pod.namespaces, target, context.privileged);
    let host_ipc = !pod.namespaces.contains_key("ipc");
    let shm = node.paths.shm(&pod.id);
    spec::build(&Input {
        daemon: &node.config,
        config: &record.config,
        sandbox: &pod.config,
        image: &image.config,
        user: &record.user,
        namespaces: &namespaces,
        cgroup: &record.cgroup,
        rootfs: &node.paths.rootfs(&record.id),
        files: &node.paths.sandbox(&pod.id),
        shm: (!host_ipc).then_some(shm.as_path()),
        hostname: &sandbox::hostname(&pod.config),
        image_volumes: volumes,
        missing: &node.missing(),
    })
}

/// PID namespace of another container of the same sandbox.
fn target_pid(node: &Node, sandbox: &str, id: &str) -> Result<PathBuf> {
    let field = "config.linux.security_context.namespace_options.target_id";
    let target = node.containers.get(id).map(|container| container.entry.get());
    match target {
        Some(target) if target.sandbox == sandbox && target.phase == ContainerPhase::Running => {
            Ok(format!("/proc/{}/ns/pid", target.pid).into())
        }
        _ => Err(Error::invalid(field, format!("{id:?} is no running container of this sandbox"))),
    }
}

/// Has the runtime make the container, up to the moment before its program is executed.
async fn start_init(node: &Arc<Node>, sandbox: &Arc<Sandbox>, container: &Arc<Container>) -> Result<()> {
    let record = container.entry.get();
    if let Some(folder) = record.log.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).on("create", folder.display().to_string())?;
    }
    let call = Create {
        container: record.id.clone(),
        bundle: node.paths.bundle(&record.id),
        log: Some(record.log.clone()).filter(|log| !log.as_os_str().is_empty()),
        record: node.paths.exit_record(&record.id),
        terminal: record.config.tty,
        stdin: record.config.stdin,
        timeout_ms: node.config.limits.runtime_timeout * 1000,
        ..Create::default()
    };
    let created = match sandbox.need_shim()?.call(Call::Create(call)).await {
        // It shall be seen what is wrong with it, and a pod that is not to be restarted shall end: so the container
        // exists, and its start fails.
        Err(Error::CannotRun { code, what }) => {
            return container.entry.update_now(|record| {
                record.cannot_run = Some((code, what));
                record.phase = ContainerPhase::Created;
            });
        }
        created => created?,
    };
    match created {
        Reply::Created { pid } => {
            container.hold(pid);
            container.entry.update_now(|record| {
                record.pid = pid;
                record.phase = ContainerPhase::Created;
            })
        }
        other => Err(shim::unexpected("create", &other)),
    }
}
