//! Undoing a container that could not be made.

use crate::{
    commands::kill,
    init::hooks,
    log,
    plan::hooks::Hook,
    record,
    state::{Dir, HostRoot, State, Status},
};
use husk_cgroup::Cgroup;
use husk_exit::{Kept, SignalCause};
use rustix::process::{Signal, WaitId, WaitIdOptions};
use std::os::fd::{AsFd as _, OwnedFd};

/// What has been made so far; dropped, it is undone in reverse order.
#[derive(Debug)]
pub struct Rollback {
    dir: Dir,
    /// The container's group.
    pub cgroup: Option<Cgroup>,
    /// systemd's unit, where it has made the group.
    pub unit: Option<String>,
    /// The root filesystem, where it is mounted in husk's own namespace.
    pub host_root: Option<HostRoot>,
    /// Init.
    pub child: Option<OwnedFd>,
    /// Whether the program runs: then its end is to be explained, too.
    pub started: bool,
    /// Hooks that run after the container is gone; only once there was an init.
    pub poststop: Vec<Hook>,
    /// The state for these hooks.
    pub state: Option<State>,
    kept: bool,
}

impl Rollback {
    /// Begins with the state directory.
    pub fn new(dir: Dir) -> Self {
        Self {
            dir,
            cgroup: None,
            unit: None,
            host_root: None,
            child: None,
            started: false,
            poststop: Vec::new(),
            state: None,
            kept: false,
        }
    }

    /// All is well: nothing is undone.
    pub fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Rollback {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        if let Some(child) = &self.child {
            if self.started {
                kill::record(&self.dir, Signal::KILL.as_raw(), SignalCause::Hook);
            }
            let _ = rustix::process::pidfd_send_signal(child, Signal::KILL);
            // While it is a zombie, and its cgroup is there.
            let _ = rustix::process::waitid(
                WaitId::PidFd(child.as_fd()),
                WaitIdOptions::EXITED | WaitIdOptions::NOWAIT,
            );
            if let Some(state) = self.state.as_ref().filter(|_| self.started) {
                record::watched(&self.dir, state);
            }
            let _ = rustix::process::waitid(WaitId::PidFd(child.as_fd()), WaitIdOptions::EXITED);
        }
        if let Some(cgroup) = &self.cgroup
            && let Err(error) = cgroup.kill_all().and_then(|()| cgroup.delete())
        {
            log::warn(&format!("remove the cgroup of a container that could not be made: {error}"));
        }
        if let Some(unit) = &self.unit
            && let Err(error) = super::scope::end(unit)
        {
            log::warn(&format!("end the unit of a container that could not be made: {error:#}"));
        }
        if let Some(root) = &self.host_root
            && let Err(error) = root.remove()
        {
            log::warn(&format!("unmount a container that could not be made: {error:#}"));
        }
        // Where the program could not be started, `explain` still tells why.
        let record = self.dir.path().join("exit.json");
        if let (Some(root), Some(state)) = (self.dir.path().parent(), &self.state)
            && record.exists()
        {
            let _ = Kept::new(root).keep(&state.id, &record);
        }
        if let Err(error) = self.dir.remove() {
            log::warn(&format!("{error:#}"));
        }
        if let Some(state) = &self.state {
            poststop(&self.poststop, state);
        }
    }
}

/// Runs the poststop hooks. One that fails is logged, and the others run all the same (runtime.md, "Lifecycle").
pub fn poststop(hooks: &[Hook], state: &State) {
    for hook in hooks {
        if let Err(error) = hooks::run(hook, state, Status::Stopped) {
            log::warn(&error);
        }
    }
}
