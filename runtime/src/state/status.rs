//! The status of a container, from what the kernel and the state directory say at this moment.

use super::{Dir, State, pid::Life};
use serde::Serialize;
use std::fmt;

/// Status in the specification's words, and runc's `paused`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// `create` or `run` is at work.
    Creating,
    /// Init waits for `start`.
    Created,
    /// The program runs.
    Running,
    /// The cgroup is frozen.
    Paused,
    /// Init has ended.
    Stopped,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Creating => "creating",
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        })
    }
}

/// The container's status now.
pub fn status(dir: &Dir, state: &State) -> Status {
    if let Some(creator) = &state.creator {
        // A creator that was killed leaves a container that never comes to life: only `delete` is left to do.
        return if creator.life() == Life::Alive { Status::Creating } else { Status::Stopped };
    }
    match &state.init {
        Some(init) if init.life() == Life::Alive => {}
        _ => return Status::Stopped,
    }
    match &state.cgroup {
        // Before it is started, too.
        Some(cgroup) if frozen(cgroup) => Status::Paused,
        _ if dir.has_fifo() => Status::Created,
        _ => Status::Running,
    }
}

/// Whether the cgroup is frozen, or told to be: a process in an uninterruptible call delays the state, not the wish.
fn frozen(cgroup: &std::path::Path) -> bool {
    std::fs::read(cgroup.join("cgroup.freeze")).is_ok_and(|text| text.first() == Some(&b'1'))
}
