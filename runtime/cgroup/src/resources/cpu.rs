//! `linux.resources.cpu`, with its cpuset.

use oci_spec::runtime::LinuxCpu;

use super::{Plan, Setting, invalid};
use crate::Result;

/// The kernel's period where none is given, in microseconds.
const DEFAULT_PERIOD: u64 = 100_000;

pub(super) fn plan(cpu: &LinuxCpu, plan: &mut Plan) -> Result<()> {
    weight(cpu, plan)?;
    bandwidth(cpu, plan);
    cpuset(cpu, plan)?;
    if cpu.realtime_runtime().is_some_and(|v| v != 0) {
        plan.no_equivalent("cpu.realtimeRuntime", "cgroup v2 has no budget for realtime processes");
    }
    if cpu.realtime_period().is_some_and(|v| v != 0) {
        plan.no_equivalent("cpu.realtimePeriod", "cgroup v2 has no budget for realtime processes");
    }
    Ok(())
}

fn weight(cpu: &LinuxCpu, plan: &mut Plan) -> Result<()> {
    let idle = match cpu.idle() {
        None => false,
        Some(idle @ (0 | 1)) => {
            plan.settings.push(Setting::new("cpu", "cpu.idle", "cpu.idle", idle.to_string()));
            idle == 1
        }
        Some(other) => return Err(invalid("cpu.idle", format!("{other} is neither 0 nor 1"))),
    };
    let Some(shares) = cpu.shares().filter(|shares| *shares != 0) else { return Ok(()) };
    if idle {
        // The kernel answers EINVAL: the weight of an idle group is fixed.
        plan.no_equivalent("cpu.shares", "the group is idle (cpu.idle 1), and an idle group has no weight");
    } else {
        plan.settings.push(Setting::new(
            "cpu",
            "cpu.shares",
            "cpu.weight",
            weight_of_shares(shares).to_string(),
        ));
    }
    Ok(())
}

/// CPU shares of v1 (2 to 262144, usually 1024) as a weight of v2 (1 to 10000, usually 100).
///
/// The curve of runc 1.3.2 and crun 1.23 on, log10(weight) = (l² + 125·l) / 612 − 7/34 with l = log2(shares), goes
/// through both ends and through 1024 → 100. The straight line used before made 39 of 1024, so that a container was
/// worth less than the host's own services.
pub fn weight_of_shares(shares: u64) -> u64 {
    match shares {
        0..=2 => 1,
        262_144.. => 10_000,
        _ => {
            let l = (shares as f64).log2();
            let exponent = (l * l + 125.0 * l) / 612.0 - 7.0 / 34.0;
            (10f64.powf(exponent).ceil() as u64).clamp(1, 10_000)
        }
    }
}

fn bandwidth(cpu: &LinuxCpu, plan: &mut Plan) {
    if let Some(burst) = cpu.burst() {
        // A burst above the old quota is refused until the new quota is written; a new quota below the old burst is
        // refused until the new burst is written. So: burst, quota, burst again if it failed.
        let mut setting = Setting::new("cpu", "cpu.burst", "cpu.max.burst", burst.to_string())
            .harmless_if_missing(burst == 0);
        setting.again = true;
        plan.settings.push(setting);
    }
    let (quota, period) = (cpu.quota().filter(|q| *q != 0), cpu.period().filter(|p| *p != 0));
    if quota.is_none() && period.is_none() {
        return;
    }
    let limit = quota.filter(|q| *q > 0).map_or_else(|| "max".to_string(), |q| q.to_string());
    let field = if quota.is_some() { "cpu.quota" } else { "cpu.period" };
    let value = format!("{limit} {}", period.unwrap_or(DEFAULT_PERIOD));
    plan.settings.push(Setting::new("cpu", field, "cpu.max", value).harmless_if_missing(limit == "max"));
}

