//! Limits of a container: the CRI's numbers in the OCI's words.

use std::collections::BTreeSet;

use husk_cri_api::{ContainerConfig, LinuxContainerResources};
use serde_json::{Map, Value, json};

use crate::error::{Error, Result};

/// What to do about controllers that cgroup v2 lacks on this host.
#[derive(Clone, Debug, Default)]
pub struct Missing {
    /// Their names.
    pub controllers: BTreeSet<String>,
    /// Drop limits that need them (`cgroup.ignore_missing_controllers`), with a warning.
    pub ignore: bool,
}

/// What the container asks for.
pub fn requested(config: &ContainerConfig) -> LinuxContainerResources {
    config.linux.as_ref().and_then(|linux| linux.resources.clone()).unwrap_or_default()
}

/// `update` over `old`: what it does not set stays.
pub fn merge(old: &LinuxContainerResources, update: &LinuxContainerResources) -> LinuxContainerResources {
    let number = |new: i64, old: i64| if new == 0 { old } else { new };
    let text = |new: &String, old: &String| if new.is_empty() { old.clone() } else { new.clone() };
    let mut unified = old.unified.clone();
    unified.extend(update.unified.clone());
    LinuxContainerResources {
        cpu_period: number(update.cpu_period, old.cpu_period),
        cpu_quota: number(update.cpu_quota, old.cpu_quota),
        cpu_shares: number(update.cpu_shares, old.cpu_shares),
        memory_limit_in_bytes: number(update.memory_limit_in_bytes, old.memory_limit_in_bytes),
        memory_swap_limit_in_bytes: number(update.memory_swap_limit_in_bytes, old.memory_swap_limit_in_bytes),
        oom_score_adj: number(update.oom_score_adj, old.oom_score_adj),
        cpuset_cpus: text(&update.cpuset_cpus, &old.cpuset_cpus),
        cpuset_mems: text(&update.cpuset_mems, &old.cpuset_mems),
        hugepage_limits: if update.hugepage_limits.is_empty() {
            old.hugepage_limits.clone()
        } else {
            update.hugepage_limits.clone()
        },
        unified,
    }
}

/// OCI's `linux.resources`, without devices.
pub fn linux(resources: &LinuxContainerResources, missing: &Missing) -> Result<Value> {
    let field = |name: &str| format!("linux.resources.{name}");
    for (name, value) in [("cpu_period", resources.cpu_period), ("cpu_shares", resources.cpu_shares)] {
        if value < 0 {
            return Err(Error::invalid(field(name), format!("{value} is negative")));
        }
    }
    let mut out = Map::new();
    let set = |group: &mut Map<String, Value>, name: &str, value: i64| {
        if value != 0 {
            group.insert(name.into(), json!(value));
        }
    };
    let mut cpu = Map::new();
    set(&mut cpu, "shares", resources.cpu_shares);
    set(&mut cpu, "quota", resources.cpu_quota);
    if resources.cpu_period != 0 && resources.cpu_quota != 0 {
        set(&mut cpu, "period", resources.cpu_period);
    }
    for (name, value) in [("cpus", &resources.cpuset_cpus), ("mems", &resources.cpuset_mems)] {
        if !value.is_empty() {
            cpu.insert(name.into(), json!(value));
        }
    }
    let mut memory = Map::new();
    set(&mut memory, "limit", resources.memory_limit_in_bytes);
    set(&mut memory, "swap", resources.memory_swap_limit_in_bytes);
    let mut pages = Vec::new();
    // A kubelet sends a zero limit for each page size that it knows, also for those that the host lacks.
    for limit in resources.hugepage_limits.iter().filter(|limit| limit.limit != 0) {
        let bytes = i64::try_from(limit.limit)
            .map_err(|_| Error::invalid(field("hugepage_limits"), format!("{} is too large", limit.limit)))?;
        pages.push(json!({"pageSize": limit.page_size, "limit": bytes}));
    }
    keep(&mut cpu, missing)?;
    if missing.allows("memory", "memory limit", !memory.is_empty())? && !memory.is_empty() {
        out.insert("memory".into(), memory.into());
    }
    if !cpu.is_empty() {
        out.insert("cpu".into(), cpu.into());
    }
    if missing.allows("hugetlb", "huge page limit", !pages.is_empty())? && !pages.is_empty() {
        out.insert("hugepageLimits".into(), pages.into());
    }
    let mut unified = Map::new();
    for (file, value) in &resources.unified {
        let Some((controller, _)) = file.split_once('.').filter(|_| !file.contains('/')) else {
            return Err(Error::invalid(field("unified"), format!("{file:?} is no cgroup v2 file")));
        };
        if controller == "cgroup" || missing.allows(controller, file, true)? {
            unified.insert(file.clone(), json!(value));
        }
    }
    if !unified.is_empty() {
        out.insert("unified".into(), unified.into());
    }
    Ok(out.into())
}

