//! Rules that the manifest's types don't state, and fields without effect.

use std::collections::BTreeSet;

use serde_saphyr::Spanned;

use super::NoEffect;
use super::pod::{Container, Pod};
use super::volume::{Volume, VolumeMount};

/// A broken rule.
#[derive(Debug)]
pub struct Wrong {
    pub line: u64,
    pub path: String,
    pub problem: String,
}

fn wrong(on: &Spanned<String>, path: impl Into<String>, problem: impl Into<String>) -> Result<(), Wrong> {
    Err(Wrong { line: on.referenced.line(), path: path.into(), problem: problem.into() })
}

/// Rules that span more than one field.
pub fn pod(pod: &Pod) -> Result<(), Wrong> {
    if pod.api_version.value != "v1" {
        return wrong(&pod.api_version, "apiVersion", format!("{:?} is not v1", pod.api_version.value));
    }
    if pod.kind.value != "Pod" {
        return wrong(&pod.kind, "kind", format!("{:?} is not Pod", pod.kind.value));
    }
    named(&pod.metadata.name, "metadata.name")?;
    if let Some(namespace) = &pod.metadata.namespace {
        named(namespace, "metadata.namespace")?;
    }
    if pod.spec.containers.is_empty() {
        let problem = "a pod has at least one container".into();
        return Err(Wrong { line: 1, path: "spec.containers".into(), problem });
    }
    if let Some(host_users) = pod.spec.host_users.as_ref().filter(|h| !h.value) {
        // To ignore it would give the pod's root more power than its author allowed.
        let problem = "false is not supported".into();
        return Err(Wrong { line: host_users.referenced.line(), path: "spec.hostUsers".into(), problem });
    }
    let mut volumes = BTreeSet::new();
    for (i, v) in pod.spec.volumes.iter().enumerate() {
        volume(v, &format!("spec.volumes[{i}]"))?;
        volumes.insert(v.name.value.as_str());
    }
    let mut names = BTreeSet::new();
    for (path, c) in containers(pod) {
        container(c, &path, &volumes)?;
        if !names.insert(c.name.value.as_str()) {
            return wrong(
                &c.name,
                format!("{path}.name"),
                format!("two containers are called {:?}", c.name.value),
            );
        }
    }
    Ok(())
}

/// All containers with their paths, in the order in which they start.
fn containers(pod: &Pod) -> impl Iterator<Item = (String, &Container)> {
    let init =
        pod.spec.init_containers.iter().enumerate().map(|(i, c)| (format!("spec.initContainers[{i}]"), c));
    init.chain(pod.spec.containers.iter().enumerate().map(|(i, c)| (format!("spec.containers[{i}]"), c)))
}

fn container(c: &Container, path: &str, volumes: &BTreeSet<&str>) -> Result<(), Wrong> {
    named(&c.name, &format!("{path}.name"))?;
    // Without its source a variable would be missing, and the program would do something else.
    let refused = |field: &Option<NoEffect>, path: String| match field {
        Some(f) => {
            Err(Wrong { line: f.line(), path, problem: "is not supported: write the value itself".into() })
        }
        None => Ok(()),
    };
    refused(&c.env_from, format!("{path}.envFrom"))?;
    for (i, var) in c.env.iter().enumerate() {
        refused(&var.value_from, format!("{path}.env[{i}].valueFrom"))?;
        if var.name.value.is_empty() || var.name.value.contains(['=', '\0']) {
            let problem = format!("{:?} is no name of a variable", var.name.value);
            return wrong(&var.name, format!("{path}.env[{i}].name"), problem);
        }
    }
    c.volume_mounts
        .iter()
        .enumerate()
        .try_for_each(|(i, m)| mount(m, &format!("{path}.volumeMounts[{i}]"), volumes))
}

fn volume(v: &Volume, path: &str) -> Result<(), Wrong> {
    named(&v.name, &format!("{path}.name"))?;
    match (&v.empty_dir, &v.host_path) {
        (Some(_), None) => Ok(()),
        (None, Some(host)) if host.path.value.starts_with('/') => Ok(()),
        (None, Some(host)) => {
            let problem = format!("{:?} is not an absolute path", host.path.value);
            wrong(&host.path, format!("{path}.hostPath.path"), problem)
        }
        _ => wrong(&v.name, path, "wants one of emptyDir, hostPath"),
    }
}

