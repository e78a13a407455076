//! Usage of containers, from their cgroups.

use std::sync::Arc;

use husk_cri_api::{
    ContainerAttributes, ContainerStats, ContainerStatsFilter, FilesystemIdentifier, FilesystemUsage,
    SwapUsage,
};

use crate::error::Result;
use crate::node::{Container, Node};
use crate::sandbox::labels;
use crate::store::{ContainerPhase, ContainerRecord};
use crate::usage::{self, value};

/// Usage of running containers that match the filter.
pub async fn list(node: &Arc<Node>, filter: &ContainerStatsFilter) -> Vec<ContainerStats> {
    let mut out = Vec::new();
    for container in node.containers.all() {
        let record = container.entry.get();
        let id = filter.id.is_empty() || record.id.starts_with(&filter.id);
        let sandbox = filter.pod_sandbox_id.is_empty() || record.sandbox.starts_with(&filter.pod_sandbox_id);
        if !id || !sandbox || !labels(&record.config.labels, &filter.label_selector) {
            continue;
        }
        if matches!(record.phase, ContainerPhase::Created | ContainerPhase::Running) {
            out.push(read(node, &container, &record).await);
        }
    }
    out
}

/// Usage of one container.
pub async fn of(node: &Arc<Node>, id: &str) -> Result<ContainerStats> {
    let container = node.containers.find(id)?;
    let record = container.entry.get();
    Ok(read(node, &container, &record).await)
}

/// What cannot be read (a controller that is not there) is left out; a group that is gone has used nothing.
async fn read(node: &Arc<Node>, container: &Arc<Container>, record: &ContainerRecord) -> ContainerStats {
    let now = crate::id::now();
    let stats = node.cgroups.at(&record.cgroup).stats().unwrap_or_default();
    let disk = node.images.snapshot_usage(&record.id).await.ok();
    let mountpoint = node.config.root.join("images").display().to_string();
    ContainerStats {
        attributes: Some(ContainerAttributes {
            id: record.id.clone(),
            metadata: record.config.metadata.clone(),
            labels: record.config.labels.clone(),
            annotations: record.config.annotations.clone(),
        }),
        cpu: Some(usage::cpu(&stats, now, &container.cpu)),
        memory: Some(usage::memory(&stats, now)),
        writable_layer: disk.map(|disk| FilesystemUsage {
            timestamp: now,
            fs_id: Some(FilesystemIdentifier { mountpoint }),
            used_bytes: value(disk.bytes),
            inodes_used: value(disk.inodes),
        }),
        swap: stats.memory.as_ref().and_then(|memory| memory.swap_current).map(|used| SwapUsage {
            timestamp: now,
            swap_available_bytes: None,
            swap_usage_bytes: value(used),
        }),
        io: Some(usage::io(&stats, now)),
    }
}
