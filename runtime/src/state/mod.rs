//! What husk remembers about a container between commands: `ROOT/<id>/` with
//!
//! | file | content |
//! |---|---|
//! | `state.json` | [`State`]; replaced as a whole by rename |
//! | `config.json` | the bundle's configuration as it was at create |
//! | `exec.fifo` | there while the container is created and not started |
//! | `exit.json` | the exit record, written by whoever waits for the container |
//!
//! Commands that change a container hold the directory's lock ([`Dir::lock`]). The status is never stored:
//! [`status`] derives it from the kernel.

mod dir;
mod host_root;
pub mod id;
pub mod pid;
mod status;

pub use dir::{Dir, Lock, list};
pub use host_root::HostRoot;
pub use status::{Status, status};

use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::PathBuf};

/// Version of `state.json`; a newer husk reads older files, an older one refuses newer files.
pub const VERSION: u32 = 1;

/// Content of `state.json`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// [`VERSION`].
    pub version: u32,
    /// Version of the OCI specification that the configuration names.
    pub oci_version: String,
    /// The container's id.
    pub id: String,
    /// The container's init process as the host sees it; nobody before it exists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<pid::Identity>,
    /// The husk process that is creating the container; nobody once that is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creator: Option<pid::Identity>,
    /// Absolute path of the bundle.
    pub bundle: PathBuf,
    /// Absolute path of the root filesystem on the host.
    pub rootfs: PathBuf,
    /// When it was created, RFC 3339.
    pub created: String,
    /// User id of the creator.
    pub owner: u32,
    /// The container's cgroup as an absolute path on the host; none where rights were lacking.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<PathBuf>,
    /// The mount that is its root filesystem, where it has no mount namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_root: Option<HostRoot>,
    /// systemd's unit, where systemd made the cgroup.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Whether the container was created by an ordinary user.
    #[serde(default)]
    pub rootless: bool,
    /// Whether it keeps its creator's session keyring, instead of one of its own.
    #[serde(default)]
    pub no_new_keyring: bool,
    /// The types of namespaces that the container does not share with its creator, in the specification's words.
    #[serde(default)]
    pub namespaces: Vec<String>,
    /// Annotations of the configuration.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

impl State {
    /// The state as `husk state` shows it and hooks are given it (OCI runtime specification, "State").
    pub fn oci(&self, status: Status) -> OciState<'_> {
        OciState {
            oci_version: &self.oci_version,
            id: &self.id,
            pid: match (status, &self.init) {
                (Status::Stopped, _) | (_, None) => 0,
                (_, Some(init)) => init.pid,
            },
            status,
            bundle: &self.bundle,
            annotations: &self.annotations,
        }
    }
}

/// State in the specification's form.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OciState<'a> {
    oci_version: &'a str,
    id: &'a str,
    pid: i32,
    status: Status,
    bundle: &'a PathBuf,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: &'a BTreeMap<String, String>,
}
