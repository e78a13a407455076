//! Ends of containers: the record first, on disk, then the event.

use crate::container::{Container, Ended};
use crate::evidence;
use crate::job::Task;
use crate::runtime_state::RuntimeState;
use crate::server::Shim;
use husk_exit::{ExitRecord, Outcome, Reserved, Rusage, StartFailure, StartFailureKind};
use husk_shim_api::{Event, Exit, Status};
use husk_sys::wait;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long the record waits for output whose pipe is held open by others than init (it is not held up by what is in
/// the pipe already: that is read at once).
const DRAIN: Duration = Duration::from_millis(100);

impl Shim {
    /// A container's init was reaped.
    pub(crate) fn init_ended(&mut self, slot: u32, used: wait::Ended, at: i64) {
        let now = Instant::now();
        let Some(container) = self.at(slot) else { return };
        container.ended = Some(Ended { used, at, drain_until: now + DRAIN });
        container.status = Status::Stopped;
        self.drain_outputs(slot);
        self.try_record(slot, now);
    }

    /// Records an end once its output is read and no command that the daemon waits for is under way: it hears of the
    /// start before it hears of the end.
    pub(crate) fn try_record(&mut self, slot: u32, now: Instant) {
        let starting =
            |job: &crate::job::Job| matches!(job.task, Task::Start(s) | Task::Create(s) if s == slot);
        if self.jobs.iter().any(starting) {
            return;
        }
        let deleting = self.jobs.iter().any(|job| job.task == Task::Delete(slot));
        let Some(container) = self.at(slot) else { return };
        let Some(ended) = container.ended.filter(|_| container.exit.is_none()) else { return };
        let read = container.stdout.is_none() && container.stderr.is_none();
        let stalled = container.log_retry.is_some();
        if !read && !stalled && now < ended.drain_until {
            return;
        }
        let exit = container.record_end(ended, deleting);
        container.exit = Some(exit.clone());
        container.pidfd = None;
        container.stdin = None;
        container.sinks.clear();
        let (container, watch) = (container.id.clone(), container.watch.take());
        self.oom.remove(watch);
        self.links.tell(&self.poll, Event::Exited { container, exec: None, exit });
    }
}

impl Container {
    fn record_end(&mut self, ended: Ended, deleting: bool) -> Exit {
        let state = RuntimeState::of(&self.runtime, &self.id);
        let mut record = ExitRecord::new(&self.id);
        record.pid = self.pid.unsigned_abs();
        record.started_ns = self.started_at.unsigned_abs();
        record.finished_ns = ended.at.unsigned_abs();
        record.outcome = match self.start_error.take() {
            Some(error) => not_started(state.as_ref(), &error),
            None => Outcome::Status { raw: ended.used.raw },
        };
        record.sent = std::mem::take(&mut self.sent);
        for noted in state.iter().flat_map(RuntimeState::sent) {
            // Its `delete --force` is the shim's own doing, noted already.
            if !record.sent.iter().any(|own| (own.signal, own.cause) == (noted.signal, noted.cause)) {
                record.sent.push(noted);
            }
        }
        record.rusage = Some(Rusage {
            user_us: ended.used.user_us,
            system_us: ended.used.system_us,
            max_rss_kib: ended.used.max_rss_kib,
        });
        evidence::gather(&mut record, self.cgroup.as_deref(), &self.before);
        if let Some(log) = &self.log {
            record.log_tail = evidence::log_tail(&log.tail(32 * 1024));
        }
        if record.started_ns == 0 {
            record.gaps.push("it ended before its program was started".into());
        }
        let record_error = commit(&self.record, self.reserved.take(), &record).err();
        // A `delete` under way is removing that directory, file by file.
        if let Some(state) = state.as_ref().filter(|_| !deleting) {
            state.tell(&record);
        }
        Exit {
            status: Some(ended.used.raw),
            started_at: self.started_at,
            finished_at: ended.at,
            timed_out: false,
            record: Some(self.record.clone()),
            record_error,
        }
    }
}

/// husk's own diagnosis where there is one, else what the runtime said.
fn not_started(state: Option<&RuntimeState>, why: &str) -> Outcome {
    let said =
        || StartFailure { kind: StartFailureKind::Setup, subject: why.to_owned(), ..Default::default() };
    Outcome::NotStarted { failure: state.and_then(RuntimeState::start_failure).unwrap_or_else(said) }
}

/// Into the room kept for it, or else into a new file.
fn commit(path: &Path, reserved: Option<Reserved>, record: &ExitRecord) -> Result<(), String> {
    let kept = match reserved {
        Some(reserved) => reserved.commit(record),
        None => husk_exit::write(path, record),
    };
    kept.or_else(|first| husk_exit::write(path, record).map_err(|_| first.to_string()))
}

/// The record of a container that the runtime could not create.
pub fn write_not_started(container: &Container, reserved: Option<Reserved>, why: &str) {
    let (id, path) = (&container.id, &container.record);
    let state = RuntimeState::of(&container.runtime, id);
    let mut record = ExitRecord::new(id);
    record.finished_ns = crate::clock::now().unsigned_abs();
    record.outcome = not_started(state.as_ref(), why);
    if let Err(e) = commit(path, reserved, &record) {
        eprintln!("husk-shim: container {id}: its record can't be written: {e}");
    }
}

/// The record of an exec, where one is wanted. Answers why it could not be written.
pub fn write_exec(
    container: &Container,
    exec: &crate::container::ExecProcess,
    exit: &Exit,
) -> Option<String> {
    let path = exec.record.as_deref()?;
    let mut record = ExitRecord::new(&container.id);
    record.exec_id = Some(exec.id.clone());
    record.pid = exec.pid.unsigned_abs();
    record.started_ns = exit.started_at.unsigned_abs();
    record.finished_ns = exit.finished_at.unsigned_abs();
    record.outcome = Outcome::Status { raw: exit.status.unwrap_or(0) };
    record.sent.clone_from(&exec.sent);
    commit(path, None, &record).err()
}
