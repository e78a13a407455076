//! The sentences: what a record says, for CRI's `message` and as the first lines of `husk explain`.

use std::fmt::{self, Display, Formatter, Write};

use crate::{
    ExitRecord, OomEvidence, OomScope, OomVictim, SignalCause, StartFailure, StartFailureKind, UnknownReason,
    Verdict, signal_name,
};

impl ExitRecord {
    /// One to three sentences, on one line: what happened, and what else must be known to understand it.
    pub fn message(&self) -> String {
        let mut text = self.verdict_sentence();
        if let Some(note) = self.oom_note() {
            let _ = write!(text, " {note}");
        }
        if let Some(pids) = self.pids_max.filter(|p| p.hits > 0) {
            let limit = pids.limit.map(|l| format!(" (pids.max is {l})")).unwrap_or_default();
            let _ = write!(text, " {} refused{limit}.", times(pids.hits, "fork was", "forks were"));
        }
        text
    }

    /// The first sentence of [`ExitRecord::message`].
    pub fn verdict_sentence(&self) -> String {
        match self.verdict() {
            Verdict::Exited { code } => self.exited(code),
            Verdict::Signaled { signal, core, by } => {
                let core = if core { ", core dumped" } else { "" };
                format!("Killed by {}{core}, {}.", signal_name(signal), sender(by))
            }
            Verdict::OomKilled { certain } => self.oom_killed(certain),
            Verdict::SeccompKilled { syscall: Some(name) } => {
                format!("Killed by seccomp: its profile does not allow the system call {name}.")
            }
            Verdict::SeccompKilled { syscall: None } => {
                let nr = self.seccomp.as_ref().map_or(0, |s| s.nr);
                format!("Killed by seccomp: its profile does not allow the system call number {nr}.")
            }
            Verdict::CannotRun { failure } => format!("Could not be started: {failure}."),
            Verdict::Unknown { reason } => unknown(reason).into(),
        }
    }

    fn exited(&self, code: u8) -> String {
        // What came before an own exit tells why it exited: SIGTERM and then code 0 or 143 is an orderly stop.
        match self.sent.last() {
            Some(sent) => {
                format!("Exited with code {code} after {} ({}).", signal_name(sent.signal), cause(sent.cause))
            }
            None => format!("Exited with code {code}."),
        }
    }

    fn oom_killed(&self, certain: bool) -> String {
        let Some(oom) = &self.oom else { return "Killed for lack of memory.".into() };
        if !certain {
            return format!(
                "Killed by SIGKILL that husk did not send, while the kernel counted {} in the container{}.",
                times(oom.kills, "OOM kill", "OOM kills"),
                limit(oom)
            );
        }
        let whom = match oom.victim {
            OomVictim::Group => "All processes were killed",
            _ => "The container's init was killed",
        };
        format!("{whom} by the OOM killer: {}{}.", scope(oom), limit(oom))
    }

    fn oom_note(&self) -> Option<String> {
        let oom = self.oom.as_ref().filter(|o| o.kills > 0 || o.victim == OomVictim::Child)?;
        if matches!(self.verdict(), Verdict::OomKilled { .. }) {
            return None;
        }
        let task = oom.task.as_deref().map(|t| format!(" ({t})")).unwrap_or_default();
        Some(match oom.victim {
            OomVictim::Child => format!(
                "Before that the OOM killer killed another process of the container{task}: {}{}.",
                scope(oom),
                limit(oom)
            ),
            _ => format!(
                "The kernel counted {} in the container during the run; it did not say of which process{}.",
                times(oom.kills, "OOM kill", "OOM kills"),
                limit(oom)
            ),
        })
    }
}

fn times(n: u64, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

fn scope(oom: &OomEvidence) -> &'static str {
    match oom.scope {
        OomScope::Container => "the container's own memory limit was reached",
        OomScope::Parent => "the memory limit of a group above it (its pod's or a slice's) was reached",
        OomScope::Node => "the machine ran out of memory",
        OomScope::NotKnown | OomScope::Other => "a memory limit was reached, the kernel did not say whose",
    }
}

fn limit(oom: &OomEvidence) -> String {
    match (oom.limit, oom.peak) {
        (Some(limit), Some(peak)) => format!(" (limit {}, peak {})", bytes(limit), bytes(peak)),
        (Some(limit), None) => format!(" (limit {})", bytes(limit)),
        (None, Some(peak)) => format!(" (peak {})", bytes(peak)),
        (None, None) => String::new(),
    }
}

/// `64 MiB`, `1.5 GiB`, `4097 bytes`.
pub(crate) fn bytes(n: u64) -> String {
    const KIB: u64 = 1024;
    let (unit, name) = match n {
        0..KIB => return format!("{n} bytes"),
        _ if n < KIB * KIB => (KIB, "KiB"),
        _ if n < KIB * KIB * KIB => (KIB * KIB, "MiB"),
        _ => (KIB * KIB * KIB, "GiB"),
    };
    if n.is_multiple_of(unit) {
        format!("{} {name}", n / unit)
    } else {
        format!("{:.1} {name}", n as f64 / unit as f64)
    }
}

fn sender(by: Option<SignalCause>) -> String {
    match by {
        Some(by) => format!("which husk sent: {}", cause(by)),
        None => "which husk did not send".into(),
    }
}

