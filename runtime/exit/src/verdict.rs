//! From the facts of a record to a verdict. Nothing here reads anything but the record.

use crate::{ExitRecord, OomVictim, Outcome, SignalCause, StartFailure, StartFailureKind, UnknownReason};

const SIGKILL: i32 = 9;
const SIGSYS: i32 = 31;

/// How a run ended, in one word and its few facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The program ended by itself.
    Exited {
        /// Its exit code.
        code: u8,
    },
    /// A signal ended it.
    Signaled {
        /// The signal.
        signal: i32,
        /// The kernel says that core was dumped.
        core: bool,
        /// Why husk sent it; `None`: husk did not send it.
        by: Option<SignalCause>,
    },
    /// The OOM killer killed the container's init (or all of the container).
    OomKilled {
        /// The kernel named the victim. Otherwise it counted an OOM kill in the container, and a SIGKILL that husk did
        /// not send ended init.
        certain: bool,
    },
    /// seccomp killed it.
    SeccompKilled {
        /// The system call, where the kernel named it.
        syscall: Option<String>,
    },
    /// The program could not be executed.
    CannotRun {
        /// Why.
        failure: StartFailure,
    },
    /// Nobody knows.
    Unknown {
        /// Why nobody knows.
        reason: UnknownReason,
    },
}

impl Verdict {
    /// Judges a record.
    pub fn of(record: &ExitRecord) -> Verdict {
        let status = match &record.outcome {
            Outcome::Status { .. } => record.status(),
            Outcome::NotStarted { failure } => return Verdict::CannotRun { failure: failure.clone() },
            // Nobody saw the end, but the kernel has named init as the one that it killed.
            Outcome::Unknown { .. } if oom_killed(record, true) == Some(true) => {
                return Verdict::OomKilled { certain: true };
            }
            Outcome::Unknown { reason } => return Verdict::Unknown { reason: *reason },
            Outcome::Other => return Verdict::Unknown { reason: UnknownReason::Other },
        };
        let Some(status) = status else { return Verdict::Unknown { reason: UnknownReason::Damaged } };
        if let Some(code) = status.code() {
            return Verdict::Exited { code };
        }
        let Some(signal) = status.signal() else {
            return Verdict::Unknown { reason: UnknownReason::Damaged };
        };
        // The last one sent before the end is the one that counts: a grace period's SIGKILL follows a `husk kill -9` that failed.
        let by = record.sent.iter().rev().find(|s| s.signal == signal).map(|s| s.cause);
        if signal == SIGKILL
            && let Some(certain) = oom_killed(record, by.is_some())
        {
            return Verdict::OomKilled { certain };
        }
        if signal == SIGSYS
            && let Some(seccomp) = &record.seccomp
        {
            return Verdict::SeccompKilled { syscall: seccomp.syscall.clone() };
        }
        Verdict::Signaled { signal, core: status.core(), by }
    }

    /// The word for CRI's `ContainerStatus.reason`.
    pub fn reason(&self) -> &'static str {
        match self {
            Verdict::Exited { code: 0 } => "Completed",
            Verdict::Exited { .. } | Verdict::Signaled { .. } => "Error",
            Verdict::OomKilled { .. } => "OOMKilled",
            Verdict::SeccompKilled { .. } => "SeccompKilled",
            Verdict::CannotRun { .. } => "ContainerCannotRun",
            Verdict::Unknown { .. } => "Unknown",
        }
    }

    /// The exit code by the shells' convention; `None` where it is unknown.
    pub fn code(&self) -> Option<u8> {
        match self {
            Verdict::Exited { code } => Some(*code),
            Verdict::Signaled { signal, .. } => Some(128u8.wrapping_add(*signal as u8)),
            Verdict::OomKilled { .. } => Some(128 + SIGKILL as u8),
            Verdict::SeccompKilled { .. } => Some(128 + SIGSYS as u8),
            Verdict::CannotRun { failure } => Some(failure.exit_code()),
            Verdict::Unknown { .. } => None,
        }
    }

    /// The code for CRI's `ContainerStatus.exit_code`, a field that cannot say "not known": 255 stands there then, as
    /// clients expect of the reason `Unknown`.
    pub fn cri_code(&self) -> i32 {
        self.code().map_or(255, i32::from)
    }
}

/// `Some(certain)` where the OOM killer ended init.
fn oom_killed(record: &ExitRecord, husk_sent_it: bool) -> Option<bool> {
    let oom = record.oom.as_ref()?;
    match oom.victim {
        OomVictim::Init | OomVictim::Group => Some(true),
        OomVictim::Child => None,
        OomVictim::NotKnown | OomVictim::Other => (oom.kills > 0 && !husk_sent_it).then_some(false),
    }
}

