//! The kernel's counters of what happened to a group: evidence for exits.

use serde::{Deserialize, Serialize};

use crate::{Cgroup, Result, read};

/// `cgroup.events`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupEvents {
    /// The group or a descendant has a process.
    pub populated: bool,
    /// All processes of the group and its descendants are stopped by the freezer.
    pub frozen: bool,
}

/// `memory.events` (the group and its descendants) or `memory.events.local` (the group alone). Counts since the
/// group was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryEvents {
    /// Reclaimed although below memory.low.
    pub low: u64,
    /// Throttled at memory.high.
    pub high: u64,
    /// About to go over memory.max.
    pub max: u64,
    /// Limit reached and allocation about to fail.
    pub oom: u64,
    /// Processes killed by any kind of OOM killer.
    pub oom_kill: u64,
    /// Times that a whole group was killed (memory.oom.group); Linux 5.19.
    pub oom_group_kill: u64,
}

impl MemoryEvents {
    pub(crate) fn parse(text: &str) -> Self {
        let mut out = Self::default();
        for (key, value) in read::flat_keyed(text) {
            match key {
                "low" => out.low = value,
                "high" => out.high = value,
                "max" => out.max = value,
                "oom" => out.oom = value,
                "oom_kill" => out.oom_kill = value,
                "oom_group_kill" => out.oom_group_kill = value,
                _ => {}
            }
        }
        out
    }

    /// What was added since an earlier reading of the same file.
    pub fn since(&self, earlier: &Self) -> Self {
        // Saturating: another group of the same name starts at zero again.
        Self {
            low: self.low.saturating_sub(earlier.low),
            high: self.high.saturating_sub(earlier.high),
            max: self.max.saturating_sub(earlier.max),
            oom: self.oom.saturating_sub(earlier.oom),
            oom_kill: self.oom_kill.saturating_sub(earlier.oom_kill),
            oom_group_kill: self.oom_group_kill.saturating_sub(earlier.oom_group_kill),
        }
    }
}

impl GroupEvents {
    pub(crate) fn parse(text: &str) -> Self {
        let is_set = |wanted| read::flat_keyed(text).any(|(key, value)| key == wanted && value == 1);
        Self { populated: is_set("populated"), frozen: is_set("frozen") }
    }
}

impl Cgroup {
    /// State of the group, None if it is gone.
    pub fn events(&self) -> Result<Option<GroupEvents>> {
        Ok(read::optional(&self.path().join("cgroup.events"))?.map(|text| GroupEvents::parse(&text)))
    }

    /// Memory events of the group and its descendants, None without a memory controller.
    pub fn memory_events(&self) -> Result<Option<MemoryEvents>> {
        Ok(read::optional(&self.path().join("memory.events"))?.map(|text| MemoryEvents::parse(&text)))
    }

    /// Memory events of the group alone (Linux 5.2), None without a memory controller.
    ///
    /// `oom` counts here where the group's own limit was hit, so it tells the container's limit from the pod's.
    pub fn memory_events_local(&self) -> Result<Option<MemoryEvents>> {
        Ok(read::optional(&self.path().join("memory.events.local"))?.map(|text| MemoryEvents::parse(&text)))
    }

    /// How often a fork failed at pids.max, None without a pids controller.
    pub fn pids_max_hits(&self) -> Result<Option<u64>> {
        let text = read::optional(&self.path().join("pids.events"))?;
        Ok(text
            .map(|text| read::flat_keyed(&text).find(|(key, _)| *key == "max").map_or(0, |(_, value)| value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_events_and_their_delta() {
        let early = MemoryEvents::parse("low 0\nhigh 2\nmax 5\noom 1\noom_kill 1\noom_group_kill 0\n");
        let late =
            MemoryEvents::parse("low 0\nhigh 2\nmax 9\noom 3\noom_kill 2\noom_group_kill 1\nnew_key 7\n");
        let delta = late.since(&early);
        assert_eq!(
            delta,
            MemoryEvents { max: 4, oom: 2, oom_kill: 1, oom_group_kill: 1, ..Default::default() }
        );
        assert_eq!(early.since(&late), MemoryEvents::default());
    }

    #[test]
    fn group_events() {
        assert_eq!(
            GroupEvents::parse("populated 1\nfrozen 0\n"),
            GroupEvents { populated: true, frozen: false }
        );
    }
}
