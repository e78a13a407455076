//! Exit records: written by whoever waits for a container, or sees that it can't be started.

use crate::{
    clock, log,
    process::failure::Failure,
    state::{Dir, State},
};
use husk_exit::{Baseline, ExitRecord, Outcome, Reserved, Rusage, StartFailure, UnknownReason};
use husk_sys::wait::Ended;

/// Name of the record in the state directory.
pub const FILE: &str = "exit.json";

/// Sets room aside for the record of a container that husk is going to wait for. From then on an empty record means that
/// husk was killed meanwhile.
pub fn reserve(dir: &Dir) {
    if let Err(error) = Reserved::new(&dir.path().join(FILE)) {
        log::warn(&format!("no room for the exit record: {error}"));
    }
}

/// What is seen of the end of a container that husk did not wait for: the status where it is a zombie still, else what the
/// cgroup, which must still be there, and the kernel's log say.
pub fn unwatched(dir: &Dir, state: &State, reason: UnknownReason) -> ExitRecord {
    let mut record = new(state, state.init.map_or(0, |init| init.started_ns()));
    record.outcome = match state.init.and_then(|init| init.zombie_status()) {
        Some(raw) => Outcome::Status { raw },
        None => Outcome::Unknown { reason },
    };
    gather(&mut record, dir, state);
    record
}

/// Keeps what is seen of such a container for when it is deleted. A record that is there, or set aside for one who waits,
/// stays as it is.
pub fn keep_unwatched(dir: &Dir, state: &State) {
    let path = dir.path().join(FILE);
    if path.exists() || state.init.is_none() {
        return;
    }
    if let Err(error) = husk_exit::note(&path, &unwatched(dir, state, UnknownReason::WatchedElsewhere)) {
        log::warn(&format!("what is known of the end of {} is not kept: {error}", state.id));
    }
}

/// Records the end of a container whose zombie and cgroup are still there, in place of what was set aside for it.
pub fn watched(dir: &Dir, state: &State) {
    write(dir, &unwatched(dir, state, UnknownReason::WatchedElsewhere));
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
    record.rusage = (ended.pid != 0).then_some(Rusage {
        user_us: ended.user_us,
        system_us: ended.system_us,
        max_rss_kib: ended.max_rss_kib,
    });
    gather(&mut record, dir, state);
    write(dir, &record);
}

fn gather(record: &mut ExitRecord, dir: &Dir, state: &State) {
    record.sent = husk_exit::read_sent(&dir.path().join(crate::commands::kill::SENT));
    if let Some(cgroup) = &state.cgroup {
        husk_exit::gather(record, cgroup, &Baseline::default());
    }
}

fn new(state: &State, started_ns: u64) -> ExitRecord {
    let mut record = ExitRecord::new(state.id.clone());
    record.pid = state.init.map_or(0, |init| init.pid.unsigned_abs());
    record.started_ns = started_ns;
    record.finished_ns = clock::now_ns();
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
