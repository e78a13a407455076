//! What is written down about a sandbox and a container.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use husk_cri_api::{ContainerConfig, LinuxContainerResources, PodSandboxConfig};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{Context, Result};

/// Version of both records.
pub const RECORD_VERSION: u32 = 1;

/// Where a sandbox is on its way.
///
/// ```text
/// Making ──► Ready ──► Stopped ──► Removing ──► (gone)
///    └──────────┴──────────────────────▲
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SandboxPhase {
    /// Intent: parts of it may exist. After a crash all of it is taken back.
    #[default]
    Making,
    /// Namespaces and network are there.
    Ready,
    /// StopPodSandbox was called, or the sandbox died: nothing runs in it any more.
    Stopped,
    /// Intent: after a crash the removal is finished.
    Removing,
}

/// A pod sandbox.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct SandboxRecord {
    /// [`RECORD_VERSION`] of the writer.
    pub version: u32,
    /// Id.
    pub id: String,
    /// As the client gave it.
    pub config: PodSandboxConfig,
    /// Runtime handler as the client gave it.
    pub handler: String,
    /// Nanoseconds since the epoch.
    pub created_at: i64,
    /// Boot under which it was made.
    pub boot: String,
    /// Where it is on its way.
    pub phase: SandboxPhase,
    /// Cgroup of the pod, from the root of the cgroup tree.
    pub cgroup: String,
    /// husk-cri made `cgroup` (the client named none) and removes it.
    pub own_cgroup: bool,
    /// Pinned namespaces (`net`, `ipc`, `uts`, `pid`), by name.
    pub namespaces: BTreeMap<String, PathBuf>,
    /// The network may be attached: a detach is due.
    pub attached: bool,
    /// Addresses, the main one first.
    pub ips: Vec<String>,
}

/// Where a container is on its way.
///
/// ```text
/// Making ──► Created ──► Running ──► Exited ──► Removing ──► (gone)
///    └──────────┴───────────┴──────────────────────▲
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContainerPhase {
    /// Intent: parts of it may exist. After a crash all of it is taken back.
    #[default]
    Making,
    /// Its init waits for the start.
    Created,
    /// Its program was started.
    Running,
    /// Its init has ended.
    Exited,
    /// Intent: after a crash the removal is finished.
    Removing,
}

/// Ids that a program is started with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Supplementary groups, without doubles, with `gid` first.
    pub groups: Vec<u32>,
}

/// How a container ended, as the CRI tells it. Judged from the exit record, which stays the truth.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Exit code.
    pub code: i32,
    /// One word.
    pub reason: String,
    /// A sentence.
    pub message: String,
    /// Nanoseconds since the epoch.
    pub finished_at: i64,
}

/// A container.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ContainerRecord {
    /// [`RECORD_VERSION`] of the writer.
    pub version: u32,
    /// Id.
    pub id: String,
    /// Its sandbox.
    pub sandbox: String,
    /// As the client gave it.
    pub config: ContainerConfig,
    /// Id of its image.
    pub image_id: String,
    /// A digest reference of its image, or its id where it has none.
    pub image_ref: String,
    /// Nanoseconds since the epoch.
    pub created_at: i64,
    /// Nanoseconds since the epoch; 0: not yet.
    pub started_at: i64,
    /// Its init; 0: none yet.
    pub pid: i32,
    /// Where it is on its way.
    pub phase: ContainerPhase,
    /// How it ended.
    pub ended: Option<Ended>,
    /// Its program can't be executed: exit code and reason. The container has no init then; its start fails.
    pub cannot_run: Option<(i32, String)>,
    /// Ids of its program.
    pub user: User,
    /// Its log; empty: none.
    pub log: PathBuf,
    /// Number of its stop signal.
    pub stop_signal: u8,
    /// Limits in force.
    pub resources: LinuxContainerResources,
    /// Its cgroup.
    pub cgroup: String,
}

/// Records with their files, and folders without a record.
pub type Loaded<R> = (Vec<(PathBuf, R)>, Vec<PathBuf>);

/// All records in the sub-folders of `dir`: `<dir>/<id>/<file>`. A folder without a record is what a crash left between
/// two steps of making or removing, and its name is in the second list. A record that can't be read is an error: it
/// names things that must not be lost.
pub fn load_all<R: DeserializeOwned>(dir: &Path, file: &str) -> Result<Loaded<R>> {
    let (mut records, mut bare) = (Vec::new(), Vec::new());
    for item in std::fs::read_dir(dir).on("list", dir.display().to_string())? {
        let folder = item.on("list", dir.display().to_string())?.path();
        let path = folder.join(file);
        match std::fs::read(&path) {
            Ok(text) => {
                records.push((
                    path.clone(),
                    serde_json::from_slice(&text).on("parse", path.display().to_string())?,
                ));
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => bare.push(folder),
            Err(error) => return Err(error).on("read", path.display().to_string()),
        }
    }
    Ok((records, bare))
}
