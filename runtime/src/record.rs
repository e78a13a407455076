//! Exit records: written by whoever waits for a container, or sees that it can't be started.

use crate::{
    log,
    process::failure::Failure,
    state::{Dir, State},
};
use husk_exit::{Baseline, ExitRecord, Outcome, Reserved, Rusage, StartFailure};
use husk_sys::wait::Ended;
use std::time::{SystemTime, UNIX_EPOCH};

/// Nanoseconds since the epoch.
pub fn now_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}

/// Name of the record in the state directory.
pub const FILE: &str = "exit.json";

/// Sets room aside for the record of a container that husk is going to wait for. From then on an empty record means that
/// husk was killed meanwhile.
pub fn reserve(dir: &Dir) {
    if let Err(error) = Reserved::new(&dir.path().join(FILE)) {
        log::warn(&format!("no room for the exit record: {error}"));
    }
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
pub fn ended(dir: &Dir, state: &State, started_ns: u64, ended: Ended) {
    let mut record = new(state, started_ns);
    record.outcome = Outcome::Status { raw: ended.raw };
    record.sent = husk_exit::read_sent(&dir.path().join(crate::commands::kill::SENT));
    record.rusage = (ended.pid != 0).then_some(Rusage {
        user_us: ended.user_us,
        system_us: ended.system_us,
        max_rss_kib: ended.max_rss_kib,
    });
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
    let path = dir.path().join(FILE);
    // Into the room that was set aside, which is there on a full disk too; where there is none, as a new file.
    let written = Reserved::open(&path).and_then(|reserved| reserved.commit(record));
    if let Err(error) = written.or_else(|_| husk_exit::write(&path, record)) {
        log::warn(&format!("the exit record could not be written: {error}"));
    }
}
