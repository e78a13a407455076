//! The part of the cgroup tree that husk-cri makes itself: a parent for pods that name none, and the shims' groups.

use std::collections::BTreeSet;
use std::path::PathBuf;

use husk_cgroup::{Cgroup, Hierarchy};

use crate::config::Config;
use crate::error::{Context, Result};
use crate::spec::Missing;

/// The cgroup v2 tree.
pub struct Cgroups {
    root: PathBuf,
    parent: String,
    controllers: BTreeSet<String>,
}

/// Controllers that limits of the CRI need.
const NEEDED: [&str; 6] = ["cpu", "cpuset", "hugetlb", "io", "memory", "pids"];

impl Cgroups {
    /// Finds the tree and its controllers.
    pub fn find(config: &Config) -> Result<Self> {
        let tree = Hierarchy::detect().on("find", "the cgroup v2 hierarchy")?;
        let controllers = tree.controllers().on("read", "the controllers of cgroup v2")?;
        Ok(Self {
            root: tree.root().to_owned(),
            parent: config.cgroup.parent.clone(),
            controllers: controllers.into_iter().collect(),
        })
    }

    /// Controllers that are needed for limits and not there.
    pub fn missing(&self, ignore: bool) -> Missing {
        let controllers = NEEDED
            .iter()
            .filter(|name| !self.controllers.contains(**name))
            .map(|name| (*name).to_owned())
            .collect();
        Missing { controllers, ignore }
    }

    /// The group at an absolute path of the tree.
    pub fn at(&self, path: &str) -> Cgroup {
        Cgroup::open(self.root.join(path.trim_start_matches('/')))
    }

    /// Path of the group of a pod that names no parent.
    pub fn of_pod(&self, id: &str) -> String {
        format!("{}/pod-{id}", self.parent.trim_end_matches('/'))
    }

    /// Makes the group of a pod.
    pub fn make_pod(&self, path: &str) -> Result<()> {
        Cgroup::ensure(self.at(path).path()).on("create cgroup", path)?;
        Ok(())
    }

    /// Kills what is left in a group and removes it with all below it; one that is not there is fine.
    pub fn remove(&self, path: &str) -> Result<()> {
        let group = self.at(path);
        if !group.exists() {
            return Ok(());
        }
        group.kill_all().on("kill cgroup", path)?;
        group.delete().on("remove cgroup", path)
    }

    /// Removes a shim's group.
    pub fn remove_shim(&self, sandbox: &str) -> Result<()> {
        self.remove(&self.of_shim(sandbox))
    }

    /// Removes the common parent if nothing is in it.
    pub fn remove_parent(&self) {
        let _ = std::fs::remove_dir(self.at(&self.parent).path());
    }

    /// Path of a shim's group. It is its own: the shim is to outlive husk-cri, whose service manager may kill all of
    /// husk-cri's group, and it is not to count against the pod's limits.
    pub fn of_shim(&self, id: &str) -> String {
        format!("{}/shim-{id}", self.parent.trim_end_matches('/'))
    }
}
