//! Requests and limits as cgroup settings, by the kubelet's rules.

use husk_cri_api as cri;

use crate::manifest::pod::Resources;
use crate::manifest::quantity::Quantity;

/// Period of the CPU quota, in µs.
const PERIOD: i64 = 100_000;
/// The kernel refuses a smaller quota, in µs.
const MIN_QUOTA: i64 = 1000;
/// cgroup v1's scale, in which CRI speaks: 1024 shares are one CPU, 2 the least.
const SHARES_PER_CPU: i64 = 1024;
const MIN_SHARES: i64 = 2;

/// LinuxContainerResources of one container.
pub fn of(resources: &Resources) -> cri::LinuxContainerResources {
    let limit = |name: &str| resources.limits.get(name).copied();
    let request = |name: &str| resources.requests.get(name).copied().or(limit(name));
    let memory = limit("memory").map_or(0, Quantity::units);
    let shares = request("cpu").map_or(MIN_SHARES, |cpu| cpu.milli().saturating_mul(SHARES_PER_CPU) / 1000);
    cri::LinuxContainerResources {
        cpu_period: limit("cpu").map_or(0, |_| PERIOD),
        cpu_quota: limit("cpu").map_or(0, |cpu| (cpu.milli().saturating_mul(PERIOD) / 1000).max(MIN_QUOTA)),
        cpu_shares: shares.max(MIN_SHARES),
        memory_limit_in_bytes: memory,
        // Memory and swap together: with this there is none of the latter.
        memory_swap_limit_in_bytes: memory,
        oom_score_adj: oom_score_adj(resources),
        hugepage_limits: resources.limits.iter().filter_map(hugepages).collect(),
        ..cri::LinuxContainerResources::default()
    }
}

/// By quality of service: what keeps its promises is killed last, what promises nothing first.
fn oom_score_adj(resources: &Resources) -> i64 {
    let limits = ["cpu", "memory"].map(|name| resources.limits.get(name));
    let kept =
        |name: &str| resources.requests.get(name).is_none_or(|r| resources.limits.get(name) == Some(r));
    match limits {
        [Some(_), Some(_)] if kept("cpu") && kept("memory") => -997,
        [None, None] if resources.requests.is_empty() => 1000,
        // The kubelet scales by the node's memory; between the extremes is what matters here.
        _ => 999,
    }
}

/// `hugepages-2Mi: 64Mi` as page size `2MB` and bytes.
fn hugepages((name, limit): (&String, &Quantity)) -> Option<cri::HugepageLimit> {
    let size = name.strip_prefix("hugepages-")?.strip_suffix('i')?;
    Some(cri::HugepageLimit { page_size: format!("{size}B"), limit: u64::try_from(limit.units()).ok()? })
}

#[cfg(test)]
mod tests {
    use super::super::tests::plan;
    use super::*;

    fn seen(resources: &str) -> cri::LinuxContainerResources {
        let spec = format!("  containers:\n  - {{name: c, image: x, resources: {resources}}}\n");
        plan(&spec).containers.remove(0).config.linux.unwrap().resources.unwrap()
    }

    #[test]
    fn cpu_and_memory() {
        let r = seen("{limits: {cpu: 500m, memory: 64Mi}, requests: {cpu: 0.25}}");
        assert_eq!((r.cpu_quota, r.cpu_period, r.cpu_shares), (50_000, 100_000, 256));
        assert_eq!((r.memory_limit_in_bytes, r.memory_swap_limit_in_bytes), (64 << 20, 64 << 20));
        let none = seen("{}");
        assert_eq!(
            (none.cpu_quota, none.cpu_period, none.cpu_shares, none.memory_limit_in_bytes),
            (0, 0, 2, 0)
        );
        assert_eq!(seen("{limits: {cpu: 1m}}").cpu_quota, 1000);
    }

    #[test]
    fn quality_of_service() {
        assert_eq!(seen("{limits: {cpu: 1, memory: 1Gi}}").oom_score_adj, -997);
        assert_eq!(seen("{limits: {cpu: 1, memory: 1Gi}, requests: {cpu: 100m}}").oom_score_adj, 999);
        assert_eq!(seen("{}").oom_score_adj, 1000);
    }

    #[test]
    fn huge_pages() {
        let limits = seen("{limits: {hugepages-2Mi: 64Mi}}").hugepage_limits;
        assert_eq!(limits, [cri::HugepageLimit { page_size: "2MB".into(), limit: 64 << 20 }]);
    }
}
