//! Volumes and where containers mount them.

use serde::Deserialize;
use serde_saphyr::Spanned;

use super::quantity::Quantity;

/// `spec.volumes[]`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Volume {
    pub name: Spanned<String>,
    pub empty_dir: Option<EmptyDir>,
    pub host_path: Option<HostPath>,
}

/// A directory that lives as long as the pod.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct EmptyDir {
    pub medium: Medium,
    pub size_limit: Option<Quantity>,
}

/// What an emptyDir is made of.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Medium {
    #[default]
    #[serde(rename = "")]
    Disk,
    Memory,
}

/// A file or directory of the node.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HostPath {
    pub path: Spanned<String>,
    #[serde(default, rename = "type")]
    pub kind: HostPathKind,
}

/// What must be at the path.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum HostPathKind {
    #[default]
    #[serde(rename = "")]
    Any,
    Directory,
    DirectoryOrCreate,
    File,
    FileOrCreate,
    Socket,
    CharDevice,
    BlockDevice,
}

/// `spec.containers[].volumeMounts[]`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VolumeMount {
    pub name: Spanned<String>,
    pub mount_path: Spanned<String>,
    #[serde(default)]
    pub read_only: bool,
    #[serde(default)]
    pub recursive_read_only: RecursiveReadOnly,
    #[serde(default)]
    pub mount_propagation: Propagation,
    pub sub_path: Option<Spanned<String>>,
}

/// Whether mounts below a read-only one are read-only too.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum RecursiveReadOnly {
    #[default]
    Disabled,
    IfPossible,
    Enabled,
}

/// Whether later mounts show through.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Propagation {
    #[default]
    None,
    HostToContainer,
    Bidirectional,
}
