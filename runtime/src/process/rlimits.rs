//! Limits of a program that its own process may not set.

use crate::plan::rlimits::Limit;
use rustix::process::{Pid, Rlimit, getrlimit, prlimit};

/// Raises hard limits of a process (of this one where none is named) that has this one's so far. That needs a right in the
/// host's user namespace, which a process in one of its own lacks. What fails here fails again where the program is about
/// to be executed, with the limit's name.
pub fn raise(pid: Option<Pid>, limits: &[Limit]) {
    for limit in limits {
        let now = getrlimit(limit.resource);
        let raised = match (now.maximum, limit.limit.maximum) {
            (Some(now), Some(wanted)) => wanted > now,
            (Some(_), None) => true,
            (None, _) => false,
        };
        if raised {
            let new = Rlimit { current: now.current, maximum: limit.limit.maximum };
            let _ = prlimit(pid, limit.resource, new);
        }
    }
}
