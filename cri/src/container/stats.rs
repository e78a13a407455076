//! Usage of containers, from their cgroups.

use std::path::Path;
use std::sync::{Arc, PoisonError};

use husk_cri_api::{
    ContainerAttributes, ContainerStats, ContainerStatsFilter, CpuUsage, FilesystemIdentifier,
    FilesystemUsage, MemoryUsage, SwapUsage, UInt64Value,
};

use crate::error::Result;
use crate::node::{Container, Node};
use crate::sandbox::labels;
use crate::store::{ContainerPhase, ContainerRecord};

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

async fn read(node: &Arc<Node>, container: &Arc<Container>, record: &ContainerRecord) -> ContainerStats {
    let now = crate::id::now();
    let group = node.cgroups.at(&record.cgroup);
    let dir = group.path();
    let usage = node.images.snapshot_usage(&record.id).await.ok();
    ContainerStats {
        attributes: Some(ContainerAttributes {
            id: record.id.clone(),
            metadata: record.config.metadata.clone(),
            labels: record.config.labels.clone(),
            annotations: record.config.annotations.clone(),
        }),
        cpu: keyed(dir, "cpu.stat", "usage_usec").map(|micros| cpu(container, now, micros * 1000)),
        memory: memory(dir, now),
        writable_layer: usage.map(|usage| FilesystemUsage {
            timestamp: now,
            fs_id: Some(FilesystemIdentifier {
                mountpoint: node.config.root.join("images").display().to_string(),
            }),
            used_bytes: value(usage.bytes),
            inodes_used: value(usage.inodes),
        }),
        swap: number(dir, "memory.swap.current").map(|used| SwapUsage {
            timestamp: now,
            swap_available_bytes: None,
            swap_usage_bytes: value(used),
        }),
        io: None,
    }
}

#[expect(clippy::unnecessary_wraps, reason = "what a message's field takes")]
fn value(value: u64) -> Option<UInt64Value> {
    Some(UInt64Value { value })
}

/// The rate is over the time since the last reading.
fn cpu(container: &Container, now: i64, used: u64) -> CpuUsage {
    let mut last = container.cpu.lock().unwrap_or_else(PoisonError::into_inner);
    let rate = last.filter(|(then, before)| now > *then && used >= *before).map(|(then, before)| {
        let span = u128::from(now.abs_diff(then));
        u64::try_from(u128::from(used - before) * 1_000_000_000 / span).unwrap_or(u64::MAX)
    });
    *last = Some((now, used));
    CpuUsage {
        timestamp: now,
        usage_core_nano_seconds: value(used),
        usage_nano_cores: value(rate.unwrap_or_default()),
        psi: None,
    }
}

/// The working set is what can't be given up easily: all but the file pages that were not used lately.
fn memory(dir: &Path, now: i64) -> Option<MemoryUsage> {
    let used = number(dir, "memory.current")?;
    let stat = |key| keyed(dir, "memory.stat", key);
    let working = used.saturating_sub(stat("inactive_file").unwrap_or_default());
    let limit = number(dir, "memory.max");
    Some(MemoryUsage {
        timestamp: now,
        working_set_bytes: value(working),
        available_bytes: limit.and_then(|limit| value(limit.saturating_sub(working))),
        usage_bytes: value(used),
        rss_bytes: stat("anon").and_then(value),
        page_faults: stat("pgfault").and_then(value),
        major_page_faults: stat("pgmajfault").and_then(value),
        psi: None,
    })
}

/// A file with one number; `max` and a missing file are none.
fn number(dir: &Path, file: &str) -> Option<u64> {
    std::fs::read_to_string(dir.join(file)).ok()?.trim().parse().ok()
}

/// The number behind `key` in a file of `key number` lines.
fn keyed(dir: &Path, file: &str, key: &str) -> Option<u64> {
    let text = std::fs::read_to_string(dir.join(file)).ok()?;
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.parse().ok())
}
