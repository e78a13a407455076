use super::*;
use crate::{Outcome, Verdict};

/// A cgroup directory made of plain files: what is tested is what is made of the numbers.
fn group(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

fn ended(raw: i32) -> ExitRecord {
    // Started now: no line of this machine's log is young enough to count.
    let now = clock_gettime(ClockId::Realtime);
    ExitRecord {
        pid: 4_194_303,
        started_ns: (now.tv_sec as u64 + 3600) * 1_000_000_000,
        outcome: Outcome::Status { raw },
        ..ExitRecord::new("c")
    }
}

#[test]
fn counters_become_evidence() {
    let dir = group(&[
        (
            "cpu.stat",
            "usage_usec 50\nuser_usec 30\nsystem_usec 20\nnr_periods 9\nnr_throttled 4\nthrottled_usec 700\n",
        ),
        ("pids.events", "max 3\n"),
        ("pids.max", "10\n"),
        ("memory.events", "low 0\nhigh 0\nmax 12\noom 1\noom_kill 1\noom_group_kill 0\n"),
        ("memory.events.local", "low 0\nhigh 0\nmax 12\noom 1\noom_kill 1\noom_group_kill 0\n"),
        ("memory.max", "1048576\n"),
        ("memory.peak", "1048570\n"),
    ]);
    let mut record = ended(9);
    gather(&mut record, dir.path(), &Baseline::default());
    assert_eq!(record.rusage.unwrap().user_us, 30);
    assert_eq!(record.throttling.unwrap(), Throttling { periods: 9, throttled: 4, throttled_us: 700 });
    assert_eq!(record.pids_max.unwrap(), PidsMax { hits: 3, limit: Some(10) });
    let oom = record.oom.clone().unwrap();
    assert_eq!(
        (oom.kills, oom.max_hits, oom.limit, oom.scope),
        (1, 12, Some(1_048_576), OomScope::Container)
    );
    assert_eq!(record.verdict(), Verdict::OomKilled { certain: false });

    // The same readings as baseline: nothing happened in this run.
    let mut record = ended(9);
    gather(&mut record, dir.path(), &Baseline::take(dir.path()));
    assert_eq!((record.oom.clone(), record.pids_max, record.throttling), (None, None, None));
    assert_eq!(record.rusage.unwrap().user_us, 0);
    assert_eq!(record.verdict(), Verdict::Signaled { signal: 9, core: false, by: None });
}

#[test]
fn an_own_exit_proves_that_a_child_was_the_victim() {
    let dir = group(&[("memory.events", "oom_kill 1\n")]);
    let mut record = ended(0);
    gather(&mut record, dir.path(), &Baseline::default());
    assert_eq!(record.oom.unwrap().victim, OomVictim::Child);
}

#[test]
fn a_group_that_is_gone_gives_nothing_and_that_is_said() {
    let mut record = ended(0);
    gather(&mut record, Path::new("/nonexistent/cgroup"), &Baseline::default());
    let gap = record.gaps.pop().unwrap();
    assert!(gap.contains("gone") && gap.contains("not known"), "{gap}");
    assert_eq!(record, ended(0).clone_with_start(record.started_ns));
}

trait WithStart {
    fn clone_with_start(self, ns: u64) -> Self;
}

impl WithStart for ExitRecord {
    fn clone_with_start(mut self, ns: u64) -> Self {
        self.started_ns = ns;
        self
    }
}

fn lines(texts: &[&str]) -> Vec<Line> {
    texts.iter().map(|t| Line { at_us: 1, text: (*t).into() }).collect()
}

fn kill(limit: &str, task: &str, pid: u32) -> String {
    format!(
        "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,{limit},task_memcg={task},task=hog,pid={pid},uid=0"
    )
}

#[test]
fn the_log_names_victim_and_limit() {
    let own = in_first_pid_namespace();
    let known = |victim| if own { victim } else { OomVictim::NotKnown };
    let judge = |texts: &[&str]| {
        let mut oom = OomEvidence::default();
        from_log(&mut oom, &lines(texts), 7, "/pod/c1");
        (oom.victim, oom.scope)
    };
    let own_limit = kill("oom_memcg=/pod/c1", "/pod/c1", 7);
    assert_eq!(judge(&[&own_limit]), (known(OomVictim::Init), OomScope::Container));
    let child = kill("oom_memcg=/pod", "/pod/c1/sub", 8);
    assert_eq!(judge(&[&child]), (known(OomVictim::Child), OomScope::Parent));
    let node = kill("global_oom", "/pod/c1", 7);
    assert_eq!(judge(&[&node]), (known(OomVictim::Init), OomScope::Node));
    let other = kill("oom_memcg=/pod", "/pod/c2", 7);
    assert_eq!(judge(&[&other]), (OomVictim::NotKnown, OomScope::NotKnown));
    // A cgroup whose name only begins like this one's.
    let like = kill("oom_memcg=/pod/c11", "/pod/c11", 7);
    assert_eq!(judge(&[&like]), (OomVictim::NotKnown, OomScope::NotKnown));
    let group = "Tasks in /pod/c1 are going to be killed due to memory.oom.group set";
    assert_eq!(judge(&[&own_limit, group]), (OomVictim::Group, OomScope::Container));
    // First a child, then init: init's death is what ended the run.
    assert_eq!(
        judge(&[&own_limit, &child]),
        (
            if own { OomVictim::Init } else { OomVictim::NotKnown },
            if own { OomScope::Container } else { OomScope::Parent }
        )
    );
}
