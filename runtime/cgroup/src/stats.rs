//! What a group uses: plain numbers from its files. A controller that the group does not have gives None.

mod io;
mod pressure;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Cgroup, MemoryEvents, Result, read};

pub use io::IoDevice;
pub use pressure::{Pressure, Stall};

/// All statistics of a group, taken one file after the other.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    /// CPU time; there without the cpu controller, too.
    pub cpu: Option<Cpu>,
    /// Memory in use.
    pub memory: Option<Memory>,
    /// Number of processes.
    pub pids: Option<Pids>,
    /// Disk traffic, by device.
    pub io: Option<Vec<IoDevice>>,
    /// Huge pages, by size ("2MB").
    pub hugetlb: BTreeMap<String, Hugetlb>,
    /// RDMA objects in use, by device.
    pub rdma: BTreeMap<String, Rdma>,
    /// Time lost waiting for CPU (PSI, Linux 4.20).
    pub cpu_pressure: Option<Pressure>,
    /// Time lost waiting for memory.
    pub memory_pressure: Option<Pressure>,
    /// Time lost waiting for disks.
    pub io_pressure: Option<Pressure>,
}

/// `cpu.stat`. Times in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cpu {
    /// CPU time in all.
    pub usage_usec: u64,
    /// In user mode.
    pub user_usec: u64,
    /// In kernel mode.
    pub system_usec: u64,
    /// Periods of cpu.max that have gone by.
    pub nr_periods: u64,
    /// Those in which the quota ran out.
    pub nr_throttled: u64,
    /// Time that processes had to wait for the next period.
    pub throttled_usec: u64,
    /// Periods in which burst was used.
    pub nr_bursts: u64,
    /// Time above the quota thanks to burst.
    pub burst_usec: u64,
}

/// Memory; bytes. A limit of None is `max`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// memory.current: processes, page cache and kernel memory.
    pub current: u64,
    /// memory.peak (Linux 5.19).
    pub peak: Option<u64>,
    /// memory.max.
    pub limit: Option<u64>,
    /// memory.swap.current; None without swap accounting.
    pub swap_current: Option<u64>,
    /// memory.swap.max.
    pub swap_limit: Option<u64>,
    /// memory.stat, as the kernel names the keys.
    pub stat: BTreeMap<String, u64>,
    /// memory.events.
    pub events: MemoryEvents,
}

impl Memory {
    /// Memory that cannot simply be taken back: without inactive file pages. What the kubelet evicts by.
    pub fn working_set(&self) -> u64 {
        self.current.saturating_sub(self.stat.get("inactive_file").copied().unwrap_or(0))
    }
}

/// Processes and threads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pids {
    /// pids.current.
    pub current: u64,
    /// pids.max; None is no limit.
    pub limit: Option<u64>,
}

/// Huge pages of one size; bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hugetlb {
    /// In use.
    pub current: u64,
    /// Limit; None is no limit.
    pub limit: Option<u64>,
    /// How often the limit was hit.
    pub hits: u64,
}

/// RDMA objects of one device.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rdma {
    /// HCA handles in use.
    pub handles: u32,
    /// HCA objects in use.
    pub objects: u32,
}

impl Cgroup {
    /// Reads all statistics. A group that vanishes meanwhile gives None for what was not read yet.
    pub fn stats(&self) -> Result<Stats> {
        let text = |name: &str| read::optional(&self.path().join(name));
        Ok(Stats {
            cpu: self.cpu()?,
            memory: self.memory()?,
            pids: self.pids_stats()?,
            io: text("io.stat")?.map(|text| io::parse(&text)),
            hugetlb: self.hugetlb()?,
            rdma: text("rdma.current")?.map(|text| parse_rdma(&text)).unwrap_or_default(),
            cpu_pressure: self.pressure("cpu.pressure")?,
            memory_pressure: self.pressure("memory.pressure")?,
            io_pressure: self.pressure("io.pressure")?,
        })
    }

    /// CPU time.
    pub fn cpu(&self) -> Result<Option<Cpu>> {
        Ok(read::optional(&self.path().join("cpu.stat"))?.map(|text| parse_cpu(&text)))
    }

    /// Memory in use, its limits and events.
    pub fn memory(&self) -> Result<Option<Memory>> {
        let number = |name: &str| read::number(&self.path().join(name));
        let Some(current) = number("memory.current")?.flatten() else { return Ok(None) };
        let stat = read::optional(&self.path().join("memory.stat"))?.unwrap_or_default();
        Ok(Some(Memory {
            current,
            peak: number("memory.peak")?.flatten(),
            limit: number("memory.max")?.flatten(),
            swap_current: number("memory.swap.current")?.flatten(),
            swap_limit: number("memory.swap.max")?.flatten(),
            stat: read::flat_keyed(&stat).map(|(key, value)| (key.to_string(), value)).collect(),
            events: self.memory_events()?.unwrap_or_default(),
        }))
    }

