//! The Pod object.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_saphyr::Spanned;

use super::NoEffect;
use super::quantity::Quantity;
use super::security::{ContainerSecurity, PodSecurity};
use super::volume::{Volume, VolumeMount};

/// A Pod, `apiVersion: v1`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pod {
    pub api_version: Spanned<String>,
    pub kind: Spanned<String>,
    pub metadata: Metadata,
    pub spec: Spec,
    pub status: Option<NoEffect>,
}

/// `metadata`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metadata {
    pub name: Spanned<String>,
    pub namespace: Option<Spanned<String>>,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    pub uid: Option<NoEffect>,
    pub creation_timestamp: Option<NoEffect>,
    pub resource_version: Option<NoEffect>,
    pub owner_references: Option<NoEffect>,
    pub managed_fields: Option<NoEffect>,
    pub finalizers: Option<NoEffect>,
}

/// `spec`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spec {
    pub containers: Vec<Container>,
    #[serde(default)]
    pub init_containers: Vec<Container>,
    #[serde(default)]
    pub volumes: Vec<Volume>,
    #[serde(default)]
    pub restart_policy: RestartPolicy,
    #[serde(default)]
    pub host_network: bool,
    #[serde(default, rename = "hostPID")]
    pub host_pid: bool,
    #[serde(default, rename = "hostIPC")]
    pub host_ipc: bool,
    pub host_users: Option<Spanned<bool>>,
    #[serde(default)]
    pub share_process_namespace: bool,
    pub hostname: Option<String>,
    pub termination_grace_period_seconds: Option<u32>,
    #[serde(default)]
    pub dns_config: DnsConfig,
    #[serde(default)]
    pub security_context: PodSecurity,
    #[serde(default)]
    pub runtime_class_name: String,
    pub dns_policy: Option<NoEffect>,
    pub subdomain: Option<NoEffect>,
    pub host_aliases: Option<NoEffect>,
    pub node_name: Option<NoEffect>,
    pub node_selector: Option<NoEffect>,
    pub service_account_name: Option<NoEffect>,
    pub service_account: Option<NoEffect>,
    pub automount_service_account_token: Option<NoEffect>,
    pub enable_service_links: Option<NoEffect>,
    pub image_pull_secrets: Option<NoEffect>,
    pub tolerations: Option<NoEffect>,
    pub affinity: Option<NoEffect>,
    pub scheduler_name: Option<NoEffect>,
    pub priority: Option<NoEffect>,
    pub priority_class_name: Option<NoEffect>,
    pub preemption_policy: Option<NoEffect>,
    pub topology_spread_constraints: Option<NoEffect>,
    pub readiness_gates: Option<NoEffect>,
    pub active_deadline_seconds: Option<NoEffect>,
    pub os: Option<NoEffect>,
}

/// When a container that ended is started again.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum RestartPolicy {
    #[default]
    Always,
    OnFailure,
    Never,
}

/// `spec.dnsConfig`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct DnsConfig {
    pub nameservers: Vec<String>,
    pub searches: Vec<String>,
    pub options: Vec<DnsOption>,
}

/// One word of resolv.conf's `options`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DnsOption {
    pub name: String,
    pub value: Option<String>,
}

/// `spec.containers[]`, `spec.initContainers[]`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Container {
    pub name: Spanned<String>,
    pub image: String,
    pub image_pull_policy: Option<PullPolicy>,
    #[serde(default)]
    pub command: Vec<String>,
    #[serde(default)]
    pub args: Vec<String>,
    #[serde(default)]
    pub working_dir: String,
    #[serde(default)]
    pub env: Vec<EnvVar>,
    #[serde(default)]
    pub ports: Vec<Port>,
    #[serde(default)]
    pub resources: Resources,
    #[serde(default)]
    pub volume_mounts: Vec<VolumeMount>,
    #[serde(default)]
    pub security_context: ContainerSecurity,
    /// Of an init container: `Always` makes it a sidecar.
    pub restart_policy: Option<RestartPolicy>,
    #[serde(default)]
    pub tty: bool,
    pub env_from: Option<NoEffect>,
    pub stdin: Option<NoEffect>,
    pub stdin_once: Option<NoEffect>,
    pub liveness_probe: Option<NoEffect>,
    pub readiness_probe: Option<NoEffect>,
    pub startup_probe: Option<NoEffect>,
    pub lifecycle: Option<NoEffect>,
    pub termination_message_path: Option<NoEffect>,
    pub termination_message_policy: Option<NoEffect>,
    pub volume_devices: Option<NoEffect>,
    pub resize_policy: Option<NoEffect>,
}

/// When the image is pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum PullPolicy {
    Always,
    IfNotPresent,
    Never,
}

/// An environment variable.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EnvVar {
    pub name: Spanned<String>,
    #[serde(default)]
    pub value: String,
    pub value_from: Option<NoEffect>,
}

/// A port that a container listens on.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Port {
    pub container_port: u16,
    #[serde(default)]
    pub host_port: u16,
    #[serde(default, rename = "hostIP")]
    pub host_ip: String,
    #[serde(default)]
    pub protocol: Protocol,
    // Services refer to ports by name; there are none here.
    #[serde(rename = "name")]
    pub _name: Option<String>,
}

/// A port's protocol.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Protocol {
    #[default]
    Tcp,
    Udp,
    Sctp,
}

/// `resources`: by `cpu`, `memory`, `hugepages-SIZE`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Resources {
    pub limits: BTreeMap<String, Quantity>,
    pub requests: BTreeMap<String, Quantity>,
    pub claims: Option<NoEffect>,
}
