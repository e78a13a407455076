//! The long answer: verdict, evidence, what to try next, last lines of output. For people as text, for programs as JSON.

use std::fmt::Write;

use serde::Serialize;

use crate::message::{bytes, cause};
use crate::{
    ExitRecord, OomEvidence, OomScope, OomVictim, Outcome, StartFailureKind, Stream, UnknownReason, Verdict,
    signal_name, time,
};

/// All that husk can say about an exit.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// Container id.
    pub id: String,
    /// Exec id, where it is about an exec.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exec_id: Option<String>,
    /// The word that CRI shows: `Completed`, `Error`, `OOMKilled`, `SeccompKilled`, `ContainerCannotRun`, `Unknown`.
    pub reason: &'static str,
    /// Exit code by the shells' convention; absent where it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<u8>,
    /// The verdict in a sentence or two.
    pub message: String,
    /// Facts that the verdict rests on, one each.
    pub evidence: Vec<String>,
    /// What to try next; empty where there is nothing to mend.
    pub advice: Vec<String>,
    /// The facts as recorded.
    pub record: ExitRecord,
}

impl Explanation {
    /// Explains `record`.
    pub fn of(record: &ExitRecord) -> Explanation {
        let verdict = record.verdict();
        Explanation {
            id: record.id.clone(),
            exec_id: record.exec_id.clone(),
            reason: verdict.reason(),
            exit_code: verdict.code(),
            message: record.message(),
            evidence: evidence(record),
            advice: advice(record, &verdict),
            record: record.clone(),
        }
    }

    /// For people: plain text of a few lines, each part under its heading.
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        let exec = self.exec_id.as_ref().map(|e| format!(", exec {e}")).unwrap_or_default();
        let code = self.exit_code.map_or("exit code not known".into(), |c| format!("exit code {c}"));
        let _ = writeln!(out, "{}{exec}: {} ({code})", self.id, self.reason);
        let _ = writeln!(out, "  {}", harmless(&self.message));
        section(&mut out, "Evidence", &self.evidence);
        section(&mut out, "Try next", &self.advice);
        let log: Vec<String> = self.record.log_tail.iter().map(log_line).collect();
        section(&mut out, "Last output", &log);
        out
    }
}

fn section(out: &mut String, heading: &str, lines: &[String]) {
    if !lines.is_empty() {
        let _ = writeln!(out, "\n{heading}:");
        for line in lines {
            let _ = writeln!(out, "  {}", harmless(line));
        }
    }
}

fn log_line(line: &crate::LogLine) -> String {
    let mark = match line.stream {
        Stream::Stderr => "err| ",
        Stream::Stdout | Stream::Other => "out| ",
    };
    format!("{mark}{}", line.text)
}

