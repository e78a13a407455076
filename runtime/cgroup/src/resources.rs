//! `linux.resources`: from the spec's values to files of the group.
//!
//! Two steps: [`plan`] turns the spec into a list of [`Setting`]s and refuses what cannot be meant, without touching
//! the system; [`Cgroup::apply`] writes the list. So everything is checked before the first write.

mod cpu;
mod hugetlb;
mod io;
mod memory;
mod pids;
mod rdma;
mod unified;
mod write;

use oci_spec::runtime::LinuxResources;

use crate::{Cgroup, Error, Result};

/// What to do about a limit whose controller the group does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leniency {
    /// It is an error that names the controller and where it is.
    Strict,
    /// It is left out and returned.
    Skip,
}

/// A value of the spec that was not put in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// The spec's field, for example `linux.resources.memory.limit`.
    pub field: String,
    /// Why.
    pub reason: String,
}

/// One value for one file of the group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    /// The field that asked for it, below `linux.resources`.
    field: String,
    /// The controller that has the file.
    controller: String,
    /// File and value; where the first file does not exist, the next is tried.
    choices: Vec<(String, String)>,
    missing: Missing,
    /// EINVAL may be cured by the settings after it: then it is tried again at the end.
    again: bool,
}

/// What a missing file means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Missing {
    /// The limit cannot be put in force: an error.
    Fails,
    /// The value is what holds without the file, too.
    Harmless,
}

impl Setting {
    fn new(controller: &str, field: &str, file: &str, value: impl Into<String>) -> Self {
        Self {
            field: format!("linux.resources.{field}"),
            controller: controller.to_string(),
            choices: vec![(file.to_string(), value.into())],
            missing: Missing::Fails,
            again: false,
        }
    }

    /// The files that take it, in the order in which they are tried, each with its form of the value.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.choices.iter().map(|(file, value)| (file.as_str(), value.as_str()))
    }

    fn or(mut self, file: &str, value: impl Into<String>) -> Self {
        self.choices.push((file.to_string(), value.into()));
        self
    }

    fn harmless_if_missing(mut self, harmless: bool) -> Self {
        if harmless {
            self.missing = Missing::Harmless;
        }
        self
    }
}

/// All that a spec asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) settings: Vec<Setting>,
    /// Fields with no equivalent in cgroup v2.
    skipped: Vec<Skipped>,
    check: Option<memory::Check>,
}

impl Plan {
    fn no_equivalent(&mut self, field: &str, reason: &str) {
        self.skipped.push(Skipped { field: format!("linux.resources.{field}"), reason: reason.to_string() });
    }
}

fn invalid(field: &str, reason: impl Into<String>) -> Error {
    Error::Invalid { field: format!("linux.resources.{field}"), reason: reason.into() }
}

/// The spec's number for a file: -1 is `max`.
fn max_or(value: i64) -> String {
    if value < 0 { "max".to_string() } else { value.to_string() }
}

/// The order is that of the writes: swap before memory, as lowering memory below its use while swap is free would swap
/// first and limit later; `unified` last, since it is the caller's last word.
pub(crate) fn plan(resources: &LinuxResources) -> Result<Plan> {
    let mut plan = Plan::default();
    if let Some(pids) = resources.pids() {
        pids::plan(pids, &mut plan);
    }
    if let Some(memory) = resources.memory() {
        memory::plan(memory, &mut plan)?;
    }
    if let Some(block_io) = resources.block_io() {
        io::plan(block_io, &mut plan)?;
    }
    if let Some(cpu) = resources.cpu() {
        cpu::plan(cpu, &mut plan)?;
    }
    for limit in resources.hugepage_limits().iter().flatten() {
        hugetlb::plan(limit, &mut plan)?;
    }
    if let Some(rdma) = resources.rdma() {
        rdma::plan(rdma, &mut plan)?;
    }
    if let Some(network) = resources.network() {
        let class = network.class_id().is_some_and(|id| id != 0);
        if class || network.priorities().as_ref().is_some_and(|list| !list.is_empty()) {
            let field = if class { "network.classID" } else { "network.priorities" };
            return Err(invalid(
                field,
                "cgroup v2 has no net_cls and net_prio controllers; use a BPF program or nftables",
            ));
        }
    }
    if let Some(unified) = resources.unified() {
        unified::plan(unified, &mut plan)?;
    }
    Ok(plan)
}

/// Checks `linux.resources` without touching the system.
pub fn check(resources: &LinuxResources) -> Result<()> {
    plan(resources).map(drop)
}

impl Cgroup {
    /// Puts all limits of `linux.resources` in force, apart from the devices.
    ///
    /// Everything is checked before the first write, and what was written is taken back if a later write fails. Returns
    /// what was left out: what cgroup v2 has no equivalent of, and with [`Leniency::Skip`] limits of missing
    /// controllers.
    pub fn apply(&self, resources: &LinuxResources, leniency: Leniency) -> Result<Vec<Skipped>> {
        let plan = plan(resources)?;
        if let Some(check) = &plan.check {
            check.run(self)?;
        }
        let mut skipped = plan.skipped;
        write::all(self, &plan.settings, leniency, &mut skipped)?;
        Ok(skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// File and value of each setting, for tests that start from the spec's JSON.
    pub(super) fn planned(json: &str) -> Vec<(String, String)> {
        let resources = serde_json::from_str(json).unwrap();
        let settings = plan(&resources).unwrap().settings;
        settings.into_iter().map(|s| s.choices.into_iter().next().unwrap()).collect()
    }

    pub(super) fn refused(json: &str) -> String {
        plan(&serde_json::from_str(json).unwrap()).unwrap_err().to_string()
    }

    pub(super) fn left_out(json: &str) -> Vec<String> {
        let plan = plan(&serde_json::from_str(json).unwrap()).unwrap();
        plan.skipped.into_iter().map(|s| s.field).collect()
    }

    pub(super) fn pair(file: &str, value: &str) -> (String, String) {
        (file.to_string(), value.to_string())
    }

    #[test]
    fn nothing_asked_nothing_written() {
        assert_eq!(planned("{}"), []);
        assert_eq!(planned(r#"{"memory":{},"cpu":{},"blockIO":{},"network":{},"unified":{}}"#), []);
    }

    #[test]
    fn network_is_refused_by_name() {
        assert!(refused(r#"{"network":{"classID":1}}"#).contains("linux.resources.network.classID"));
        assert!(
            refused(r#"{"network":{"priorities":[{"name":"eth0","priority":1}]}}"#).contains("priorities")
        );
        assert_eq!(planned(r#"{"network":{"classID":0}}"#), []);
    }

    #[test]
    fn unified_comes_last() {
        let all = planned(r#"{"unified":{"memory.high":"1"},"memory":{"limit":2},"pids":{"limit":3}}"#);
        assert_eq!(all, [pair("pids.max", "3"), pair("memory.max", "2"), pair("memory.high", "1")]);
    }
}
