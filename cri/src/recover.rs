//! After a start: what is on disk is compared with what the kernel and the shims say, and made to agree.
//!
//! 1. A record in `Making` or `Removing` is an intent of a daemon that died: what it names is taken away.
//! 2. A ready sandbox of this boot has a shim, which knows how its containers are; one without has died with it.
//! 3. A sandbox of another boot has nothing left but its record, an address, and containers whose end nobody saw.
//! 4. What no record names (snapshots, addresses, folders) is left over and goes.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use husk_exit::{Found, UnknownReason};
use husk_shim_api::Status;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::container;
use crate::error::{Context, Result};
use crate::node::{CONTAINER, Container, Node, SANDBOX, Sandbox};
use crate::sandbox::{self, remove_dir, unmount_below};
use crate::shim;
use crate::store::{ContainerPhase, ContainerRecord, Entry, SandboxPhase, SandboxRecord, load_all};

/// Brings `node` up to date. What takes long (plugins, removals) goes on after this returns.
pub async fn recover(node: &Arc<Node>) -> Result<()> {
    let (sandboxes, bare) = load_all::<SandboxRecord>(&node.paths.sandboxes(), SANDBOX)?;
    let (containers, bare_containers) = load_all::<ContainerRecord>(&node.paths.containers(), CONTAINER)?;
    for folder in bare.iter().chain(&bare_containers) {
        remove_dir(folder)?;
    }
    sweep(node, &sandboxes, &containers).await;

    let mut pods = JoinSet::new();
    let mut undone = Vec::new();
    for (path, record) in sandboxes {
        let sandbox = Arc::new(Sandbox::new(Entry::loaded(path, record)));
        let record = sandbox.entry.get();
        if matches!(record.phase, SandboxPhase::Ready | SandboxPhase::Stopped) {
            node.sandboxes.insert(record.id.clone(), sandbox.clone());
        } else {
            undone.push(sandbox.clone());
        }
        pods.spawn(connect(node.clone(), sandbox));
    }
    let mut half = Vec::new();
    for (path, record) in containers {
        let container = Arc::new(Container::new(Entry::loaded(path, record)));
        let record = container.entry.get();
        if matches!(record.phase, ContainerPhase::Making | ContainerPhase::Removing) {
            half.push(container);
        } else {
            node.containers.insert(record.id.clone(), container);
        }
    }
    // Shims first: they are asked to take back the containers that were half made.
    let mut lost = JoinSet::new();
    while let Some(done) = pods.join_next().await {
        let Ok(sandbox) = done else { continue };
        lost.spawn(agree(node.clone(), sandbox));
    }
    while lost.join_next().await.is_some() {}
    for container in half {
        let node = node.clone();
        tokio::spawn(async move {
            persist("container", &container.entry.get().id, || container::discard(&node, &container)).await;
        });
    }
    for sandbox in undone {
        let node = node.clone();
        tokio::spawn(async move {
            persist("sandbox", &sandbox.entry.get().id, || sandbox::purge(&node, &sandbox)).await;
        });
    }
    Ok(())
}

/// Tries until it is done: a plugin or a disk may need a person first.
async fn persist<F: Future<Output = Result<()>>>(kind: &str, id: &str, job: impl Fn() -> F) {
    let mut pause = Duration::from_secs(1);
    while let Err(error) = job().await {
        tracing::warn!(kind, id, %error, "what a crash left could not be taken away yet");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(300));
    }
}

/// Connects to the sandbox's shim, if it has one.
async fn connect(node: Arc<Node>, sandbox: Arc<Sandbox>) -> Arc<Sandbox> {
    let record = sandbox.entry.get();
    if record.boot != node.boot {
        return sandbox;
    }
    let (notices, received) = mpsc::unbounded_channel();
    match shim::reconnect(&node.paths.shim(&record.id), node.runtime_timeout(), notices).await {
        Ok(shim) => {
            sandbox.set_shim(Some(Arc::new(shim)));
            tokio::spawn(sandbox::watch(node, sandbox.clone(), received));
        }
        Err(error) if record.phase == SandboxPhase::Ready => {
            tracing::error!(sandbox_id = record.id, %error, "the sandbox has no shim any more");
        }
        Err(_) => {}
    }
    sandbox
}

