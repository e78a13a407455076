//! A cgroup's numbers in the CRI's words. A number that the kernel does not give is left out, never zero.

use std::sync::{Mutex, PoisonError};

use husk_cgroup::Stats;
use husk_cgroup::stats::{Memory, Pressure, Stall};
use husk_cri_api::{CpuUsage, IoUsage, MemoryUsage, ProcessUsage, PsiData, PsiStats, UInt64Value};

/// The last reading of CPU time, for a rate: when (nanoseconds since the epoch), and nanoseconds of CPU.
pub type LastCpu = Mutex<Option<(i64, u64)>>;

/// A number as messages have it.
#[expect(clippy::unnecessary_wraps, reason = "what a message's field takes")]
pub fn value(value: u64) -> Option<UInt64Value> {
    Some(UInt64Value { value })
}

/// CPU time, and its rate since the last reading.
pub fn cpu(stats: &Stats, now: i64, last: &LastCpu) -> CpuUsage {
    let used = stats.cpu.map(|cpu| cpu.usage_usec * 1000);
    let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
    let rate = used.zip(*last).filter(|(used, (then, before))| now > *then && used >= before);
    let rate = rate.map(|(used, (then, before))| {
        let span = u128::from(now.abs_diff(then));
        u64::try_from(u128::from(used - before) * 1_000_000_000 / span).unwrap_or(u64::MAX)
    });
    *last = used.map(|used| (now, used));
    CpuUsage {
        timestamp: now,
        usage_core_nano_seconds: used.and_then(value),
        usage_nano_cores: rate.and_then(value),
        psi: psi(stats.cpu_pressure),
    }
}

/// The working set is what can't be given up easily: all but the file pages that were not used lately.
pub fn memory(stats: &Stats, now: i64) -> MemoryUsage {
    let memory = stats.memory.as_ref();
    let number = |key: &str| memory.and_then(|memory| memory.stat.get(key)).copied().and_then(value);
    let working = memory.map(Memory::working_set);
    let limit = memory.and_then(|memory| memory.limit);
    MemoryUsage {
        timestamp: now,
        working_set_bytes: working.and_then(value),
        available_bytes: limit.zip(working).and_then(|(limit, working)| value(limit.saturating_sub(working))),
        usage_bytes: memory.and_then(|memory| value(memory.current)),
        rss_bytes: number("anon"),
        page_faults: number("pgfault"),
        major_page_faults: number("pgmajfault"),
        psi: psi(stats.memory_pressure),
    }
}

/// Waiting for disks.
pub fn io(stats: &Stats, now: i64) -> IoUsage {
    IoUsage { timestamp: now, psi: psi(stats.io_pressure) }
}

/// Processes.
pub fn processes(stats: &Stats, now: i64) -> ProcessUsage {
    ProcessUsage { timestamp: now, process_count: stats.pids.and_then(|pids| value(pids.current)) }
}

fn psi(pressure: Option<Pressure>) -> Option<PsiStats> {
    // The kernel counts microseconds, the CRI nanoseconds.
    let data = |stall: Stall| PsiData {
        total: stall.total.saturating_mul(1000),
        avg10: stall.avg10,
        avg60: stall.avg60,
        avg300: stall.avg300,
    };
    pressure.map(|pressure| PsiStats { full: Some(data(pressure.full)), some: Some(data(pressure.some)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_over_the_time_since_the_last_reading() {
        let last = LastCpu::default();
        let reading = |usec| Stats {
            cpu: Some(husk_cgroup::stats::Cpu { usage_usec: usec, ..Default::default() }),
            ..Stats::default()
        };
        assert_eq!(cpu(&reading(10), 1_000_000, &last).usage_nano_cores, None);
        let second = cpu(&reading(510), 2_000_000, &last);
        assert_eq!(second.usage_nano_cores, value(500_000_000));
        assert_eq!(second.usage_core_nano_seconds, value(510_000));
        assert_eq!(cpu(&Stats::default(), 3_000_000, &last).usage_core_nano_seconds, None);
    }
}
