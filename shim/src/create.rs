//! create, start, update, delete: the runtime's commands for a container.

use crate::container::Container;
use crate::job::{self, Caller, Job, Stdio3, TIDY_TIMEOUT, TIMEOUT, Task, runtime_args};
use crate::log::{Lines, LogFile, Stream};
use crate::server::{Shim, failure, internal};
use husk_exit::{Baseline, Reserved};
use husk_shim_api::{Create, Failure, FailureKind, Reply, Runtime, Status};
use rustix::process::{Pid, PidfdFlags};
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Ids become file names and arguments of the runtime.
pub fn check_id(what: &str, id: &str) -> Result<(), Failure> {
    let good = |c: char| c.is_ascii_alphanumeric() || "_.+-".contains(c);
    if id.is_empty() || id.len() > 128 || id.starts_with(['.', '-', '+']) || !id.chars().all(good) {
        return Err(failure(
            FailureKind::Invalid,
            format!("{what} id {id:?}: 1 to 128 of A-Z a-z 0-9 _ . + -"),
        ));
    }
    Ok(())
}

fn absolute(what: &str, path: &Path) -> Result<(), Failure> {
    if path.is_absolute() && !path.components().any(|c| c == std::path::Component::ParentDir) {
        return Ok(());
    }
    Err(failure(FailureKind::Invalid, format!("{what} {} must be absolute and without ..", path.display())))
}

fn wait_at_most(timeout_ms: u64) -> Duration {
    if timeout_ms == 0 { TIMEOUT } else { Duration::from_millis(timeout_ms) }
}

/// A pipe whose reading end does not block.
fn output_pipe(lines: Lines) -> Result<(crate::container::Output, OwnedFd), Failure> {
    use rustix::pipe::{PipeFlags, pipe_with};
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).map_err(|e| internal("pipe", e))?;
    rustix::io::ioctl_fionbio(&reader, true).map_err(|e| internal("ioctl(FIONBIO)", e))?;
    // Fewer switches between writer and shim; where the user's share of pipe memory is used up the default stays.
    let _ = rustix::pipe::fcntl_setpipe_size(&reader, 256 * 1024);
    Ok((crate::container::Output { fd: reader, lines, watched: false }, writer))
}

impl Shim {
    /// Path of a file of the shim's own that belongs to a job.
    pub(crate) fn job_file(&self, slot: u32, kind: &str) -> PathBuf {
        self.config.dir.join(format!("{slot}.{kind}"))
    }

    /// Starts a runtime process for a task.
    pub(crate) fn run_runtime(
        &mut self,
        runtime: &Runtime,
        command: &'static str,
        args: Vec<OsString>,
        stdio: Stdio3,
        start: JobStart,
    ) -> Result<(), Failure> {
        let slot = self.slot();
        let log = self.job_file(slot, "log");
        let mut all = runtime_args(runtime, &log, [command]);
        all.extend(args);
        let pid = job::spawn(&runtime.binary, &all, &log, stdio).map_err(|e| {
            for file in start.files.iter().chain([&log]) {
                let _ = std::fs::remove_file(file);
            }
            internal(&format!("{} can't be started", runtime.binary.display()), e)
        })?;
        self.jobs.push(Job {
            task: start.task,
            caller: start.caller,
            pid,
            deadline: Instant::now() + start.timeout,
            timed_out: false,
            name: job::name(&runtime.binary, command),
            log,
            files: start.files,
        });
        Ok(())
    }

    pub(crate) fn create(&mut self, caller: Caller, create: Create) -> Result<(), Failure> {
        check_id("container", &create.container)?;
        absolute("bundle", &create.bundle)?;
        absolute("record", &create.record)?;
        if self.containers.iter().any(|c| c.id == create.container) || self.config.id == create.container {
            return Err(failure(
                FailureKind::Exists,
                format!("container {} exists already", create.container),
            ));
        }
        let log = match &create.log {
            Some(path) => {
                absolute("log", path)?;
                let opened = LogFile::open(path);
                Some(opened.map_err(|e| internal(&format!("log {} can't be opened", path.display()), e))?)
            }
            None => None,
        };
        let reserved =
            Reserved::new(&create.record).map_err(|e| internal("no room for an exit record", e))?;
        let slot = self.slot();
        let pid_file = self.job_file(slot, "pid");
        let mut args: Vec<OsString> = vec!["--bundle".into(), create.bundle.clone().into()];
        args.extend(["--pid-file".into(), pid_file.clone().into()]);
        let mut files = vec![pid_file];
        let mut stdio = Stdio3::NONE;
        let (mut stdout, mut stderr, mut stdin, mut console) = (None, None, None, None);
        if create.terminal {
            let (listener, path) = self.console_socket(slot)?;
            args.extend(["--console-socket".into(), path.clone().into()]);
            files.push(path.clone());
            console = Some((listener, path));
        } else {
            let (out, writer) = output_pipe(Lines::new(Stream::Stdout))?;
            (stdout, stdio.stdout) = (Some(out), Some(writer.into()));
            let (err, writer) = output_pipe(Lines::new(Stream::Stderr))?;
            (stderr, stdio.stderr) = (Some(err), Some(writer.into()));
            if create.stdin {
                let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
                    .map_err(|e| internal("pipe", e))?;
                (stdin, stdio.stdin) = (Some(writer), Some(reader.into()));
            }
        }
        args.push(create.container.clone().into());
        let runtime = create.runtime.unwrap_or_else(|| self.config.runtime.clone());
        let start = JobStart {
            task: Task::Create(slot),
            caller: Some(caller),
            timeout: wait_at_most(create.timeout_ms),
            files,
        };
        if let Err(e) = self.run_runtime(&runtime, "create", args, stdio, start) {
            let _ = std::fs::remove_file(&create.record);
            return Err(e);
        }
        self.containers.push(Container {
            slot,
            id: create.container,
            runtime,
            status: Status::Creating,
            pid: 0,
            pidfd: None,
            stdout,
            stderr,
            stdin,
            console,
            terminal: create.terminal,
            log,
            log_retry: None,
            sinks: Vec::new(),
            record: create.record,
            reserved: Some(reserved),
            sent: Vec::new(),
            cgroup: None,
            v1: false,
            before: Baseline::default(),
            watch: None,
            oom_kills: 0,
            started_at: 0,
            start_error: None,
            ended: None,
            exit: None,
            busy: true,
            deleted: false,
            execs: Vec::new(),
        });
        Ok(())
    }