/// Makes the records of a sandbox and its containers agree with what is.
async fn agree(node: Arc<Node>, sandbox: Arc<Sandbox>) {
    let record = sandbox.entry.get();
    let state = match sandbox.shim() {
        Some(shim) => shim.state().await.ok(),
        None => None,
    };
    let dead = state.as_ref().is_none_or(|state| state.pause_exit.is_some());
    if dead && record.phase == SandboxPhase::Ready {
        sandbox.entry.note_now(|record| record.phase = SandboxPhase::Stopped);
    }
    for container in node.containers_of(&record.id) {
        let known = container.entry.get();
        if known.ended.is_some() || known.cannot_run.is_some() {
            continue;
        }
        if record.boot != node.boot {
            conclude(&node, &container, UnknownReason::NodeRebooted).await;
            continue;
        }
        let Some(state) = &state else {
            // Its program may live on; its end will be seen, if not how it ended.
            tokio::spawn(container::orphaned(node.clone(), container));
            continue;
        };
        let found = state.containers.iter().find(|found| found.id == known.id);
        if let Some(pid) = found.and_then(|found| found.pid) {
            container.hold(pid);
        }
        match found.map(|found| (found.status, found)) {
            Some((Status::Stopped, found)) if found.exit.is_some() => {
                if let Some(exit) = &found.exit {
                    container::ended(&node, &container, exit).await;
                }
            }
            Some((Status::Running, found)) => container.entry.note_now(|record| {
                record.phase = ContainerPhase::Running;
                record.started_at = found.started_at.unwrap_or(record.started_at);
                record.pid = found.pid.unwrap_or(record.pid);
            }),
            Some(_) => {}
            None => conclude(&node, &container, UnknownReason::NotRecorded).await,
        }
    }
}

/// The end of a container that no shim knows: its exit record's, or an unknown one.
async fn conclude(node: &Arc<Node>, container: &Arc<Container>, otherwise: UnknownReason) {
    let record = container.entry.get();
    let ended = match husk_exit::read(&node.paths.exit_record(&record.id)) {
        Ok(Found::Record(found)) => container::judge(&found, crate::id::now()),
        _ => container::judge_unknown(&record, otherwise),
    };
    container::finish(node, container, ended, None);
}

/// Takes away what no record names.
async fn sweep(
    node: &Arc<Node>,
    sandboxes: &[(PathBuf, SandboxRecord)],
    containers: &[(PathBuf, ContainerRecord)],
) {
    let pods: BTreeSet<String> = sandboxes.iter().map(|(_, record)| record.id.clone()).collect();
    let ids: BTreeSet<String> = containers.iter().map(|(_, record)| record.id.clone()).collect();
    for (dir, known) in [(node.paths.sandbox_states(), &pods), (node.paths.container_states(), &ids)] {
        if let Err(error) = sweep_folder(&dir, known) {
            tracing::warn!(%error, "left-over folders stay");
        }
    }
    for id in node.images.snapshots() {
        let owner = id.split("-volume-").next().unwrap_or_default();
        if !ids.contains(owner)
            && let Err(error) = node.images.remove_snapshot(&id).await
        {
            tracing::warn!(snapshot = id, %error, "a left-over snapshot stays");
        }
    }
    let (cni, keep) = (node.cni.clone(), pods.into_iter().collect::<Vec<_>>());
    tokio::task::spawn_blocking(move || {
        for error in cni.gc(&keep) {
            tracing::warn!(%error, "a left-over network attachment stays");
        }
    });
}

fn sweep_folder(dir: &std::path::Path, known: &BTreeSet<String>) -> Result<()> {
    for item in std::fs::read_dir(dir).on("list", dir.display().to_string())? {
        let item = item.on("list", dir.display().to_string())?;
        if item.file_name().to_str().is_none_or(|name| !known.contains(name)) {
            unmount_below(&item.path())?;
            remove_dir(&item.path())?;
        }
    }
    Ok(())
}