fn cpuset(cpu: &LinuxCpu, plan: &mut Plan) -> Result<()> {
    let sets = [("cpu.cpus", "cpuset.cpus", cpu.cpus()), ("cpu.mems", "cpuset.mems", cpu.mems())];
    for (field, file, list) in sets {
        // Empty is "inherit", which is what a new group does.
        let Some(list) = list.as_deref().map(str::trim).filter(|list| !list.is_empty()) else { continue };
        if !is_list(list) {
            return Err(invalid(field, format!("{list:?} is not a list like 0-3,7")));
        }
        plan.settings.push(Setting::new("cpuset", field, file, list));
    }
    Ok(())
}

/// cpuset(7), "List format": numbers and ranges, joined by commas.
fn is_list(text: &str) -> bool {
    text.split(',').all(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        // `0-31:2/16` (every 16th group of 2) is allowed by the kernel.
        let last = last.split(':').next().unwrap_or(last);
        match (first.trim().parse::<u32>(), last.trim().parse::<u32>()) {
            (Ok(first), Ok(last)) => first <= last,
            _ => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{is_list, weight_of_shares};
    use crate::resources::tests::{left_out, pair, planned, refused};

    #[test]
    fn weights_of_well_known_shares() {
        // Values of runc 1.5 and crun for the same input.
        for (shares, weight) in [(2, 1), (1024, 100), (262_144, 10_000), (1 << 40, 10_000), (1, 1)] {
            assert_eq!(weight_of_shares(shares), weight, "{shares}");
        }
        assert_eq!(planned(r#"{"cpu":{"shares":1024}}"#), [pair("cpu.weight", "100")]);
        assert_eq!(planned(r#"{"cpu":{"shares":0}}"#), []);
    }

    proptest! {
        #[test]
        fn more_shares_never_weigh_less(a in 0u64..300_000, b in 0u64..300_000) {
            let (low, high) = (a.min(b), a.max(b));
            prop_assert!(weight_of_shares(low) <= weight_of_shares(high));
            prop_assert!((1..=10_000).contains(&weight_of_shares(a)));
        }
    }

    #[test]
    fn quota_and_period() {
        assert_eq!(planned(r#"{"cpu":{"quota":50000,"period":200000}}"#), [pair("cpu.max", "50000 200000")]);
        assert_eq!(planned(r#"{"cpu":{"quota":50000}}"#), [pair("cpu.max", "50000 100000")]);
        assert_eq!(planned(r#"{"cpu":{"quota":-1,"period":50000}}"#), [pair("cpu.max", "max 50000")]);
        assert_eq!(planned(r#"{"cpu":{"period":50000}}"#), [pair("cpu.max", "max 50000")]);
        assert_eq!(planned(r#"{"cpu":{"quota":0,"period":0}}"#), []);
    }

    #[test]
    fn burst_and_idle() {
        assert_eq!(
            planned(r#"{"cpu":{"quota":50000,"burst":10000}}"#),
            [pair("cpu.max.burst", "10000"), pair("cpu.max", "50000 100000")]
        );
        assert_eq!(planned(r#"{"cpu":{"idle":1,"shares":512}}"#), [pair("cpu.idle", "1")]);
        assert_eq!(left_out(r#"{"cpu":{"idle":1,"shares":512}}"#), ["linux.resources.cpu.shares"]);
        assert!(refused(r#"{"cpu":{"idle":2}}"#).contains("cpu.idle"));
    }

    #[test]
    fn cpusets() {
        let json = r#"{"cpu":{"cpus":"0-1","mems":"0"}}"#;
        assert_eq!(planned(json), [pair("cpuset.cpus", "0-1"), pair("cpuset.mems", "0")]);
        assert_eq!(planned(r#"{"cpu":{"cpus":""}}"#), []);
        assert!(refused(r#"{"cpu":{"cpus":"all"}}"#).contains("linux.resources.cpu.cpus"));
        for good in ["0", "0-3", "0,2-4,7", "0-31:2/16"] {
            assert!(is_list(good), "{good}");
        }
        for bad in ["", "3-0", "0,,1", "-1", "a", "0-"] {
            assert!(!is_list(bad), "{bad}");
        }
    }

    #[test]
    fn realtime_is_told() {
        assert_eq!(left_out(r#"{"cpu":{"realtimeRuntime":5,"realtimePeriod":9}}"#).len(), 2);
    }
}
