//! RunPodSandbox.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use husk_cri_api::{NamespaceMode, PodSandboxConfig, PodSandboxMetadata, RunPodSandboxRequest};
use husk_shim_api::{Call, Namespace, Pin, Pinned, Reply};
use tokio::sync::mpsc;

use super::{check, files, hostname, namespace_options, network, release, watch};
use crate::error::{Context, Error, Result};
use crate::node::{Node, Sandbox};
use crate::shim::{self, Launch, Shim};
use crate::store::{Entry, RECORD_VERSION, SandboxPhase, SandboxRecord, blocking};

/// Makes a sandbox and gives its id. A call for a name that is being made joins; one for a ready sandbox gives its id.
pub async fn run(node: &Arc<Node>, request: RunPodSandboxRequest) -> Result<String> {
    let config = request.config.ok_or_else(|| Error::missing("config"))?;
    check::config(&config)?;
    node.handler(&request.runtime_handler)?;
    let name = name(&config.metadata.clone().unwrap_or_default());
    let job = node.clone();
    node.making.join(&format!("sandbox {name}"), move || make(job, config, request.runtime_handler)).await
}

/// What makes a sandbox one of its kind on the node.
fn name(metadata: &PodSandboxMetadata) -> String {
    format!("{}_{}_{}_{}", metadata.name, metadata.namespace, metadata.uid, metadata.attempt)
}

async fn make(node: Arc<Node>, config: PodSandboxConfig, handler: String) -> Result<String> {
    let begun = Instant::now();
    for sandbox in node.sandboxes.all() {
        let record = sandbox.entry.get();
        if record.config.metadata != config.metadata {
            continue;
        }
        if record.phase == SandboxPhase::Ready && record.config == config && record.handler == handler {
            return Ok(record.id.clone());
        }
        let name = name(&record.config.metadata.clone().unwrap_or_default());
        let what = format!("sandbox {} has the name {name} and is {:?}", record.id, record.phase);
        return Err(Error::Exists { what });
    }
    let id = crate::id::fresh()?;
    let parent = config.linux.as_ref().map(|linux| linux.cgroup_parent.clone()).unwrap_or_default();
    let own_cgroup = parent.is_empty();
    let record = SandboxRecord {
        version: RECORD_VERSION,
        id: id.clone(),
        handler,
        created_at: crate::id::now(),
        boot: node.boot.clone(),
        cgroup: if own_cgroup { node.cgroups.of_pod(&id) } else { parent },
        own_cgroup,
        config,
        ..SandboxRecord::default()
    };
    // The record is the intent: from here on, whatever a crash leaves is found by it.
    let folder = node.paths.sandbox(&id);
    std::fs::create_dir(&folder).on("create", folder.display().to_string())?;
    let entry = match Entry::create(node.paths.sandbox_record(&id), record).await {
        Ok(entry) => entry,
        Err(error) => {
            let _ = std::fs::remove_dir_all(&folder);
            return Err(error);
        }
    };
    let sandbox = Arc::new(Sandbox::new(entry));
    let built = match build(&node, &sandbox).await {
        Ok(()) => sandbox.entry.update_now(|record| record.phase = SandboxPhase::Ready),
        Err(error) => Err(error),
    };
    if let Err(error) = built {
        sandbox.entry.note_now(|record| record.phase = SandboxPhase::Removing);
        match release(&node, &sandbox).await {
            Ok(()) => drop(std::fs::remove_dir_all(&folder)),
            // The record stays; the next start of husk-cri tries again.
            Err(left) => {
                tracing::warn!(sandbox_id = id, error = %left, "a failed sandbox could not be taken back")
            }
        }
        return Err(error);
    }
    node.sandboxes.insert(id.clone(), sandbox);
    tracing::info!(sandbox_id = id, elapsed_ms = begun.elapsed().as_millis() as u64, "sandbox is ready");
    Ok(id)
}

async fn build(node: &Arc<Node>, sandbox: &Arc<Sandbox>) -> Result<()> {
    let record = sandbox.entry.get();
    let options = namespace_options(&record.config);
    prepare(node, &record, options.ipc() == NamespaceMode::Node).await?;

    let (notices, received) = mpsc::unbounded_channel();
    let launch = Launch {
        binary: &node.config.shim,
        sandbox: &record.id,
        dir: &node.paths.shim(&record.id),
        handler: node.handler(&record.handler)?,
        runtime_root: &node.paths.runtime(),
        runtime_timeout: node.runtime_timeout(),
        cgroup: &node.cgroups.of_shim(&record.id),
    };
    let shim = shim::start(&launch, notices).await?;
    let shim = Arc::new(shim);
    sandbox.set_shim(Some(shim.clone()));
    tokio::spawn(watch(node.clone(), sandbox.clone(), received));

    let pinned = pin(&shim, &record).await?;
    let names = pinned.namespaces.iter().map(|(kind, path)| (namespace_name(*kind).to_owned(), path.clone()));
    let namespaces = names.collect();
    sandbox.entry.update_now(|record| record.namespaces = namespaces)?;
    if let Some(netns) = pinned.namespaces.get(&Namespace::Net) {
        network::attach(node, sandbox, netns.clone()).await?;
    }
    if sandbox.dead.load(Ordering::SeqCst) {
        let what = "husk-shim or the pause process ended while the sandbox was being made";
        return Err(Error::State { what: what.into() });
    }
    Ok(())
}

/// Folders, files, cgroup, /dev/shm.
async fn prepare(node: &Arc<Node>, record: &SandboxRecord, host_ipc: bool) -> Result<()> {
    let (node, record) = (node.clone(), record.clone());
    blocking(move || {
        crate::node::private(&node.paths.sandbox_state(&record.id))?;
        files::write(&node.paths.sandbox(&record.id), &record.config)?;
        if !record.config.log_directory.is_empty() {
            std::fs::create_dir_all(&record.config.log_directory)
                .on("create", &record.config.log_directory)?;
        }
        if record.own_cgroup {
            node.cgroups.make_pod(&record.cgroup)?;
        }
        if !host_ipc {
            files::mount_shm(&node.paths.shm(&record.id))?;
        }
        Ok(())
    })
    .await
}

async fn pin(shim: &Shim, record: &SandboxRecord) -> Result<Pinned> {
    let options = namespace_options(&record.config);
    let own = |mode: NamespaceMode| mode != NamespaceMode::Node;
    let mut namespaces = Vec::new();
    if own(options.network()) {
        // Pods on the host's network keep the host's name, too: what they ask of the network answers for it.
        namespaces.extend([Namespace::Net, Namespace::Uts]);
    }
    if own(options.ipc()) {
        namespaces.push(Namespace::Ipc);
    }
    if options.pid() == NamespaceMode::Pod {
        namespaces.push(Namespace::Pid);
    }
    let linux = record.config.linux.clone().unwrap_or_default();
    let pin = Pin {
        hostname: namespaces.contains(&Namespace::Uts).then(|| hostname(&record.config)),
        namespaces,
        sysctls: linux.sysctls.into_iter().collect(),
        pause_cgroup: Some(format!("{}/pause-{}", record.cgroup.trim_end_matches('/'), record.id)),
        ..Pin::default()
    };
    match shim.call(Call::Pin(pin)).await? {
        Reply::Pinned(pinned) => Ok(pinned),
        other => Err(shim::unexpected("pin", &other)),
    }
}

fn namespace_name(kind: Namespace) -> &'static str {
    match kind {
        Namespace::Net => "net",
        Namespace::Ipc => "ipc",
        Namespace::Uts => "uts",
        Namespace::Pid => "pid",
        Namespace::User => "user",
    }
}
