//! Usage of sandboxes: of their cgroup, their network and their containers.

use std::sync::Arc;

use husk_cri_api::{
    ContainerStatsFilter, LinuxPodSandboxStats, NetworkInterfaceUsage, NetworkUsage, PodSandboxAttributes,
    PodSandboxStats, PodSandboxStatsFilter,
};

use super::status::labels;
use crate::container;
use crate::error::Result;
use crate::node::{Node, Sandbox};
use crate::store::{ContainerPhase, SandboxPhase};
use crate::usage::{self, value};

/// Usage of one sandbox.
pub async fn of(node: &Arc<Node>, id: &str) -> Result<PodSandboxStats> {
    let sandbox = node.sandboxes.find(id)?;
    Ok(read(node, &sandbox).await)
}

/// Usage of ready sandboxes that match the filter.
pub async fn list(node: &Arc<Node>, filter: &PodSandboxStatsFilter) -> Vec<PodSandboxStats> {
    let mut out = Vec::new();
    for sandbox in node.sandboxes.all() {
        let record = sandbox.entry.get();
        let id = filter.id.is_empty() || record.id.starts_with(&filter.id);
        if id && record.phase == SandboxPhase::Ready && labels(&record.config.labels, &filter.label_selector)
        {
            out.push(read(node, &sandbox).await);
        }
    }
    out
}

async fn read(node: &Arc<Node>, sandbox: &Sandbox) -> PodSandboxStats {
    let record = sandbox.entry.get();
    let now = crate::id::now();
    let stats = node.cgroups.at(&record.cgroup).stats().unwrap_or_default();
    let filter = ContainerStatsFilter { pod_sandbox_id: record.id.clone(), ..Default::default() };
    let linux = LinuxPodSandboxStats {
        cpu: Some(usage::cpu(&stats, now, &sandbox.cpu)),
        memory: Some(usage::memory(&stats, now)),
        network: network(node, &record.id, now).filter(|_| record.namespaces.contains_key("net")),
        process: Some(usage::processes(&stats, now)),
        containers: container::list_stats(node, &filter).await,
        io: Some(usage::io(&stats, now)),
    };
    PodSandboxStats {
        attributes: Some(PodSandboxAttributes {
            id: record.id.clone(),
            metadata: record.config.metadata.clone(),
            labels: record.config.labels.clone(),
            annotations: record.config.annotations.clone(),
        }),
        linux: Some(linux),
        windows: None,
    }
}

/// Counters of the sandbox's interfaces, as one of its processes sees them.
fn network(node: &Node, id: &str, now: i64) -> Option<NetworkUsage> {
    let containers = node.containers_of(id);
    let mut records = containers.iter().map(|container| container.entry.get());
    let pid = records.find(|record| record.phase == ContainerPhase::Running)?.pid;
    let text = std::fs::read_to_string(format!("/proc/{pid}/net/dev")).ok()?;
    let all: Vec<_> = text.lines().filter_map(interface).collect();
    Some(NetworkUsage {
        timestamp: now,
        default_interface: all.iter().find(|interface| interface.name == "eth0").cloned(),
        interfaces: all.into_iter().filter(|interface| interface.name != "lo").collect(),
    })
}

/// A line of proc_pid_net(5)'s `dev`: eight counters of reception, eight of sending.
fn interface(line: &str) -> Option<NetworkInterfaceUsage> {
    let (name, rest) = line.split_once(':')?;
    let numbers: Vec<u64> = rest.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let at = |index: usize| numbers.get(index).copied().and_then(value);
    Some(NetworkInterfaceUsage {
        name: name.trim().to_owned(),
        rx_bytes: at(0),
        rx_errors: at(2),
        tx_bytes: at(8),
        tx_errors: at(10),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_counters_is_read() {
        let line = "  eth0:  906       9    1    0    0     0          0         0  1006       11    2    0    0     0       0          0";
        let read = interface(line).unwrap();
        assert_eq!(read.name, "eth0");
        let all = [read.rx_bytes, read.rx_errors, read.tx_bytes, read.tx_errors];
        assert_eq!(all, [906, 1, 1006, 2].map(value));
        assert!(interface(" face |bytes    packets").is_none());
    }
}
