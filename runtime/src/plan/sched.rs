//! Scheduling: scheduler, IO priority, CPU affinity, personality, memory policy.

use super::{Error, Result};
use husk_sys::sched::Attributes;
use oci_spec::runtime::{
    IOPriorityClass, LinuxIOPriority, LinuxMemoryPolicy, LinuxPersonality, LinuxPersonalityDomain,
    LinuxSchedulerFlag as Flag, LinuxSchedulerPolicy as Policy, MemoryPolicyFlagType, MemoryPolicyModeType,
    Scheduler,
};

/// Scheduling of the process; what is none is left as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sched {
    /// Policy and its parameters.
    pub scheduler: Option<Attributes>,
    /// IO class and level.
    pub io_priority: Option<(u32, u32)>,
    /// CPUs that an exec's process has at first, on entering the cgroup.
    pub cpus_initial: Option<Vec<usize>>,
    /// CPUs that it has in the end.
    pub cpus_final: Option<Vec<usize>>,
    /// Execution domain.
    pub personality: Option<u32>,
    /// Memory policy with its flags, and nodes.
    pub memory_policy: Option<(i32, Vec<u32>)>,
}

/// `process.scheduler`.
pub fn scheduler(scheduler: &Scheduler) -> Result<Attributes> {
    let at = |field: &str| format!("process.scheduler.{field}");
    let policy = match scheduler.policy() {
        Policy::SchedOther => 0,
        Policy::SchedFifo => 1,
        Policy::SchedRr => 2,
        Policy::SchedBatch => 3,
        Policy::SchedIso => 4,
        Policy::SchedIdle => 5,
        Policy::SchedDeadline => 6,
    };
    let nice = scheduler.nice().unwrap_or(0);
    if !(-20..=19).contains(&nice) {
        return Err(Error::new(at("nice"), format!("{nice} is not between -20 and 19")));
    }
    let priority = scheduler.priority().unwrap_or(0);
    let real_time = matches!(scheduler.policy(), Policy::SchedFifo | Policy::SchedRr);
    if real_time && !(1..=99).contains(&priority) {
        let problem = format!("{priority} is not between 1 and 99, as {} needs", scheduler.policy());
        return Err(Error::new(at("priority"), problem));
    }
    if priority != 0 && !real_time {
        return Err(Error::new(at("priority"), "is for SCHED_FIFO and SCHED_RR only"));
    }
    let times = [scheduler.runtime(), scheduler.deadline(), scheduler.period()];
    if policy == 6 {
        deadline(times.map(|time| time.unwrap_or_default()))?;
    } else if times.iter().any(|value| value.is_some_and(|value| value != 0)) {
        return Err(Error::new(at("runtime"), "runtime, deadline and period are for SCHED_DEADLINE only"));
    }
    let flags = scheduler.flags().iter().flatten().fold(0, |flags, flag| {
        flags
            | match flag {
                Flag::SchedResetOnFork => 0x01,
                Flag::SchedFlagReclaim => 0x02,
                Flag::SchedFlagDLOverrun => 0x04,
                Flag::SchedFlagKeepPolicy => 0x08,
                Flag::SchedFlagKeepParams => 0x10,
                Flag::SchedFlagUtilClampMin => 0x20,
                Flag::SchedFlagUtilClampMax => 0x40,
            }
    });
    Ok(Attributes {
        size: 0,
        policy,
        flags,
        nice,
        priority: u32::try_from(priority)
            .map_err(|_| Error::new(at("priority"), format!("{priority} is below 0")))?,
        runtime: scheduler.runtime().unwrap_or(0),
        deadline: scheduler.deadline().unwrap_or(0),
        period: scheduler.period().unwrap_or(0),
    })
}

/// What sched(7) asks of SCHED_DEADLINE: 1024 ns <= runtime <= deadline <= period, where a period of 0 is the deadline. The
/// kernel says EINVAL to each alike.
fn deadline([runtime, deadline, period]: [u64; 3]) -> Result<()> {
    let wrong = |field: &str, problem: String| Err(Error::new(format!("process.scheduler.{field}"), problem));
    if runtime < 1024 {
        return wrong("runtime", format!("{runtime} ns is too little: SCHED_DEADLINE needs at least 1024"));
    }
    if deadline == 0 {
        return wrong("deadline", "is missing: SCHED_DEADLINE needs runtime and deadline".into());
    }
    if runtime > deadline {
        return wrong("runtime", format!("{runtime} must be <= deadline, which is {deadline}"));
    }
    if period != 0 && deadline > period {
        return wrong("deadline", format!("{deadline} must be <= period, which is {period}"));
    }
    Ok(())
}

/// `process.ioPriority`.
pub fn io_priority(priority: &LinuxIOPriority) -> Result<(u32, u32)> {
    let class = match priority.class() {
        IOPriorityClass::IoprioClassRt => 1,
        IOPriorityClass::IoprioClassBe => 2,
        IOPriorityClass::IoprioClassIdle => 3,
    };
    match u32::try_from(priority.priority()) {
        Ok(level) if level <= 7 => Ok((class, level)),
        _ => {
            let problem = format!("{} is not between 0 and 7", priority.priority());
            Err(Error::new("process.ioPriority.priority", problem))
        }
    }
}

/// A list such as `0-3,7`.
pub fn number_list(path: &str, list: &str, max: usize) -> Result<Vec<usize>> {
    let wrong = || Error::new(path, format!("{list:?} is not a list such as 0-3,7 of numbers up to {max}"));
    let mut numbers = Vec::new();
    for part in list.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let first: usize = first.trim().parse().map_err(|_| wrong())?;
        let last: usize = last.trim().parse().map_err(|_| wrong())?;
        if first > last || last > max {
            return Err(wrong());
        }
        numbers.extend(first..=last);
    }
    Ok(numbers)
}