    pub(crate) fn create_done(&mut self, slot: u32, job: &Job, result: Result<(), Failure>) {
        let made = result.and_then(|()| self.adopt(slot, job));
        match made {
            Ok(pid) => {
                self.answer(job.caller, Ok(Reply::Created { pid }), None);
                self.claim_stray(pid);
            }
            Err(e) => self.create_failed(slot, job, e),
        }
    }

    /// Takes over what the runtime has made.
    fn adopt(&mut self, slot: u32, job: &Job) -> Result<i32, Failure> {
        let pid = read_pid(&job.files[0])?;
        let stray = self.strays.iter().any(|stray| stray.0.pid == pid);
        let container = self
            .containers
            .iter_mut()
            .find(|c| c.slot == slot)
            .ok_or_else(|| failure(FailureKind::NotFound, "the container is gone"))?;
        container.busy = false;
        container.status = Status::Created;
        container.pid = pid;
        if !stray {
            container.pidfd = Some(open_pidfd(pid)?);
            container.cgroup = crate::evidence::own_cgroup(pid, &container.id);
            container.v1 = crate::evidence::uses_v1(pid, &container.id);
            container.before = container.cgroup.as_deref().map(Baseline::take).unwrap_or_default();
        }
        if let Some((listener, _)) = container.console.take() {
            let master = crate::attach::receive_terminal(&listener)?;
            rustix::io::ioctl_fionbio(&master, true).map_err(|e| internal("ioctl(FIONBIO)", e))?;
            container.stdout = Some(crate::container::Output {
                fd: master,
                lines: Lines::new(Stream::Stdout),
                watched: false,
            });
        }
        self.watch_outputs(slot);
        self.watch_oom(slot);
        Ok(pid)
    }

    /// The record says why it never ran; what the runtime may have left is deleted.
    fn create_failed(&mut self, slot: u32, job: &Job, mut error: Failure) {
        if let Some(at) = self.containers.iter().position(|c| c.slot == slot) {
            let mut container = self.containers.remove(at);
            if error.kind == FailureKind::Runtime
                && error.message.ends_with("said nothing")
                && let Some(text) = container.stderr.as_mut().and_then(crate::streams::last_line)
            {
                error.message = text;
            }
            let reserved = container.reserved.take();
            crate::exits::write_not_started(&container, reserved, &error.message);
            let (runtime, id) = (container.runtime.clone(), container.id.clone());
            if error.kind != FailureKind::Runtime {
                // Best effort: there may be nothing to delete.
                let start = JobStart::nobody(Task::Tidy);
                let args = vec!["--force".into(), id.into()];
                let _ = self.run_runtime(&runtime, "delete", args, Stdio3::NONE, start);
            }
        }
        self.answer(job.caller, Err(error), None);
    }

    /// Marks the container busy, or says why it can't be.
    fn occupy(&mut self, id: &str, allowed: &[Status]) -> Result<(u32, Runtime), Failure> {
        let container = self.find(id)?;
        if container.busy {
            return Err(failure(FailureKind::State, format!("container {id}: another command is under way")));
        }
        if !allowed.contains(&container.status) {
            let status = serde_json::to_string(&container.status).unwrap_or_default();
            let text = format!("container {id} is {}", status.trim_matches('"'));
            return Err(failure(FailureKind::State, text));
        }
        container.busy = true;
        Ok((container.slot, container.runtime.clone()))
    }

