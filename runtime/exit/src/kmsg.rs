//! What the kernel's log says about kills: OOM victims and seccomp.
//!
//! Lines are taken from the kernel's own facility alone, so that a process which may write to /dev/kmsg cannot forge them.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;

/// A line of the kernel's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Microseconds since boot (CLOCK_MONOTONIC).
    pub at_us: u64,
    /// The text, without continuation.
    pub text: String,
}

/// A kill as the kernel's `oom-kill:` line tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OomKill {
    /// The machine as a whole had no memory left: no cgroup's limit fired.
    pub global: bool,
    /// Cgroup whose limit fired.
    pub limit_cgroup: Option<String>,
    /// Cgroup of the victim.
    pub task_cgroup: String,
    /// Name of the victim.
    pub task: String,
    /// Its pid in the first PID namespace.
    pub pid: u32,
}

/// A kill as the audit line of seccomp tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeccompKill {
    /// Pid in the first PID namespace.
    pub pid: u32,
    /// AUDIT_ARCH_*.
    pub arch: u32,
    /// System call number.
    pub nr: u32,
}

/// What the lines that matter here contain. The log has thousands of others, and a shim has a quarter of a MiB.
const MARKS: [&str; 4] = ["oom-kill:", "illed process ", "memory.oom.group", "type=1326 "];

/// The lines of the kernel's log about kills that are not older than `since_us`; `None` where it cannot be read.
pub fn read(since_us: u64) -> Option<Vec<Line>> {
    let mut file = OpenOptions::new()
        .read(true)
        .custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32)
        .open("/dev/kmsg")
        .ok()?;
    let mut lines = Vec::new();
    // Larger than any record: a smaller buffer gets EINVAL (dev-kmsg in Documentation/ABI).
    let mut buffer = [0; 8192];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Some(lines),
            Ok(n) => {
                lines.extend(parse_record(&buffer[..n]).filter(|line| {
                    line.at_us >= since_us && MARKS.iter().any(|mark| line.text.contains(mark))
                }))
            }
            // A record was overwritten while it was to be read; the next read gives the oldest that is there.
            Err(e) if e.raw_os_error() == Some(rustix::io::Errno::PIPE.raw_os_error()) => {}
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Some(lines),
            Err(_) => return None,
        }
    }
}

/// `6,1234,5678901,-;text\n KEY=value\n`: priority and facility, sequence, time, flags, text.
pub fn parse_record(bytes: &[u8]) -> Option<Line> {
    let record = String::from_utf8_lossy(bytes);
    let (head, rest) = record.split_once(';')?;
    let mut fields = head.split(',');
    let priority: u32 = fields.next()?.parse().ok()?;
    // syslog(3): the three low bits are the level, the rest is the facility; 0 is the kernel and user space cannot use it.
    if priority >> 3 != 0 {
        return None;
    }
    let at_us = fields.nth(1)?.parse().ok()?;
    let text = rest.lines().next().unwrap_or_default().to_owned();
    Some(Line { at_us, text })
}

/// `oom-kill:constraint=…,oom_memcg=/a,task_memcg=/a/b,task=name,pid=1,uid=0` (mm/oom_kill.c, mm/memcontrol.c).
pub fn parse_oom(text: &str) -> Option<OomKill> {
    /// TASK_COMM_LEN without its end.
    const NAME_MAX: usize = 15;
    let text = text.strip_prefix("oom-kill:")?;
    // From the end: a program may call itself `x,pid=1,uid=0`.
    let (text, _uid) = text.rsplit_once(",uid=")?;
    let (text, pid) = text.rsplit_once(",pid=")?;
    let pid = pid.parse().ok()?;
    // And a cgroup may be named `x,task=y`: the name is the rest from the first place on that leaves it short enough.
    let (at, _) =
        text.match_indices(",task=").find(|(at, mark)| text.len() - at - mark.len() <= 4 * NAME_MAX)?;
    let (text, task) = (&text[..at], &text[at + ",task=".len()..]);
    let (text, task_cgroup) = text.split_once(",task_memcg=")?;
    let limit_cgroup = text.split_once(",oom_memcg=").map(|(_, path)| path.to_owned());
    Some(OomKill {
        global: limit_cgroup.is_none(),
        limit_cgroup,
        task_cgroup: task_cgroup.into(),
        task: task.into(),
        pid,
    })
}

/// `Tasks in /a/b are going to be killed due to memory.oom.group set`: the cgroup.
pub fn parse_group_kill(text: &str) -> Option<&str> {
    text.strip_prefix("Tasks in ")?.strip_suffix(" are going to be killed due to memory.oom.group set")
}

