//! Gathering evidence: what the kernel's counters and log say at the end of a run. To be called before the cgroup goes.

use std::fs;
use std::path::Path;

use husk_cgroup::{Cgroup, MemoryEvents};
use rustix::time::{ClockId, clock_gettime};

use crate::kmsg::{self, Line, OomKill};
use crate::{ExitRecord, OomEvidence, OomScope, OomVictim, PidsMax, Rusage, SeccompEvidence, Throttling};

const SIGSYS: i32 = 31;

/// Counters of a cgroup at the start of a run. All zero ([`Default`]) is right for a cgroup that was made for the run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Baseline {
    memory: MemoryEvents,
    memory_local: MemoryEvents,
    pids_max: u64,
    cpu: CpuStat,
}

impl Baseline {
    /// Reads the counters of the cgroup at `cgroup`, for an exec that joins it. What cannot be read counts as zero.
    pub fn take(cgroup: &Path) -> Baseline {
        let group = Cgroup::open(cgroup);
        Baseline {
            memory: group.memory_events().ok().flatten().unwrap_or_default(),
            memory_local: group.memory_events_local().ok().flatten().unwrap_or_default(),
            pids_max: group.pids_max_hits().ok().flatten().unwrap_or_default(),
            cpu: CpuStat::read(cgroup).unwrap_or_default(),
        }
    }
}

/// Fills in all evidence of `record`, whose `pid`, `started_ns` and `outcome` are set, from the cgroup at `cgroup` (its
/// path in the file system) and the kernel's log.
pub fn gather(record: &mut ExitRecord, cgroup: &Path, since: &Baseline) {
    // systemd removes the group of a scope as soon as its last process has ended, and may be faster than we are.
    if !cgroup.exists() {
        record.gaps.push(
            "the cgroup was gone before it could be read: OOM kills, limits and throttling are not known"
                .into(),
        );
    }
    cpu(record, cgroup, since);
    let group = Cgroup::open(cgroup);
    if let Ok(Some(hits)) = group.pids_max_hits()
        && hits > since.pids_max
    {
        record.pids_max = Some(PidsMax { hits: hits - since.pids_max, limit: number(cgroup, "pids.max") });
    }
    let mut log = Log::NotRead;
    memory(record, cgroup, since, &mut log);
    if record.status().and_then(|s| s.signal()) == Some(SIGSYS) {
        seccomp(record, &mut log);
    }
}

fn cpu(record: &mut ExitRecord, cgroup: &Path, since: &Baseline) {
    let Some(now) = CpuStat::read(cgroup) else { return };
    let rusage = record.rusage.get_or_insert_with(Rusage::default);
    rusage.user_us = now.user_us.saturating_sub(since.cpu.user_us);
    rusage.system_us = now.system_us.saturating_sub(since.cpu.system_us);
    let throttled = now.throttled.saturating_sub(since.cpu.throttled);
    if throttled > 0 {
        record.throttling = Some(Throttling {
            periods: now.periods.saturating_sub(since.cpu.periods),
            throttled,
            throttled_us: now.throttled_us.saturating_sub(since.cpu.throttled_us),
        });
    }
}

fn memory(record: &mut ExitRecord, cgroup: &Path, since: &Baseline, log: &mut Log) {
    let group = Cgroup::open(cgroup);
    let Ok(Some(events)) = group.memory_events() else { return };
    let events = events.since(&since.memory);
    if events.oom_kill == 0 && events.oom_group_kill == 0 {
        return;
    }
    let local = group.memory_events_local().ok().flatten().unwrap_or_default().since(&since.memory_local);
    let mut oom = OomEvidence {
        kills: events.oom_kill,
        group_kills: events.oom_group_kill,
        max_hits: events.max,
        limit: number(cgroup, "memory.max"),
        peak: number(cgroup, "memory.peak"),
        ..OomEvidence::default()
    };
    match log.lines(record) {
        Some(lines) => from_log(&mut oom, lines, record.pid, &name_in_log(cgroup)),
        None => {
            record.gaps.push("/dev/kmsg could not be read: the victim's name and pid are not known".into())
        }
    }
    from_counters(&mut oom, &local, record);
    record.oom = Some(oom);
}

/// What the log says; pids in it are those of the first PID namespace, so only there can init be told from a child.
fn from_log(oom: &mut OomEvidence, lines: &[Line], init: u32, cgroup: &str) {
    let kills: Vec<OomKill> = lines
        .iter()
        .filter_map(|l| kmsg::parse_oom(&l.text))
        .filter(|k| is_within(&k.task_cgroup, cgroup))
        .collect();
    let group = lines.iter().filter_map(|l| kmsg::parse_group_kill(&l.text)).any(|path| {
        // The group that is killed may be the container's or one above it.
        is_within(path, cgroup) && !is_below(path, cgroup)
            || kills.iter().any(|k| is_below(&k.task_cgroup, path))
    });
    let own = in_first_pid_namespace();
    // Of several, init's is the one that ended the run; else the last.
    let Some(kill) = kills.iter().find(|k| own && k.pid == init).or(kills.last()) else { return };
    oom.victim = match (group, own) {
        (true, _) => OomVictim::Group,
        (false, true) if kill.pid == init => OomVictim::Init,
        (false, true) => OomVictim::Child,
        (false, false) => OomVictim::NotKnown,
    };
    oom.scope = match &kill.limit_cgroup {
        None => OomScope::Node,
        Some(limit) if is_within(limit, cgroup) => OomScope::Container,
        Some(_) => OomScope::Parent,
    };
    oom.task = Some(kill.task.clone());
    oom.pid = Some(kill.pid);
    oom.limit_cgroup.clone_from(&kill.limit_cgroup);
    oom.anon_rss = lines
        .iter()
        .filter_map(|l| kmsg::parse_killed(&l.text))
        .find(|(pid, _)| *pid == kill.pid)
        .map(|(_, rss)| rss);
}

