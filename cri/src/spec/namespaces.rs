//! Which namespaces a container joins, makes, or leaves to the host.

use std::collections::BTreeMap;
use std::path::PathBuf;

use husk_cri_api::{NamespaceMode, NamespaceOption};
use serde_json::{Value, json};

use crate::error::{Error, Result};

/// Kinds that differ between pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Network.
    Net,
    /// System V IPC, POSIX message queues.
    Ipc,
    /// Hostname.
    Uts,
    /// Process ids.
    Pid,
}

/// Where a namespace comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
enum From {
    Host,
    New,
    Path(PathBuf),
}

/// A container's namespaces; mount and cgroup namespaces are always its own, but a privileged one sees the host's cgroups.
#[derive(Clone, Debug)]
pub struct Namespaces {
    from: BTreeMap<Kind, From>,
    cgroup: bool,
}

impl Namespaces {
    /// The namespaces of a container with these options in a sandbox that pinned `pinned`. `target` is the PID
    /// namespace of the container that `options.target_id` names.
    pub fn plan(
        options: &NamespaceOption,
        pinned: &BTreeMap<String, PathBuf>,
        target: Option<PathBuf>,
        privileged: bool,
    ) -> Self {
        let shared = |name: &str| pinned.get(name).map_or(From::Host, |path| From::Path(path.clone()));
        let pid = match options.pid() {
            NamespaceMode::Node => From::Host,
            NamespaceMode::Pod => shared("pid"),
            NamespaceMode::Container => From::New,
            NamespaceMode::Target => target.map_or(From::New, From::Path),
        };
        let from = BTreeMap::from([
            (Kind::Net, shared("net")),
            (Kind::Ipc, shared("ipc")),
            (Kind::Uts, shared("uts")),
            (Kind::Pid, pid),
        ]);
        Self { from, cgroup: !privileged }
    }

    /// The kind is not the host's.
    pub fn is_own(&self, kind: Kind) -> bool {
        self.from.get(&kind).is_some_and(|from| *from != From::Host)
    }

    /// OCI's `linux.namespaces`.
    pub fn to_oci(&self) -> Value {
        let mut list = vec![json!({"type": "mount"})];
        if self.cgroup {
            list.push(json!({"type": "cgroup"}));
        }
        for (kind, from) in &self.from {
            let name = match kind {
                Kind::Net => "network",
                Kind::Ipc => "ipc",
                Kind::Uts => "uts",
                Kind::Pid => "pid",
            };
            match from {
                From::Host => {}
                From::New => list.push(json!({"type": name})),
                From::Path(path) => list.push(json!({"type": name, "path": path})),
            }
        }
        json!(list)
    }
}

/// Refuses modes that the CRI does not know for the kind, and user namespaces.
pub fn check(field: &str, options: &NamespaceOption, sandbox: bool) -> Result<()> {
    let known = |name: &str, value: i32, allowed: &[NamespaceMode]| match NamespaceMode::try_from(value) {
        Ok(mode) if allowed.contains(&mode) => Ok(()),
        Ok(mode) => {
            Err(Error::invalid(format!("{field}.{name}"), format!("can't be {}", mode.as_str_name())))
        }
        Err(_) => Err(Error::invalid(format!("{field}.{name}"), format!("no namespace mode {value}"))),
    };
    let (pod, node) = (NamespaceMode::Pod, NamespaceMode::Node);
    known("network", options.network, &[pod, node])?;
    known("ipc", options.ipc, &[pod, node])?;
    let all = [pod, node, NamespaceMode::Container, NamespaceMode::Target];
    known("pid", options.pid, if sandbox { &all[..3] } else { &all })?;
    if !sandbox && options.pid() == NamespaceMode::Target && options.target_id.is_empty() {
        return Err(Error::missing(format!("{field}.target_id")));
    }
    match &options.userns_options {
        Some(user) if user.mode() != node => {
            Err(Error::invalid(format!("{field}.userns_options"), "user namespaces are not supported"))
        }
        _ => Ok(()),
    }
}