impl StartFailure {
    /// 127 where something is missing, 126 where something is there and can't be executed, as shells do; 128 where the
    /// container could not be set up at all.
    pub fn exit_code(&self) -> u8 {
        use StartFailureKind as K;
        match self.kind {
            K::NotFound
            | K::NotInPath
            | K::DanglingLink
            | K::MissingLoader
            | K::MissingInterpreter
            | K::CrlfShebang => 127,
            K::Setup | K::Other => 128,
            _ => 126,
        }
    }
}

impl ExitRecord {
    /// Judges this record.
    pub fn verdict(&self) -> Verdict {
        Verdict::of(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{OomEvidence, SeccompEvidence, SentSignal};
    use proptest::prelude::*;

    fn ended(raw: i32) -> ExitRecord {
        ExitRecord { outcome: Outcome::Status { raw }, ..ExitRecord::new("c") }
    }

    fn sent(signal: i32, cause: SignalCause) -> SentSignal {
        SentSignal { signal, at_ns: 1, cause }
    }

    fn oom(victim: OomVictim) -> Option<OomEvidence> {
        Some(OomEvidence { victim, kills: 1, ..Default::default() })
    }

    #[test]
    fn own_exits() {
        for (code, reason) in [(0, "Completed"), (1, "Error"), (127, "Error"), (255, "Error")] {
            let verdict = ended(code << 8).verdict();
            assert_eq!(verdict, Verdict::Exited { code: code as u8 });
            assert_eq!(verdict.reason(), reason);
            assert_eq!(verdict.code(), Some(code as u8));
        }
    }

    #[test]
    fn the_sender_is_named_only_where_husk_sent_that_signal() {
        let mut record = ended(9);
        assert_eq!(record.verdict(), Verdict::Signaled { signal: 9, core: false, by: None });
        record.sent.push(sent(15, SignalCause::Stop));
        assert_eq!(record.verdict(), Verdict::Signaled { signal: 9, core: false, by: None });
        record.sent.push(sent(9, SignalCause::GraceExpired));
        assert_eq!(
            record.verdict(),
            Verdict::Signaled { signal: 9, core: false, by: Some(SignalCause::GraceExpired) }
        );
    }

    #[test]
    fn oom_only_where_init_was_the_victim() {
        let mut record = ended(9);
        record.oom = oom(OomVictim::Init);
        assert_eq!(record.verdict(), Verdict::OomKilled { certain: true });
        record.oom = oom(OomVictim::Group);
        assert_eq!(record.verdict(), Verdict::OomKilled { certain: true });
        record.oom = oom(OomVictim::Child);
        assert_eq!(record.verdict().reason(), "Error");
        record.oom = oom(OomVictim::NotKnown);
        assert_eq!(record.verdict(), Verdict::OomKilled { certain: false });
        record.sent.push(sent(9, SignalCause::Kill));
        assert_eq!(record.verdict().reason(), "Error");
        // A child died of it and the program ended by itself, even with the code that looks like it.
        let mut own = ended(137 << 8);
        own.oom = oom(OomVictim::NotKnown);
        assert_eq!(own.verdict(), Verdict::Exited { code: 137 });
    }

    #[test]
    fn seccomp_needs_evidence() {
        let mut record = ended(31 | 0x80);
        assert_eq!(record.verdict(), Verdict::Signaled { signal: 31, core: true, by: None });
        record.seccomp = Some(SeccompEvidence { syscall: Some("ptrace".into()), ..Default::default() });
        assert_eq!(record.verdict(), Verdict::SeccompKilled { syscall: Some("ptrace".into()) });
    }

    #[test]
    fn unknown_has_no_code() {
        let record = ExitRecord::new("c");
        assert_eq!(record.verdict(), Verdict::Unknown { reason: UnknownReason::NotRecorded });
        assert_eq!(record.verdict().code(), None);
        assert_eq!(record.verdict().cri_code(), 255);
    }

    proptest! {
        #[test]
        fn every_status_has_a_verdict(raw in any::<i32>(), kills in 0u64..3) {
            let mut record = ended(raw);
            record.oom = Some(OomEvidence { kills, ..Default::default() });
            let verdict = record.verdict();
            if raw & 0x7f == 0 {
                prop_assert_eq!(verdict.code(), Some((raw >> 8) as u8));
            }
            let _ = verdict.reason();
        }
    }
}
