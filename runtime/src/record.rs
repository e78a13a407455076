//! Exit records: written by whoever waits for a container, or sees that it can't be started.

use crate::{
    log,
    process::failure::Failure,
    state::{Dir, State},
};
use husk_exit::{Baseline, ExitRecord, Outcome, SentSignal, StartFailure};
use std::time::{SystemTime, UNIX_EPOCH};

/// Nanoseconds since the epoch.
pub fn now_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}

/// Records that the program was never executed.
pub fn not_started(dir: &Dir, state: &State, failure: &Failure) {
    let mut record = new(state, 0);
    let setup =
        || StartFailure { subject: failure.to_string(), errno: failure.errno, ..StartFailure::default() };
    record.outcome = Outcome::NotStarted { failure: failure.start.clone().unwrap_or_else(setup) };
    write(dir, &record);
}

/// Records the end of the container, with the evidence of it. The cgroup must still be there.
pub fn ended(dir: &Dir, state: &State, started_ns: u64, raw: i32) {
    let mut record = new(state, started_ns);
    record.outcome = Outcome::Status { raw };
    if let Ok(lines) = std::fs::read_to_string(dir.path().join(crate::commands::kill::SENT)) {
        record.sent =
            lines.lines().filter_map(|line| serde_json::from_str::<SentSignal>(line).ok()).collect();
    }
    if let Some(cgroup) = &state.cgroup {
        husk_exit::gather(&mut record, cgroup, &Baseline::default());
    }
    write(dir, &record);
}

fn new(state: &State, started_ns: u64) -> ExitRecord {
    let mut record = ExitRecord::new(state.id.clone());
    record.pid = state.init.map_or(0, |init| init.pid.unsigned_abs());
    record.started_ns = started_ns;
    record.finished_ns = now_ns();
    record
}

fn write(dir: &Dir, record: &ExitRecord) {
    if let Err(error) = husk_exit::write(&dir.path().join("exit.json"), record) {
        log::warn(&format!("the exit record could not be written: {error}"));
    }
}