fn mount(m: &VolumeMount, path: &str, volumes: &BTreeSet<&str>) -> Result<(), Wrong> {
    if !volumes.contains(m.name.value.as_str()) {
        return wrong(&m.name, format!("{path}.name"), format!("no volume is called {:?}", m.name.value));
    }
    if !m.mount_path.value.starts_with('/') {
        let problem = format!("{:?} is not an absolute path", m.mount_path.value);
        return wrong(&m.mount_path, format!("{path}.mountPath"), problem);
    }
    // The path is joined to the volume's: it must stay inside.
    match &m.sub_path {
        Some(sub) if sub.value.starts_with('/') || sub.value.split('/').any(|part| part == "..") => {
            let problem = format!("{:?} is not a path inside the volume", sub.value);
            wrong(sub, format!("{path}.subPath"), problem)
        }
        _ => Ok(()),
    }
}

/// Names become file names and host names (RFC 1123).
fn named(name: &Spanned<String>, path: &str) -> Result<(), Wrong> {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    let text = &name.value;
    if !text.is_empty() && text.len() <= 253 && text.chars().all(good) && !text.starts_with(['-', '.']) {
        return Ok(());
    }
    wrong(name, path, format!("{text:?} is no name (lower-case letters, digits, '-', '.')"))
}

/// What is in the manifest and has no effect here, each with its path and line.
pub fn warnings(pod: &Pod) -> Vec<String> {
    let (m, s) = (&pod.metadata, &pod.spec);
    let mut told = Vec::new();
    let fields: [(&str, &Option<NoEffect>); 27] = [
        ("status", &pod.status),
        ("metadata.uid", &m.uid),
        ("metadata.creationTimestamp", &m.creation_timestamp),
        ("metadata.resourceVersion", &m.resource_version),
        ("metadata.ownerReferences", &m.owner_references),
        ("metadata.managedFields", &m.managed_fields),
        ("metadata.finalizers", &m.finalizers),
        ("spec.dnsPolicy", &s.dns_policy),
        ("spec.subdomain", &s.subdomain),
        ("spec.hostAliases", &s.host_aliases),
        ("spec.nodeName", &s.node_name),
        ("spec.nodeSelector", &s.node_selector),
        ("spec.serviceAccountName", &s.service_account_name),
        ("spec.serviceAccount", &s.service_account),
        ("spec.automountServiceAccountToken", &s.automount_service_account_token),
        ("spec.enableServiceLinks", &s.enable_service_links),
        ("spec.imagePullSecrets", &s.image_pull_secrets),
        ("spec.tolerations", &s.tolerations),
        ("spec.affinity", &s.affinity),
        ("spec.schedulerName", &s.scheduler_name),
        ("spec.priority", &s.priority),
        ("spec.priorityClassName", &s.priority_class_name),
        ("spec.preemptionPolicy", &s.preemption_policy),
        ("spec.topologySpreadConstraints", &s.topology_spread_constraints),
        ("spec.readinessGates", &s.readiness_gates),
        ("spec.activeDeadlineSeconds", &s.active_deadline_seconds),
        ("spec.os", &s.os),
    ];
    tell(&mut told, "", &fields);
    tell(
        &mut told,
        "spec.securityContext.",
        &[("fsGroupChangePolicy", &s.security_context.fs_group_change_policy)],
    );
    for (path, c) in containers(pod) {
        let fields: [(&str, &Option<NoEffect>); 11] = [
            ("stdin", &c.stdin),
            ("stdinOnce", &c.stdin_once),
            ("livenessProbe", &c.liveness_probe),
            ("readinessProbe", &c.readiness_probe),
            ("startupProbe", &c.startup_probe),
            ("lifecycle", &c.lifecycle),
            ("terminationMessagePath", &c.termination_message_path),
            ("terminationMessagePolicy", &c.termination_message_policy),
            ("volumeDevices", &c.volume_devices),
            ("resizePolicy", &c.resize_policy),
            ("resources.claims", &c.resources.claims),
        ];
        tell(&mut told, &format!("{path}."), &fields);
    }
    told
}

fn tell(told: &mut Vec<String>, at: &str, fields: &[(&str, &Option<NoEffect>)]) {
    for (name, field) in fields {
        told.extend(field.as_ref().map(|f| format!("{at}{name} (line {}) has no effect here", f.line())));
    }
}