/// Output, names of files and of programs are the container's: they must not drive the terminal of who reads them.
fn harmless(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\t' { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

fn evidence(record: &ExitRecord) -> Vec<String> {
    let mut list = Vec::new();
    match &record.outcome {
        Outcome::Status { raw } => list.push(match record.status().and_then(|s| s.signal()) {
            Some(signal) => format!("wait status {raw:#06x}: ended by {}", signal_name(signal)),
            None => format!(
                "wait status {raw:#06x}: exit code {}",
                record.status().and_then(|s| s.code()).unwrap_or(0)
            ),
        }),
        Outcome::NotStarted { failure } if failure.errno != 0 => {
            list.push(format!("the kernel's answer: {}", crate::diagnose::text(failure.errno)));
        }
        _ => {}
    }
    match (record.started_ns, record.finished_ns) {
        (0, 0) => {}
        (0, end) if matches!(record.outcome, Outcome::Unknown { .. }) => {
            list.push(format!("found ended {}", time::rfc3339(end)));
        }
        (0, end) => list.push(format!("ended {}", time::rfc3339(end))),
        (start, 0) => list.push(format!("started {}, end not recorded", time::rfc3339(start))),
        (start, end) if matches!(record.outcome, Outcome::Unknown { .. }) => {
            list.push(format!("started {}, found ended {}", time::rfc3339(start), time::rfc3339(end)))
        }
        (start, end) => list.push(format!(
            "started {}, ended {}, ran {}",
            time::rfc3339(start),
            time::rfc3339(end),
            time::span(end.saturating_sub(start))
        )),
    }
    for sent in &record.sent {
        let when = match record.outcome {
            Outcome::Unknown { .. } => format!("at {}", time::rfc3339(sent.at_ns)),
            _ => format!("{} before the end", time::span(record.finished_ns.saturating_sub(sent.at_ns))),
        };
        list.push(format!("husk sent {} {when}: {}", signal_name(sent.signal), cause(sent.cause)));
    }
    if let Some(oom) = &record.oom {
        oom_evidence(&mut list, oom);
    }
    if let Some(seccomp) = &record.seccomp {
        let name = seccomp.syscall.as_deref().unwrap_or("no name known");
        list.push(format!(
            "the kernel's audit log: seccomp, system call {} ({name}), arch {:#x}",
            seccomp.nr, seccomp.arch
        ));
    }
    if let Some(pids) = record.pids_max {
        let limit = pids
            .limit
            .map(|l| format!("its pids.max is {l}"))
            .unwrap_or("the limit is of a cgroup above it".into());
        list.push(format!("pids.events: fork refused {} times, {limit}", pids.hits));
    }
    if let Some(cpu) = record.throttling {
        list.push(format!(
            "cpu.stat: throttled in {} of {} periods, {} in all",
            cpu.throttled,
            cpu.periods,
            time::span(cpu.throttled_us.saturating_mul(1000))
        ));
    }
    if let Some(usage) = record.rusage {
        let span = |us: u64| time::span(us.saturating_mul(1000));
        let rss = match usage.max_rss_kib {
            0 => String::new(),
            kib => format!(", largest resident set {}", bytes(kib.saturating_mul(1024))),
        };
        list.push(format!(
            "used {} of CPU time as user, {} as system{rss}",
            span(usage.user_us),
            span(usage.system_us)
        ));
    }
    list.extend(record.gaps.iter().map(|gap| format!("not known: {gap}")));
    list
}

fn oom_evidence(list: &mut Vec<String>, oom: &OomEvidence) {
    let whole = if oom.group_kills > 0 { ", the whole group at once" } else { "" };
    list.push(format!(
        "memory.events: {} killed by the OOM killer{whole}, limit met {} times",
        oom.kills, oom.max_hits
    ));
    if let (Some(task), Some(pid)) = (&oom.task, oom.pid) {
        let rss = oom.anon_rss.map(|n| format!(", {} of anonymous memory", bytes(n))).unwrap_or_default();
        let whose = match &oom.limit_cgroup {
            Some(cgroup) => format!("at the limit of {cgroup}"),
            None => "the machine had no memory left".into(),
        };
        list.push(format!("the kernel's log: killed {task} (pid {pid}{rss}), {whose}"));
    }
    if let Some(limit) = oom.limit {
        let peak = oom.peak.map(|p| format!(", memory.peak {}", bytes(p))).unwrap_or_default();
        list.push(format!("memory.max {}{peak}", bytes(limit)));
    }
}

fn advice(record: &ExitRecord, verdict: &Verdict) -> Vec<String> {
    let mut list: Vec<&str> = Vec::new();
    match verdict {
        Verdict::Exited { code: 0 } => {}
        Verdict::Exited { code } => {
            list.push("The program chose this code: its own output and documentation say why.");
            match code {
                126 | 127 => list.push(
                    "Shells exit with 127 for a command that they do not find and 126 for one that they cannot execute: look at the commands of the script.",
                ),
                129..=192 => list.push(
                    "Shells exit with 128 + n when a command died of signal n; here it was the program's own exit, so look at its children.",
                ),
                _ => {}
            }
        }
        Verdict::Signaled { signal, by, .. } => list.push(signal_advice(*signal, by.is_some())),
        Verdict::OomKilled { .. } => list.push(match record.oom.as_ref().map(|o| o.scope) {
            Some(OomScope::Node) => "The machine has too little memory for what runs on it: set limits on what grows, or add memory.",
            Some(OomScope::Parent) => "The limit above the container was met by all of its containers together: look at the others, or raise the pod's limit.",
            _ => "Raise the memory limit, or find out what the program needs the memory for (memory.peak says how much it got).",
        }),
        Verdict::SeccompKilled { .. } => {
            list.push("Allow the system call in the profile if the program needs it, or try without a profile to be sure.");
        }
        Verdict::CannotRun { failure } => list.push(start_advice(failure.kind)),
        Verdict::Unknown { reason } => list.push(match reason {
            UnknownReason::NodeRebooted => "Look at the machine's log for the reason of the reboot.",
            UnknownReason::MonitorDied => "Look in the machine's log for who killed the monitor; the OOM killer is a common one.",
            UnknownReason::WatchedElsewhere => "Ask that program for the exit code: podman inspect, docker inspect, ctr task ls.",
            _ => "The container's own log may say how it ended.",
        }),
    }
    if record.oom.as_ref().is_some_and(|o| o.victim == OomVictim::Child)
        && !matches!(verdict, Verdict::OomKilled { .. })
    {
        list.push("A child was killed for lack of memory: the program may not have coped with that. Raise the memory limit.");
    }
    if record.pids_max.is_some() {
        list.push("Raise the pids limit, or look for processes or threads that are not ended.");
    }
    list.into_iter().map(String::from).collect()
}

fn signal_advice(signal: i32, by_husk: bool) -> &'static str {
    match (signal, by_husk) {
        (9, true) => "To end in order, the program must exit upon its stop signal within the grace period.",
        (9, false) => {
            "Someone on the node sent SIGKILL, or a supervisor inside the container did: look at the node's log at that time."
        }
        (1 | 2 | 15, true) => "Nothing to mend: it was asked to stop and has no handler for the signal.",
        (1 | 2 | 15, false) => {
            "Someone else sent the signal: the program itself, another process of the container, or someone on the node."
        }
        (4 | 7 | 8 | 11, _) => {
            "A fault inside the program. Its core dump, where there is one, shows the place."
        }
        (6, _) => "The program gave itself up (abort): its last output usually says why.",
        (25, _) => "A file grew over the limit (RLIMIT_FSIZE).",
        (24, _) => "The CPU time limit was used up (RLIMIT_CPU).",
        (31, _) => {
            "SIGSYS is what seccomp sends for a system call that a profile forbids: look at the profile."
        }
        (13, _) => "The reader of a pipe or socket had gone.",
        _ => "Look for who sends this signal to the program.",
    }
}