/// What the counters prove where the log did not say.
fn from_counters(oom: &mut OomEvidence, local: &MemoryEvents, record: &ExitRecord) {
    if oom.scope == OomScope::NotKnown && local.oom > 0 {
        oom.scope = OomScope::Container;
    }
    if oom.victim != OomVictim::NotKnown {
        return;
    }
    if oom.group_kills > 0 {
        oom.victim = OomVictim::Group;
    } else if record.status().is_some_and(|s| s.code().is_some()) {
        // Init ended by exit(2), so it was another one that was killed.
        oom.victim = OomVictim::Child;
    }
}

fn seccomp(record: &mut ExitRecord, log: &mut Log) {
    let pid = record.pid;
    let found = log.lines(record).and_then(|lines| {
        lines
            .iter()
            .rev()
            .filter_map(|l| kmsg::parse_seccomp(&l.text))
            .find(|k| k.pid == pid && in_first_pid_namespace())
    });
    match found {
        Some(kill) => {
            let name = husk_seccomp::Abi::from_audit(kill.arch, kill.nr).and_then(|abi| abi.name(kill.nr));
            record.seccomp =
                Some(SeccompEvidence { arch: kill.arch, nr: kill.nr, syscall: name.map(String::from) });
        }
        None => record
            .gaps
            .push("the kernel's log does not name the system call (it needs the audit subsystem)".into()),
    }
}

/// The kernel's log since the start of the run, read at most once.
enum Log {
    NotRead,
    Read(Option<Vec<Line>>),
}

impl Log {
    fn lines(&mut self, record: &ExitRecord) -> Option<&[Line]> {
        if let Log::NotRead = self {
            *self = Log::Read(kmsg::read(boot_time_us(record.started_ns)));
        }
        match self {
            Log::Read(lines) => lines.as_deref(),
            Log::NotRead => None,
        }
    }
}

/// Microseconds since boot for a time since the epoch, with a second to spare for clocks that were set meanwhile.
fn boot_time_us(epoch_ns: u64) -> u64 {
    let us = |clock| {
        let t = clock_gettime(clock);
        (t.tv_sec as u64).saturating_mul(1_000_000).saturating_add(t.tv_nsec as u64 / 1000)
    };
    let ago = us(ClockId::Realtime).saturating_sub(epoch_ns / 1000);
    us(ClockId::Monotonic).saturating_sub(ago).saturating_sub(1_000_000)
}

fn in_first_pid_namespace() -> bool {
    // include/linux/proc_ns.h: PROC_PID_INIT_INO
    fs::read_link("/proc/self/ns/pid").is_ok_and(|link| link.as_os_str() == "pid:[4026531836]")
}

/// The path of a cgroup as the log has it, from the hierarchy's root on.
fn name_in_log(cgroup: &Path) -> String {
    let root = husk_cgroup::Hierarchy::detect().map(|h| h.root().to_path_buf()).unwrap_or_default();
    let name = cgroup.strip_prefix(&root).unwrap_or(cgroup);
    format!("/{}", name.to_string_lossy().trim_start_matches('/'))
}

/// `path` is `cgroup` or lies in it. The log has paths from the hierarchy's real root on, `cgroup` may be that of a cgroup
/// namespace: its end is compared.
fn is_within(path: &str, cgroup: &str) -> bool {
    path.ends_with(cgroup) || path.contains(&format!("{cgroup}/"))
}

fn is_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.starts_with('/'))
}

fn number(cgroup: &Path, file: &str) -> Option<u64> {
    fs::read_to_string(cgroup.join(file)).ok()?.trim().parse().ok()
}

/// Numbers of cpu.stat.
#[derive(Clone, Copy, Debug, Default)]
struct CpuStat {
    user_us: u64,
    system_us: u64,
    periods: u64,
    throttled: u64,
    throttled_us: u64,
}

impl CpuStat {
    fn read(cgroup: &Path) -> Option<CpuStat> {
        let text = fs::read_to_string(cgroup.join("cpu.stat")).ok()?;
        let mut stat = CpuStat::default();
        for (key, value) in text.lines().filter_map(|line| line.split_once(' ')) {
            let Ok(value) = value.trim().parse() else { continue };
            match key {
                "user_usec" => stat.user_us = value,
                "system_usec" => stat.system_us = value,
                "nr_periods" => stat.periods = value,
                "nr_throttled" => stat.throttled = value,
                "throttled_usec" => stat.throttled_us = value,
                _ => {}
            }
        }
        Some(stat)
    }
}

#[cfg(test)]
#[path = "gather_tests.rs"]
mod tests;