/// `linux.personality`.
pub fn personality(personality: &LinuxPersonality) -> Result<u32> {
    if personality.flags().as_ref().is_some_and(|flags| !flags.is_empty()) {
        return Err(Error::new("linux.personality.flags", "must be empty: the specification defines none"));
    }
    Ok(match personality.domain() {
        LinuxPersonalityDomain::PerLinux => 0,
        LinuxPersonalityDomain::PerLinux32 => 8,
    })
}

/// `linux.memoryPolicy`.
pub fn memory_policy(policy: &LinuxMemoryPolicy) -> Result<(i32, Vec<u32>)> {
    use MemoryPolicyModeType as Mode;
    let mode = match policy.mode() {
        Mode::MpolDefault => 0,
        Mode::MpolPreferred => 1,
        Mode::MpolBind => 2,
        Mode::MpolInterleave => 3,
        Mode::MpolLocal => 4,
        Mode::MpolPreferredMany => 5,
        Mode::MpolWeightedInterleave => 6,
    };
    let flags = policy.flags().iter().flatten().fold(0, |flags, flag| {
        flags
            | match flag {
                MemoryPolicyFlagType::MpolFNumaBalancing => 1 << 13,
                MemoryPolicyFlagType::MpolFRelativeNodes => 1 << 14,
                MemoryPolicyFlagType::MpolFStaticNodes => 1 << 15,
            }
    });
    let nodes = match policy.nodes().as_deref().filter(|nodes| !nodes.is_empty()) {
        // MAX_NUMNODES of common kernels
        Some(nodes) => number_list("linux.memoryPolicy.nodes", nodes, 1023)?,
        None => Vec::new(),
    };
    if nodes.is_empty()
        && matches!(policy.mode(), Mode::MpolBind | Mode::MpolInterleave | Mode::MpolPreferredMany)
    {
        let problem = format!("is missing: {} needs nodes", policy.mode());
        return Err(Error::new("linux.memoryPolicy.nodes", problem));
    }
    if !nodes.is_empty() && matches!(policy.mode(), Mode::MpolDefault | Mode::MpolLocal) {
        let problem = format!("must be empty: {} takes no nodes, not {}", policy.mode(), nodes.len());
        return Err(Error::new("linux.memoryPolicy.nodes", problem));
    }
    Ok((mode | flags, nodes.into_iter().map(|node| node as u32).collect()))
}

#[cfg(test)]
mod tests {
    use super::{io_priority, memory_policy, number_list, scheduler};

    #[test]
    fn lists() {
        assert_eq!(number_list("x", "0-2,5", 10).unwrap(), [0, 1, 2, 5]);
        for bad in ["", "a", "3-1", "11", "1,,2", "-1"] {
            assert!(number_list("x", bad, 10).is_err(), "{bad}");
        }
    }

    #[test]
    fn deadlines_are_checked_before_the_kernel_is_asked() {
        let sched = |times: &str| {
            scheduler(&serde_json::from_str(&format!(r#"{{"policy":"SCHED_DEADLINE"{times}}}"#)).unwrap())
        };
        for times in
            [r#","runtime":1024,"deadline":1024"#, r#","runtime":2000,"deadline":3000,"period":3000"#]
        {
            assert_eq!(sched(times).unwrap().policy, 6, "{times}");
        }
        for (times, field) in [
            ("", "runtime"),
            (r#","runtime":0,"deadline":9000"#, "runtime"),
            (r#","runtime":1023,"deadline":9000"#, "runtime"),
            (r#","runtime":5000,"period":9000"#, "deadline"),
            (r#","runtime":5000,"deadline":4000,"period":9000"#, "runtime"),
            (r#","runtime":5000,"deadline":9500,"period":9000"#, "deadline"),
        ] {
            assert_eq!(sched(times).unwrap_err().path, format!("process.scheduler.{field}"), "{times}");
        }
    }

    #[test]
    fn contradictions_are_refused() {
        let sched = |json: &str| scheduler(&serde_json::from_str(json).unwrap());
        assert_eq!(sched(r#"{"policy":"SCHED_BATCH","nice":5}"#).unwrap().nice, 5);
        assert_eq!(sched(r#"{"policy":"SCHED_RR","priority":1}"#).unwrap().policy, 2);
        assert!(sched(r#"{"policy":"SCHED_OTHER","priority":1}"#).is_err());
        assert!(sched(r#"{"policy":"SCHED_OTHER","nice":20}"#).is_err());
        assert!(sched(r#"{"policy":"SCHED_FIFO","priority":1,"runtime":7}"#).is_err());
        for (priority, valid) in [(0, false), (1, true), (99, true), (100, false), (-1, false)] {
            let json = format!(r#"{{"policy":"SCHED_RR","priority":{priority}}}"#);
            assert_eq!(sched(&json).is_ok(), valid, "{priority}");
        }
        assert!(
            io_priority(&serde_json::from_str(r#"{"class":"IOPRIO_CLASS_BE","priority":8}"#).unwrap())
                .is_err()
        );
        for policy in [r#"{"mode":"MPOL_BIND"}"#, r#"{"mode":"MPOL_DEFAULT","nodes":"0-1"}"#] {
            let error = memory_policy(&serde_json::from_str(policy).unwrap()).unwrap_err();
            assert_eq!(error.path, "linux.memoryPolicy.nodes", "{policy}");
        }
    }
}
