//! Statistics in the form in which runc shows them: the names of cgroup v1, whatever the host has.

use husk_cgroup::Stats;
use husk_cgroup::stats::{Cpu, IoDevice, Memory, Pressure};
use serde::Serialize;
use std::collections::BTreeMap;

/// The `data` of a `stats` event (runc's `types.Stats`).
#[derive(Debug, Serialize)]
pub struct Shown {
    cpu: ShownCpu,
    cpuset: Cpuset,
    memory: ShownMemory,
    pids: ShownPids,
    blkio: Blkio,
    hugetlb: BTreeMap<String, ShownHugetlb>,
    intel_rdt: Nothing,
    /// runc knows interfaces that it made itself, and makes none any more.
    network_interfaces: Option<Vec<Nothing>>,
}

#[derive(Debug, Serialize)]
struct Nothing {}

#[derive(Debug, Serialize)]
struct ShownCpu {
    usage: Usage,
    throttling: Throttling,
    #[serde(skip_serializing_if = "Option::is_none")]
    psi: Option<Pressure>,
}

/// Nanoseconds.
#[derive(Debug, Serialize)]
struct Usage {
    total: u64,
    kernel: u64,
    user: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Throttling {
    periods: u64,
    throttled_periods: u64,
    /// Nanoseconds.
    throttled_time: u64,
}

/// Flags of cgroup v1 that v2 does not have: always 0, but readers may insist on the keys.
#[derive(Debug, Default, Serialize)]
struct Cpuset {
    cpu_exclusive: u64,
    mem_hardwall: u64,
    mem_exclusive: u64,
    memory_migrate: u64,
    memory_spread_page: u64,
    memory_spread_slab: u64,
    memory_pressure: u64,
    sched_load_balance: u64,
    sched_relax_domain_level: i64,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownMemory {
    cache: u64,
    usage: Entry,
    swap: Entry,
    kernel: Entry,
    #[serde(rename = "kernelTCP")]
    kernel_tcp: Entry,
    raw: BTreeMap<String, u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    psi: Option<Pressure>,
}

#[derive(Debug, Default, Serialize)]
struct Entry {
    /// No limit is the greatest number.
    limit: u64,
    usage: u64,
    max: u64,
    failcnt: u64,
}

#[derive(Debug, Default, Serialize)]
struct ShownPids {
    current: u64,
    /// No limit is 0.
    limit: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Blkio {
    io_service_bytes_recursive: Vec<Operation>,
    io_serviced_recursive: Vec<Operation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    psi: Option<Pressure>,
}

#[derive(Debug, Serialize)]
struct Operation {
    major: u32,
    minor: u32,
    op: &'static str,
    value: u64,
}

#[derive(Debug, Serialize)]
struct ShownHugetlb {
    usage: u64,
    failcnt: u64,
}

impl From<&Stats> for Shown {
    fn from(stats: &Stats) -> Self {
        let cpu = stats.cpu.unwrap_or_default();
        let pids = stats.pids.unwrap_or_default();
        let io = stats.io.as_deref().unwrap_or_default();
        let hugetlb = stats.hugetlb.iter();
        Self {
            cpu: shown_cpu(&cpu, stats.cpu_pressure),
            cpuset: Cpuset::default(),
            memory: stats.memory.as_ref().map(|m| shown_memory(m, stats.memory_pressure)).unwrap_or_default(),
            pids: ShownPids { current: pids.current, limit: pids.limit.unwrap_or(0) },
            blkio: Blkio {
                io_service_bytes_recursive: operations(io, |d| d.rbytes, |d| d.wbytes),
                io_serviced_recursive: operations(io, |d| d.rios, |d| d.wios),
                psi: stats.io_pressure,
            },
            hugetlb: hugetlb
                .map(|(size, h)| (size.clone(), ShownHugetlb { usage: h.current, failcnt: h.hits }))
                .collect(),
            intel_rdt: Nothing {},
            network_interfaces: None,
        }
    }
}

fn shown_cpu(cpu: &Cpu, psi: Option<Pressure>) -> ShownCpu {
    ShownCpu {
        usage: Usage {
            total: cpu.usage_usec * 1000,
            kernel: cpu.system_usec * 1000,
            user: cpu.user_usec * 1000,
        },
        throttling: Throttling {
            periods: cpu.nr_periods,
            throttled_periods: cpu.nr_throttled,
            throttled_time: cpu.throttled_usec * 1000,
        },
        psi,
    }
}

/// Swap is memory and swap together, as on cgroup v1.
fn shown_memory(memory: &Memory, psi: Option<Pressure>) -> ShownMemory {
    let limit = memory.limit.unwrap_or(u64::MAX);
    let swap_limit = memory.swap_limit.map_or(u64::MAX, |swap| swap.saturating_add(limit));
    ShownMemory {
        cache: memory.stat.get("file").copied().unwrap_or(0),
        usage: Entry {
            limit,
            usage: memory.current,
            max: memory.peak.unwrap_or(0),
            failcnt: memory.events.max,
        },
        swap: Entry {
            limit: swap_limit,
            usage: memory.current + memory.swap_current.unwrap_or(0),
            ..Entry::default()
        },
        raw: memory.stat.clone(),
        psi,
        ..ShownMemory::default()
    }
}

fn operations(
    devices: &[IoDevice],
    read: fn(&IoDevice) -> u64,
    write: fn(&IoDevice) -> u64,
) -> Vec<Operation> {
    let of = |device: &IoDevice| {
        let (major, minor) = (device.major, device.minor);
        [("Read", read(device)), ("Write", write(device))].map(|(op, value)| Operation {
            major,
            minor,
            op,
            value,
        })
    };
    devices.iter().flat_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_and_names_of_runc() {
        let stats = Stats {
            cpu: Some(Cpu { usage_usec: 5, system_usec: 2, user_usec: 3, nr_throttled: 7, ..Cpu::default() }),
            memory: Some(Memory {
                current: 10,
                swap_current: Some(4),
                limit: Some(100),
                ..Memory::default()
            }),
            io: Some(vec![IoDevice { major: 8, rbytes: 11, ..IoDevice::default() }]),
            ..Stats::default()
        };
        let json = serde_json::to_value(Shown::from(&stats)).unwrap();
        assert_eq!(json["cpu"]["usage"]["total"], 5000);
        assert_eq!(json["cpu"]["throttling"]["throttledPeriods"], 7);
        assert_eq!(json["memory"]["usage"]["limit"], 100);
        assert_eq!(json["memory"]["swap"]["usage"], 14);
        assert_eq!(json["memory"]["swap"]["limit"], u64::MAX);
        assert_eq!(json["blkio"]["ioServiceBytesRecursive"][0]["value"], 11);
        assert_eq!(json["pids"]["limit"], 0);
        assert!(json["network_interfaces"].is_null());
    }
}
