//! `linux.resources.memory`.

use oci_spec::runtime::LinuxMemory;

use super::{Plan, Setting, invalid, max_or};
use crate::{Cgroup, Result, read};

/// `memory.checkBeforeUpdate`: refuse limits below what is in use, instead of having the kernel kill for them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Check {
    limit: Option<i64>,
    swap: Option<i64>,
}

pub(super) fn plan(memory: &LinuxMemory, plan: &mut Plan) -> Result<()> {
    // Go's specs cannot tell 0 from unset, so runc and its callers use 0 as unset.
    let given = |value: Option<i64>| value.filter(|v| *v != 0);
    let (limit, swap, low) = (given(memory.limit()), given(memory.swap()), given(memory.reservation()));
    for (field, value) in [("memory.limit", limit), ("memory.swap", swap), ("memory.reservation", low)] {
        if let Some(value) = value.filter(|v| *v < -1) {
            return Err(invalid(field, format!("{value} is negative; -1 is no limit")));
        }
    }
    if let Some(value) = swap_max(limit, swap)? {
        // Without swap accounting there is no such file; then these two values hold anyway.
        let harmless = value <= 0;
        let setting = Setting::new("memory", "memory.swap", "memory.swap.max", max_or(value));
        plan.settings.push(setting.harmless_if_missing(harmless));
    }
    if let Some(value) = limit {
        let setting = Setting::new("memory", "memory.limit", "memory.max", max_or(value));
        plan.settings.push(setting.harmless_if_missing(value == -1));
    }
    if let Some(value) = low {
        let setting = Setting::new("memory", "memory.reservation", "memory.low", max_or(value));
        plan.settings.push(setting);
    }
    if memory.check_before_update() == Some(true) {
        plan.check = Some(Check { limit, swap });
    }
    without_equivalent(memory, plan);
    Ok(())
}

/// The spec's swap is memory plus swap, the kernel's is swap alone.
///
/// Unlimited memory with swap unset means both unlimited (as on v1); unlimited memory with a swap value takes it as it
/// is; a value below the memory limit cannot be meant.
fn swap_max(limit: Option<i64>, swap: Option<i64>) -> Result<Option<i64>> {
    let Some(total) = swap else { return Ok((limit == Some(-1)).then_some(-1)) };
    match limit {
        _ if total == -1 => Ok(Some(-1)),
        Some(-1) => Ok(Some(total)),
        None => {
            Err(invalid("memory.swap", format!("{total} is memory plus swap, so it needs memory.limit, too")))
        }
        Some(limit) if total < limit => {
            let reason = format!("{total} is memory plus swap, and less than memory.limit {limit}");
            Err(invalid("memory.swap", reason))
        }
        Some(limit) => Ok(Some(total - limit)),
    }
}

fn without_equivalent(memory: &LinuxMemory, plan: &mut Plan) {
    #[allow(deprecated, reason = "a spec may still have it, and its reader is to be told")]
    let kernel = memory.kernel();
    if kernel.is_some_and(|v| v != 0) {
        plan.no_equivalent("memory.kernel", "cgroup v2 counts kernel memory within memory.limit");
    }
    if memory.kernel_tcp().is_some_and(|v| v != 0) {
        plan.no_equivalent("memory.kernelTCP", "cgroup v2 counts socket memory within memory.limit");
    }
    if memory.swappiness().is_some() {
        plan.no_equivalent("memory.swappiness", "cgroup v2 has no swappiness per group");
    }
    if memory.disable_oom_killer() == Some(true) {
        plan.no_equivalent(
            "memory.disableOOMKiller",
            "cgroup v2 cannot turn the OOM killer off; see memory.high",
        );
    }
}

impl Check {
    pub(super) fn run(&self, group: &Cgroup) -> Result<()> {
        // Best effort, as the spec has it: without a reading there is nothing to compare.
        let Ok(Some(Some(usage))) = read::number(&group.path().join("memory.current")) else { return Ok(()) };
        let limits = [("memory.swap", "memory+swap", self.swap), ("memory.limit", "memory", self.limit)];
        for (field, word, value) in limits {
            if let Some(value) = value.and_then(|v| u64::try_from(v).ok()).filter(|v| *v <= usage) {
                let reason = format!(
                    "rejecting {word} limit {value}: not above the {usage} bytes in use, and checkBeforeUpdate is set"
                );
                return Err(invalid(field, reason));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::resources::tests::{left_out, pair, planned, refused};

    #[test]
    fn swap_is_without_memory() {
        let both = |swap| planned(&format!(r#"{{"memory":{{"limit":100,"swap":{swap}}}}}"#));
        assert_eq!(both(300), [pair("memory.swap.max", "200"), pair("memory.max", "100")]);
        assert_eq!(both(100), [pair("memory.swap.max", "0"), pair("memory.max", "100")]);
        assert_eq!(both(-1), [pair("memory.swap.max", "max"), pair("memory.max", "100")]);
        assert_eq!(both(0), [pair("memory.max", "100")]);
    }

    #[test]
    fn unlimited_memory() {
        assert_eq!(
            planned(r#"{"memory":{"limit":-1}}"#),
            [pair("memory.swap.max", "max"), pair("memory.max", "max")]
        );
        assert_eq!(
            planned(r#"{"memory":{"limit":-1,"swap":5}}"#),
            [pair("memory.swap.max", "5"), pair("memory.max", "max")]
        );
        assert_eq!(planned(r#"{"memory":{"swap":-1}}"#), [pair("memory.swap.max", "max")]);
    }

    #[test]
    fn reservation_is_low() {
        assert_eq!(planned(r#"{"memory":{"reservation":4096}}"#), [pair("memory.low", "4096")]);
    }

    #[test]
    fn impossible_values() {
        assert!(refused(r#"{"memory":{"limit":100,"swap":99}}"#).contains("less than memory.limit 100"));
        assert!(refused(r#"{"memory":{"swap":99}}"#).contains("needs memory.limit"));
        assert!(refused(r#"{"memory":{"limit":-2}}"#).contains("linux.resources.memory.limit: -2"));
    }

    #[test]
    fn fields_of_v1_are_told() {
        let json = r#"{"memory":{"kernel":1,"kernelTCP":1,"swappiness":60,"disableOOMKiller":true}}"#;
        assert_eq!(left_out(json).len(), 4);
        assert!(left_out(r#"{"memory":{"disableOOMKiller":false,"kernel":0}}"#).is_empty());
    }
}