    fn pids_stats(&self) -> Result<Option<Pids>> {
        let number = |name: &str| read::number(&self.path().join(name));
        let Some(current) = number("pids.current")?.flatten() else { return Ok(None) };
        Ok(Some(Pids { current, limit: number("pids.max")?.flatten() }))
    }

    /// The sizes are those of the group's files, so that nothing need be known about the host.
    fn hugetlb(&self) -> Result<BTreeMap<String, Hugetlb>> {
        let mut found = BTreeMap::new();
        let Ok(entries) = std::fs::read_dir(self.path()) else { return Ok(found) };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let Some(size) =
                name.to_str().and_then(|name| name.strip_prefix("hugetlb.")?.strip_suffix(".events"))
            else {
                continue;
            };
            let file = |suffix: &str| self.path().join(format!("hugetlb.{size}.{suffix}"));
            let events = read::optional(&file("events"))?.unwrap_or_default();
            let value = Hugetlb {
                current: read::number(&file("current"))?.flatten().unwrap_or(0),
                // A group whose limit was never written reads as the greatest number of pages there is.
                limit: read::number(&file("max"))?.flatten().filter(|limit| *limit < 1 << 62),
                hits: read::flat_keyed(&events).find(|(key, _)| *key == "max").map_or(0, |(_, value)| value),
            };
            found.insert(size.to_string(), value);
        }
        Ok(found)
    }

    fn pressure(&self, name: &str) -> Result<Option<Pressure>> {
        Ok(read::optional(&self.path().join(name))?.and_then(|text| Pressure::parse(&text)))
    }
}

fn parse_cpu(text: &str) -> Cpu {
    let mut out = Cpu::default();
    for (key, value) in read::flat_keyed(text) {
        match key {
            "usage_usec" => out.usage_usec = value,
            "user_usec" => out.user_usec = value,
            "system_usec" => out.system_usec = value,
            "nr_periods" => out.nr_periods = value,
            "nr_throttled" => out.nr_throttled = value,
            "throttled_usec" => out.throttled_usec = value,
            "nr_bursts" => out.nr_bursts = value,
            "burst_usec" => out.burst_usec = value,
            _ => {}
        }
    }
    out
}

/// `mlx4_0 hca_handle=2 hca_object=2000`
fn parse_rdma(text: &str) -> BTreeMap<String, Rdma> {
    let mut found = BTreeMap::new();
    for line in text.lines() {
        let Some((device, values)) = line.split_once(' ') else { continue };
        let value = |wanted: &str| {
            let mut pairs = values.split(' ').filter_map(|pair| pair.split_once('='));
            pairs.find(|(key, _)| *key == wanted).and_then(|(_, value)| value.parse().ok()).unwrap_or(0)
        };
        found.insert(device.to_string(), Rdma { handles: value("hca_handle"), objects: value("hca_object") });
    }
    found
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn files_of_a_group() {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in [
            (
                "cpu.stat",
                "usage_usec 30\nuser_usec 20\nsystem_usec 10\nnr_throttled 2\ncore_sched.force_idle_usec 0\n",
            ),
            ("memory.current", "4096\n"),
            ("memory.max", "max\n"),
            ("memory.stat", "anon 1000\ninactive_file 96\n"),
            ("memory.events", "oom_kill 1\n"),
            ("pids.current", "3\n"),
            ("pids.max", "77\n"),
            ("hugetlb.2MB.events", "max 5\n"),
            ("hugetlb.2MB.current", "2097152\n"),
            ("hugetlb.2MB.max", "max\n"),
            ("rdma.current", "mlx4_0 hca_handle=2 hca_object=2000\n"),
        ] {
            fs::write(dir.path().join(name), text).unwrap();
        }
        let stats = Cgroup::open(dir.path()).stats().unwrap();
        assert_eq!(stats.cpu.unwrap().usage_usec, 30);
        assert_eq!(stats.cpu.unwrap().nr_throttled, 2);
        let memory = stats.memory.unwrap();
        assert_eq!(
            (memory.current, memory.limit, memory.working_set(), memory.events.oom_kill),
            (4096, None, 4000, 1)
        );
        assert_eq!(memory.swap_current, None);
        assert_eq!(stats.pids, Some(Pids { current: 3, limit: Some(77) }));
        assert_eq!(stats.hugetlb["2MB"], Hugetlb { current: 2_097_152, limit: None, hits: 5 });
        assert_eq!(stats.rdma["mlx4_0"], Rdma { handles: 2, objects: 2000 });
        assert_eq!(stats.io, None);
    }

    #[test]
    fn a_group_that_is_gone_has_no_numbers() {
        assert_eq!(Cgroup::open("/nonexistent/group").stats().unwrap(), Stats::default());
    }
}