    /// Runs a command on an occupied container.
    pub(crate) fn command(
        &mut self,
        slot: u32,
        runtime: &Runtime,
        command: &'static str,
        args: Vec<OsString>,
        start: JobStart,
    ) -> Result<(), Failure> {
        let result = self.run_runtime(runtime, command, args, Stdio3::NONE, start);
        if result.is_err()
            && let Some(container) = self.at(slot)
        {
            container.busy = false;
        }
        result
    }

    pub(crate) fn start(&mut self, caller: Caller, id: &str) -> Result<(), Failure> {
        let (slot, runtime) = self.occupy(id, &[Status::Created])?;
        let start = JobStart::of(Task::Start(slot), Some(caller));
        self.command(slot, &runtime, "start", vec![id.into()], start)
    }

    pub(crate) fn start_done(&mut self, slot: u32, job: &Job, result: Result<(), Failure>) {
        let started_at = crate::clock::now();
        if let Some(container) = self.at(slot) {
            container.busy = false;
            match &result {
                Ok(()) => {
                    container.started_at = started_at;
                    if container.ended.is_none() {
                        container.status = Status::Running;
                    }
                }
                Err(e) => container.start_error = Some(e.message.clone()),
            }
        }
        self.answer(job.caller, result.map(|()| Reply::Started { started_at }), None);
        self.try_record(slot, Instant::now());
    }

    pub(crate) fn update(
        &mut self,
        caller: Caller,
        id: &str,
        resources: &serde_json::Value,
    ) -> Result<(), Failure> {
        let (slot, runtime) = self.occupy(id, &[Status::Created, Status::Running])?;
        let file = self.job_file(self.next_slot + 1, "json");
        let written = std::fs::write(&file, resources.to_string()).map_err(|e| internal("resources", e));
        if let Err(e) = written {
            if let Some(container) = self.at(slot) {
                container.busy = false;
            }
            return Err(e);
        }
        let mut start = JobStart::of(Task::Update(slot), Some(caller));
        let args = vec!["--resources".into(), file.clone().into(), id.into()];
        start.files.push(file);
        self.command(slot, &runtime, "update", args, start)
    }

    pub(crate) fn delete(&mut self, caller: Option<Caller>, id: &str, force: bool) -> Result<(), Failure> {
        let mut allowed = vec![Status::Stopped];
        if force {
            allowed.extend([Status::Created, Status::Running]);
        }
        let (slot, runtime) = self.occupy(id, &allowed)?;
        if let Some(container) = self.at(slot)
            && container.live_pid().is_some()
        {
            container.sent.push(crate::kill::sent(9, husk_exit::SignalCause::Delete));
        }
        // Also for one that has ended: what the runtime has forgotten is no reason to keep it for ever.
        let args: Vec<OsString> = vec!["--force".into(), id.into()];
        self.command(slot, &runtime, "delete", args, JobStart::of(Task::Delete(slot), caller))
    }

    pub(crate) fn delete_done(&mut self, slot: u32, job: &Job, result: Result<(), Failure>) {
        if let Some(container) = self.at(slot) {
            container.busy = false;
            container.deleted = result.is_ok();
        }
        // The exit's event goes out before the answer that says that all is gone.
        self.reap();
        if let Some(container) = self.at(slot)
            && let Some(ended) = &mut container.ended
        {
            ended.drain_until = Instant::now();
        }
        self.try_record(slot, Instant::now());
        self.answer(job.caller, result.map(|()| Reply::Done), None);
    }
}

/// Who a runtime process is for.
#[derive(Debug)]
pub struct JobStart {
    /// What it does.
    pub task: Task,
    /// Who asked.
    pub caller: Option<Caller>,
    /// How long it may take.
    pub timeout: Duration,
    /// Removed afterwards.
    pub files: Vec<PathBuf>,
}

impl JobStart {
    /// With the default timeout.
    pub fn of(task: Task, caller: Option<Caller>) -> Self {
        Self { task, caller, timeout: TIMEOUT, files: Vec::new() }
    }

    /// For nobody.
    pub fn nobody(task: Task) -> Self {
        Self { timeout: TIDY_TIMEOUT, ..Self::of(task, None) }
    }
}

/// The pid that a runtime wrote.
pub fn read_pid(file: &Path) -> Result<i32, Failure> {
    let text = std::fs::read_to_string(file).map_err(|e| internal("the runtime wrote no pid file", e))?;
    let pid = text.trim().parse::<i32>().ok().filter(|pid| *pid > 0);
    pid.ok_or_else(|| failure(FailureKind::Internal, format!("the runtime's pid file has {text:?}")))
}

/// A pidfd of our child: it stays valid, alive or zombie, until we have reaped it.
pub fn open_pidfd(pid: i32) -> Result<OwnedFd, Failure> {
    let pid = Pid::from_raw(pid).ok_or_else(|| failure(FailureKind::Internal, "pid 0"))?;
    rustix::process::pidfd_open(pid, PidfdFlags::empty()).map_err(|e| internal("pidfd_open", e))
}
