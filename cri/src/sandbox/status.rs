//! What clients are told about sandboxes.

use std::collections::HashMap;

use husk_cri_api::{
    LinuxPodSandboxStatus, Namespace, PodIp, PodSandbox, PodSandboxFilter, PodSandboxNetworkStatus,
    PodSandboxState, PodSandboxStatus,
};

use super::namespace_options;
use crate::node::Node;
use crate::store::{SandboxPhase, SandboxRecord};

/// Sandboxes that match the filter.
pub fn list(node: &Node, filter: &PodSandboxFilter) -> Vec<PodSandbox> {
    let all = node.sandboxes.all().into_iter().map(|sandbox| sandbox.entry.get());
    all.filter(|record| matches(record, filter)).map(|record| row(&record)).collect()
}

fn matches(record: &SandboxRecord, filter: &PodSandboxFilter) -> bool {
    let id = filter.id.is_empty() || record.id.starts_with(&filter.id);
    let state = filter.state.as_ref().is_none_or(|wanted| wanted.state == state(record) as i32);
    id && state && labels(&record.config.labels, &filter.label_selector)
}

/// All of `wanted` is in `labels`.
pub fn labels(labels: &HashMap<String, String>, wanted: &HashMap<String, String>) -> bool {
    wanted.iter().all(|(key, value)| labels.get(key) == Some(value))
}

/// The CRI's word for where a sandbox is.
fn state(record: &SandboxRecord) -> PodSandboxState {
    match record.phase {
        SandboxPhase::Ready => PodSandboxState::SandboxReady,
        _ => PodSandboxState::SandboxNotready,
    }
}

fn row(record: &SandboxRecord) -> PodSandbox {
    PodSandbox {
        id: record.id.clone(),
        metadata: record.config.metadata.clone(),
        state: state(record) as i32,
        created_at: record.created_at,
        labels: record.config.labels.clone(),
        annotations: record.config.annotations.clone(),
        runtime_handler: record.handler.clone(),
    }
}

/// PodSandboxStatus.
pub fn one(record: &SandboxRecord) -> PodSandboxStatus {
    let mut ips = record.ips.iter().cloned();
    let network = PodSandboxNetworkStatus {
        ip: ips.next().unwrap_or_default(),
        additional_ips: ips.map(|ip| PodIp { ip }).collect(),
    };
    let namespaces = Namespace { options: Some(namespace_options(&record.config)) };
    PodSandboxStatus {
        id: record.id.clone(),
        metadata: record.config.metadata.clone(),
        state: state(record) as i32,
        created_at: record.created_at,
        network: Some(network),
        linux: Some(LinuxPodSandboxStatus { namespaces: Some(namespaces) }),
        labels: record.config.labels.clone(),
        annotations: record.config.annotations.clone(),
        runtime_handler: record.handler.clone(),
    }
}