/// On whose behalf husk sent a signal.
pub(crate) fn cause(cause: SignalCause) -> &'static str {
    match cause {
        SignalCause::Stop => "the container was asked to stop",
        SignalCause::GraceExpired => "the grace period of its stop was over",
        SignalCause::PodStop => "its pod was stopped",
        SignalCause::Kill => "husk kill was called",
        SignalCause::Delete => "it was deleted by force",
        SignalCause::Timeout => "its timeout was over",
        SignalCause::Forwarded => "husk run got that signal and passed it on",
        SignalCause::Checkpoint => "a checkpoint of it was written to disk",
        SignalCause::Hook => "a hook of its start failed",
        SignalCause::Other => "for a cause that only a newer husk knows",
    }
}

fn unknown(reason: UnknownReason) -> &'static str {
    match reason {
        UnknownReason::NotRecorded => "How it ended is unknown: nothing was recorded.",
        UnknownReason::MonitorDied => {
            "How it ended is unknown: the process that watched it was killed, and the kernel no longer had the exit status."
        }
        UnknownReason::NodeRebooted => "How it ended is unknown: the node rebooted while it ran.",
        UnknownReason::Damaged => "How it ended is unknown: its exit record is damaged.",
        UnknownReason::WatchedElsewhere => {
            "Its exit code is known to the program that waited for it (its engine), not to husk."
        }
        UnknownReason::Other => "How it ended is told in words that only a newer husk knows.",
    }
}

impl Display for StartFailure {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        use StartFailureKind as K;
        let subject = &self.subject;
        let detail = self.detail.as_deref().unwrap_or("?");
        match self.kind {
            K::NotFound => write!(f, "{subject} does not exist in the container"),
            K::NotInPath => write!(f, "there is no {subject} in any directory of PATH ({detail})"),
            K::DanglingLink => write!(f, "{subject} is a link to {detail}, which does not exist"),
            K::IsDirectory => write!(f, "{subject} is a directory, which can't be executed"),
            K::NotExecutable => write!(f, "{subject} has no execute permission for the container's user"),
            K::PathDenied => {
                write!(f, "the container's user may not pass through the directories to {subject}")
            }
            K::NoexecMount => write!(f, "{subject} lies on a mount with the option noexec ({detail})"),
            K::WrongArchitecture => {
                write!(f, "{subject} is built for {detail}, this machine is {}", std::env::consts::ARCH)
            }
            K::MissingLoader => {
                write!(f, "{subject} needs the loader {detail}, which does not exist in the container")
            }
            K::MissingInterpreter => {
                write!(f, "the #! line of {subject} names {detail}, which does not exist in the container")
            }
            K::CrlfShebang => write!(
                f,
                "the #! line of {subject} ends in CR LF, so the kernel looks for \"{}\"; save it with Unix line ends",
                detail.escape_debug()
            ),
            K::UnknownFormat => write!(f, "{subject} is no program of this machine and has no #! line"),
            K::EmptyFile => write!(f, "{subject} is empty"),
            K::UserNotInImage => write!(f, "there is no {subject} in the image's {detail}"),
            K::CwdMissing if self.errno == rustix::io::Errno::NOTDIR.raw_os_error() => {
                write!(f, "the working directory {subject} is not a directory in the container")
            }
            K::CwdMissing => write!(f, "the working directory {subject} does not exist in the container"),
            K::CwdDenied => write!(f, "the container's user may not enter the working directory {subject}"),
            K::ArgumentsTooLong => {
                write!(f, "the arguments and environment of {subject} are too long together")
            }
            K::Setup | K::Other => f.write_str(subject),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Outcome, PidsMax, SentSignal};

    fn ended(raw: i32) -> ExitRecord {
        ExitRecord { outcome: Outcome::Status { raw }, ..ExitRecord::new("c") }
    }

    #[test]
    fn sentences() {
        assert_eq!(ended(0).message(), "Exited with code 0.");
        assert_eq!(ended(9).message(), "Killed by SIGKILL, which husk did not send.");
        assert_eq!(ended(11 | 0x80).message(), "Killed by SIGSEGV, core dumped, which husk did not send.");
        let mut stopped = ended(143 << 8);
        stopped.sent.push(SentSignal { signal: 15, at_ns: 0, cause: SignalCause::Stop });
        assert_eq!(
            stopped.message(),
            "Exited with code 143 after SIGTERM (the container was asked to stop)."
        );
        let mut oom = ended(9);
        oom.oom = Some(OomEvidence {
            victim: OomVictim::Init,
            scope: OomScope::Container,
            kills: 1,
            limit: Some(64 << 20),
            peak: Some(64 << 20),
            ..Default::default()
        });
        assert_eq!(
            oom.message(),
            "The container's init was killed by the OOM killer: the container's own memory limit was reached (limit 64 MiB, peak 64 MiB)."
        );
        let mut child = ended(1 << 8);
        child.oom = Some(OomEvidence {
            victim: OomVictim::Child,
            task: Some("hog".into()),
            kills: 1,
            ..Default::default()
        });
        assert!(child.message().starts_with(
            "Exited with code 1. Before that the OOM killer killed another process of the container (hog)"
        ));
    }

    #[test]
    fn refused_forks_are_told() {
        let mut record = ended(2 << 8);
        record.pids_max = Some(PidsMax { hits: 3, limit: Some(10) });
        assert_eq!(record.message(), "Exited with code 2. 3 forks were refused (pids.max is 10).");
        record.pids_max = Some(PidsMax { hits: 1, limit: None });
        assert_eq!(record.message(), "Exited with code 2. 1 fork was refused.");
    }

    #[test]
    fn sizes() {
        assert_eq!(bytes(12), "12 bytes");
        assert_eq!(bytes(64 << 20), "64 MiB");
        assert_eq!(bytes((3 << 30) / 2), "1.5 GiB");
        assert_eq!(bytes(1536), "1.5 KiB");
    }
}
