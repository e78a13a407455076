//! The container that a command names: found, loaded, asked for its status.

use crate::cli::Global;
use crate::state::{Dir, Lock, State, Status, pid::Life, status};
use anyhow::{Context as _, bail};
use husk_cgroup::Cgroup;

/// A container as its state directory describes it.
pub struct Target {
    /// The state directory.
    pub dir: Dir,
    /// Content of `state.json`.
    pub state: State,
}

impl Target {
    /// Finds the container, for a command that only looks.
    pub fn open(global: &Global, id: &str) -> anyhow::Result<Self> {
        let dir = Dir::open(&global.root(), id)?;
        let state = dir.load()?;
        Ok(Self { dir, state })
    }

    /// Finds the container and keeps others from changing it, for a command that changes it.
    pub fn lock(global: &Global, id: &str) -> anyhow::Result<(Self, Lock)> {
        let dir = Dir::open(&global.root(), id)?;
        let lock = dir.lock()?;
        // Read under the lock: another command may just have changed it.
        let state = dir.load()?;
        Ok((Self { dir, state }, lock))
    }

    /// The container's status now.
    pub fn status(&self) -> Status {
        status(&self.dir, &self.state)
    }

    /// Whether the container's init process is there, started or not.
    pub fn has_init(&self) -> bool {
        self.state.init.is_some_and(|init| init.life() == Life::Alive)
    }

    /// Fails unless init is there. The words are those that containerd's shim knows runc by.
    pub fn need_init(&self) -> anyhow::Result<()> {
        if self.has_init() {
            return Ok(());
        }
        bail!("container not running: {:?} is {}", self.state.id, self.status());
    }

    /// The container's cgroup.
    pub fn cgroup(&self) -> anyhow::Result<Cgroup> {
        let path = self.state.cgroup.as_ref().with_context(|| {
            format!(
                "container {:?} has no cgroup of its own: it was created without the right to make one",
                self.state.id
            )
        })?;
        Ok(Cgroup::open(path))
    }
}