/// The `cpu` group belongs to two controllers.
fn keep(cpu: &mut Map<String, Value>, missing: &Missing) -> Result<()> {
    for (controller, names) in [("cpu", &["shares", "quota", "period"][..]), ("cpuset", &["cpus", "mems"])] {
        let wanted = names.iter().any(|name| cpu.contains_key(*name));
        if !missing.allows(controller, &format!("{controller} limit"), wanted)? {
            names.iter().for_each(|name| {
                cpu.remove(*name);
            });
        }
    }
    Ok(())
}

impl Missing {
    /// Whether a limit of `controller` can be set; an error where it was wanted and must not be dropped.
    fn allows(&self, controller: &str, what: &str, wanted: bool) -> Result<bool> {
        if !self.controllers.contains(controller) {
            return Ok(true);
        }
        if wanted && !self.ignore {
            let why = format!(
                "{what}: cgroup v2 has no {controller} controller on this host (a v1 hierarchy holds it); \
                 cgroup.ignore_missing_controllers in husk-cri's configuration drops such limits"
            );
            return Err(Error::invalid("linux.resources", why));
        }
        if wanted {
            tracing::warn!(
                controller,
                limit = what,
                "a limit is not in force: cgroup v2 lacks its controller"
            );
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use husk_cri_api::HugepageLimit;

    use super::*;

    #[test]
    fn what_is_zero_is_not_set() {
        let page = |limit| HugepageLimit { page_size: "2MB".into(), limit };
        let none = LinuxContainerResources {
            hugepage_limits: vec![page(0)],
            cpu_period: 100_000,
            ..Default::default()
        };
        assert_eq!(linux(&none, &Missing::default()).unwrap(), json!({}));
        let some =
            LinuxContainerResources { hugepage_limits: vec![page(5)], cpu_shares: 2, ..Default::default() };
        let expected = json!({"cpu": {"shares": 2}, "hugepageLimits": [{"pageSize": "2MB", "limit": 5}]});
        assert_eq!(linux(&some, &Missing::default()).unwrap(), expected);
    }

    #[test]
    fn a_missing_controller_is_an_error_or_a_dropped_limit() {
        let resources = LinuxContainerResources {
            memory_limit_in_bytes: 1,
            cpu_shares: 2,
            cpuset_cpus: "0".into(),
            ..Default::default()
        };
        let controllers = BTreeSet::from(["memory".to_owned(), "cpuset".to_owned()]);
        let strict = Missing { controllers: controllers.clone(), ignore: false };
        let error = linux(&resources, &strict).unwrap_err().to_string();
        assert!(error.contains("cpuset controller"), "{error}");
        let lenient = Missing { controllers, ignore: true };
        assert_eq!(linux(&resources, &lenient).unwrap(), json!({"cpu": {"shares": 2}}));
    }

    #[test]
    fn an_update_keeps_what_it_does_not_name() {
        let old = LinuxContainerResources { cpu_shares: 2, memory_limit_in_bytes: 10, ..Default::default() };
        let update = LinuxContainerResources { memory_limit_in_bytes: 20, ..Default::default() };
        let both = merge(&old, &update);
        assert_eq!((both.cpu_shares, both.memory_limit_in_bytes), (2, 20));
    }

    #[test]
    fn unified_names_are_files_not_paths() {
        let with = |file: &str| LinuxContainerResources {
            unified: [(file.to_owned(), "1".to_owned())].into(),
            ..Default::default()
        };
        assert!(linux(&with("../memory.max"), &Missing::default()).is_err());
        assert!(linux(&with("memory.high"), &Missing::default()).is_ok());
    }
}