fn start_advice(kind: StartFailureKind) -> &'static str {
    use StartFailureKind as K;
    match kind {
        K::NotFound | K::NotInPath => {
            "Check command and arguments for typing errors, and the image for the file."
        }
        K::DanglingLink => "Add the link's target to the image, or name the real file.",
        K::IsDirectory => "Name a program, not a directory.",
        K::NotExecutable => "Make it executable in the image (chmod +x), or run it by its interpreter.",
        K::PathDenied => {
            "Let the container's user pass through the directories (chmod o+x), or run as another user."
        }
        K::NoexecMount => "Mount the volume without noexec, or put the program elsewhere.",
        K::WrongArchitecture => "Use an image for this machine's architecture.",
        K::MissingLoader => {
            "Program and image do not fit: add the loader's package (glibc programs need glibc, musl programs musl), or link statically."
        }
        K::MissingInterpreter => "Add the interpreter to the image, or correct the #! line.",
        K::CrlfShebang => "Convert the file to Unix line ends (dos2unix).",
        K::UnknownFormat => "Add a #! line if it is a script.",
        K::EmptyFile => "Build or copy the file again: it has no contents.",
        K::UserNotInImage => "Create the user in the image, or use a numeric id.",
        K::CwdMissing | K::CwdDenied => {
            "Create the directory in the image with fitting rights, or set another working directory."
        }
        K::ArgumentsTooLong => {
            "Pass fewer or shorter arguments and variables; the kernel's limit depends on the stack limit."
        }
        K::Setup | K::Other => "Correct the configuration that the message names.",
    }
}

#[cfg(test)]
#[path = "explain_tests.rs"]
mod tests;
