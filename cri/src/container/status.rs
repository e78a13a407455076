//! What clients are told about containers.

use husk_cri_api::{
    Container as Row, ContainerFilter, ContainerResources, ContainerState, ContainerStatus, ContainerUser,
    ImageSpec, LinuxContainerUser,
};

use crate::node::Node;
use crate::sandbox::labels;
use crate::store::{ContainerPhase, ContainerRecord};

/// Containers that match the filter.
pub fn list(node: &Node, filter: &ContainerFilter) -> Vec<Row> {
    let all = node.containers.all().into_iter().map(|container| container.entry.get());
    all.filter(|record| matches(record, filter)).map(|record| row(&record)).collect()
}

fn matches(record: &ContainerRecord, filter: &ContainerFilter) -> bool {
    let id = filter.id.is_empty() || record.id.starts_with(&filter.id);
    let sandbox = filter.pod_sandbox_id.is_empty() || record.sandbox.starts_with(&filter.pod_sandbox_id);
    let state = filter.state.as_ref().is_none_or(|wanted| wanted.state == state(record) as i32);
    id && sandbox && state && labels(&record.config.labels, &filter.label_selector)
}

fn state(record: &ContainerRecord) -> ContainerState {
    match record.phase {
        ContainerPhase::Making | ContainerPhase::Created => ContainerState::ContainerCreated,
        ContainerPhase::Running => ContainerState::ContainerRunning,
        ContainerPhase::Exited => ContainerState::ContainerExited,
        ContainerPhase::Removing if record.ended.is_some() => ContainerState::ContainerExited,
        ContainerPhase::Removing => ContainerState::ContainerUnknown,
    }
}

fn row(record: &ContainerRecord) -> Row {
    Row {
        id: record.id.clone(),
        pod_sandbox_id: record.sandbox.clone(),
        metadata: record.config.metadata.clone(),
        image: image(record),
        image_ref: record.image_ref.clone(),
        state: state(record) as i32,
        created_at: record.created_at,
        labels: record.config.labels.clone(),
        annotations: record.config.annotations.clone(),
        image_id: record.image_id.clone(),
    }
}

fn image(record: &ContainerRecord) -> Option<ImageSpec> {
    record.config.image.clone()
}

/// ContainerStatus.
pub fn one(record: &ContainerRecord) -> ContainerStatus {
    let ended = record.ended.clone().unwrap_or_default();
    let user = LinuxContainerUser {
        uid: i64::from(record.user.uid),
        gid: i64::from(record.user.gid),
        supplemental_groups: record.user.groups.iter().map(|gid| i64::from(*gid)).collect(),
    };
    ContainerStatus {
        id: record.id.clone(),
        metadata: record.config.metadata.clone(),
        state: state(record) as i32,
        created_at: record.created_at,
        started_at: record.started_at,
        finished_at: ended.finished_at,
        exit_code: ended.code,
        image: image(record),
        image_ref: record.image_ref.clone(),
        reason: ended.reason,
        message: ended.message,
        labels: record.config.labels.clone(),
        annotations: record.config.annotations.clone(),
        mounts: record.config.mounts.clone(),
        log_path: record.log.display().to_string(),
        resources: Some(ContainerResources { linux: Some(record.resources.clone()), windows: None }),
        image_id: record.image_id.clone(),
        user: Some(ContainerUser { linux: Some(user) }),
        stop_signal: signal(record.stop_signal),
    }
}

/// The CRI's number for a signal.
fn signal(number: u8) -> i32 {
    let name = |value: &i32| husk_cri_api::Signal::try_from(*value).ok().map(|s| s.as_str_name());
    let same = |value: &i32| {
        name(value).and_then(|n| crate::spec::parse_signal(n.strip_prefix("SIGNAL_")?)) == Some(number)
    };
    (1..=65).find(same).unwrap_or_default()
}