/// `Memory cgroup out of memory: Killed process 12 (name) total-vm:1kB, anon-rss:2kB, …`: pid and anon-rss in bytes.
pub fn parse_killed(text: &str) -> Option<(u32, u64)> {
    let (_, rest) = text.split_once("illed process ")?;
    let (pid, rest) = rest.split_once(' ')?;
    // The name stands in between and may hold anything; the sizes follow it.
    let (_, rss) = rest.rsplit_once("anon-rss:")?;
    let (kib, _) = rss.split_once("kB")?;
    Some((pid.parse().ok()?, kib.parse::<u64>().ok()?.checked_mul(1024)?))
}

/// `audit: type=1326 audit(…): … pid=12 comm="x" exe="/x" sig=31 arch=c000003e syscall=101 …` (kernel/auditsc.c). Names
/// with blanks or quotes are written in hex there, so fields can be told by blanks.
pub fn parse_seccomp(text: &str) -> Option<SeccompKill> {
    let (_, rest) = text.split_once("type=1326 ")?;
    let field = |key: &str| rest.split(' ').find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
    if field("sig")? != "31" {
        return None;
    }
    Some(SeccompKill {
        pid: field("pid")?.parse().ok()?,
        arch: u32::from_str_radix(field("arch")?, 16).ok()?,
        nr: field("syscall")?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OOM: &str = "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=c1,mems_allowed=0,oom_memcg=/pod,task_memcg=/pod/c1,task=hog,pid=4711,uid=0";

    #[test]
    fn oom_lines() {
        let kill = parse_oom(OOM).unwrap();
        assert_eq!(kill.limit_cgroup.as_deref(), Some("/pod"));
        assert_eq!((kill.task_cgroup.as_str(), kill.task.as_str(), kill.pid), ("/pod/c1", "hog", 4711));
        assert!(!kill.global);
        let global = "oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,task_memcg=/c,task=a b,pid=2,uid=1000";
        let kill = parse_oom(global).unwrap();
        assert!(kill.global);
        assert_eq!(kill.task, "a b");
    }

    #[test]
    fn names_cannot_forge_a_pid() {
        let forged = OOM.replace("task=hog", "task=x,pid=1,uid=0");
        let kill = parse_oom(&forged).unwrap();
        assert_eq!((kill.pid, kill.task.as_str()), (4711, "x,pid=1,uid=0"));
        let long = format!("/pod/{},task=init,pid=1,uid=0", "x".repeat(80));
        let forged = OOM.replace("task_memcg=/pod/c1", &format!("task_memcg={long}{}", "y".repeat(80)));
        let kill = parse_oom(&forged).unwrap();
        assert_eq!((kill.pid, kill.task.as_str()), (4711, "hog"));
    }

    #[test]
    fn only_the_kernel_is_believed() {
        let line = parse_record(format!("6,100,123456,-;{OOM}\n SUBSYSTEM=x\n").as_bytes()).unwrap();
        assert_eq!((line.at_us, line.text.as_str()), (123_456, OOM));
        assert_eq!(parse_record(format!("14,100,123456,-;{OOM}\n").as_bytes()), None);
    }

    #[test]
    fn every_line_that_is_parsed_has_a_mark() {
        let group = "Tasks in /a are going to be killed due to memory.oom.group set";
        for line in
            [OOM, group, "Out of memory: Killed process 1 (a) anon-rss:1kB", "audit: type=1326 audit(1)"]
        {
            assert!(MARKS.iter().any(|mark| line.contains(mark)), "{line}");
        }
    }

    #[test]
    fn other_lines() {
        let killed = "Memory cgroup out of memory: Killed process 12 (a b) total-vm:10kB, anon-rss:20kB, file-rss:0kB, shmem-rss:0kB, UID:0 pgtables:4kB oom_score_adj:0";
        assert_eq!(parse_killed(killed), Some((12, 20 * 1024)));
        assert_eq!(
            parse_group_kill("Tasks in /a b are going to be killed due to memory.oom.group set"),
            Some("/a b")
        );
        let audit = "audit: type=1326 audit(1.2:3): auid=0 uid=0 gid=0 ses=1 pid=99 comm=\"x\" exe=\"/x\" sig=31 arch=c000003e syscall=101 compat=0 ip=0x7f code=0x80000000";
        assert_eq!(parse_seccomp(audit), Some(SeccompKill { pid: 99, arch: 0xc000_003e, nr: 101 }));
        assert_eq!(parse_seccomp(&audit.replace("sig=31", "sig=0")), None);
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300), text in ".{0,200}") {
            let _ = parse_record(&bytes);
            for t in [text.clone(), format!("oom-kill:{text}"), format!("Killed process {text}"), format!("type=1326 {text}")] {
                let _ = (parse_oom(&t), parse_killed(&t), parse_seccomp(&t), parse_group_kill(&t));
            }
        }

        #[test]
        fn any_name_and_cgroup_are_read_back(task in "[ -~]{1,15}", name in "[a-z,=]{1,60}", pid in 1u32..4_194_304) {
            let line = format!("oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/p,task_memcg=/p/{name},task={task},pid={pid},uid=0");
            let kill = parse_oom(&line).unwrap();
            prop_assert_eq!(kill.pid, pid);
        }
    }
}
