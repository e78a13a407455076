//! `securityContext` of pods and containers.

use serde::Deserialize;

use super::NoEffect;

/// `spec.securityContext`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PodSecurity {
    pub run_as_user: Option<u32>,
    pub run_as_group: Option<u32>,
    pub run_as_non_root: Option<bool>,
    pub supplemental_groups: Vec<u32>,
    pub supplemental_groups_policy: GroupsPolicy,
    pub fs_group: Option<u32>,
    pub sysctls: Vec<Sysctl>,
    pub seccomp_profile: Option<SeccompProfile>,
    pub fs_group_change_policy: Option<NoEffect>,
}

/// `spec.containers[].securityContext`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ContainerSecurity {
    pub run_as_user: Option<u32>,
    pub run_as_group: Option<u32>,
    pub run_as_non_root: Option<bool>,
    pub privileged: bool,
    pub read_only_root_filesystem: bool,
    pub allow_privilege_escalation: Option<bool>,
    pub capabilities: Capabilities,
    pub seccomp_profile: Option<SeccompProfile>,
}

/// Names without `CAP_`, or `ALL`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Capabilities {
    pub add: Vec<String>,
    pub drop: Vec<String>,
}

/// A namespaced kernel setting.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sysctl {
    pub name: String,
    pub value: String,
}

/// Which system calls are allowed.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SeccompProfile {
    #[serde(rename = "type")]
    pub kind: SeccompKind,
    #[serde(default)]
    pub localhost_profile: String,
}

/// Where the profile comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum SeccompKind {
    RuntimeDefault,
    Unconfined,
    Localhost,
}

/// Whether groups of the image's /etc/group count.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum GroupsPolicy {
    #[default]
    Merge,
    Strict,
}
