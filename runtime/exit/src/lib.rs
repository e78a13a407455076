//! Exit records, their evidence and verdict.
//!
//! One [`ExitRecord`] is kept per run of a container and per exec. It holds what was seen, never what was concluded: the
//! [`Verdict`] is a pure function of it, so an old record can be judged again by a newer husk.
//!
//! The record is written by whoever waits for the process (`husk run`, the shim) and read by everybody else.

mod diagnose;
mod explain;
mod gather;
mod kept;
mod kmsg;
mod message;
mod record;
mod replace;
mod status;
mod store;
mod time;
mod verdict;

pub use diagnose::{Attempt, DEFAULT_PATH, diagnose, diagnose_cwd, diagnose_here};
pub use explain::Explanation;
pub use gather::{Baseline, gather};
pub use kept::Kept;
pub use record::{
    ExitRecord, LogLine, OomEvidence, OomScope, OomVictim, Outcome, PidsMax, RECORD_VERSION, Rusage,
    SeccompEvidence, SentSignal, SignalCause, StartFailure, StartFailureKind, Stream, Throttling,
    UnknownReason,
};
pub use replace::replace;
pub use status::{WaitStatus, signal_name};
pub use store::{Error, Found, RESERVED_SIZE, Reserved, note, read, read_sent, write};
pub use time::rfc3339;
pub use verdict::Verdict;
