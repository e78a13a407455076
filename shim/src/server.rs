//! The shim's state and its loop.

use crate::args::Config;
use crate::container::{Container, ExecProcess};
use crate::job::{Caller, Job, Task};
use crate::link::Links;
use crate::oom::OomWatch;
use crate::pin::Pod;
use crate::poll::{EventFlags, Poll, Token};
use husk_shim_api::{Failure, FailureKind, Listener, Reply};
use husk_sys::wait::{self, Ended};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// What calls answer.
pub type Answer = Result<Reply, Failure>;

/// A failure of one kind.
pub fn failure(kind: FailureKind, message: impl Into<String>) -> Failure {
    Failure { kind, message: message.into(), code: None }
}

/// A failed call of the kernel's.
pub fn internal(what: &str, error: impl std::fmt::Display) -> Failure {
    failure(FailureKind::Internal, format!("{what}: {error}"))
}

/// The shim.
#[derive(Debug)]
pub struct Shim {
    pub(crate) config: Config,
    pub(crate) poll: Poll,
    pub(crate) links: Links,
    pub(crate) containers: Vec<Container>,
    pub(crate) jobs: Vec<Job>,
    pub(crate) pod: Pod,
    pub(crate) oom: OomWatch,
    pub(crate) next_slot: u32,
    /// Ends of processes that nobody knew while a runtime was at work: one of them may be what it has just made.
    pub(crate) strays: Vec<(Ended, i64)>,
    /// Shutdown was asked for, and is given up at that time.
    pub(crate) shutdown: Option<(Caller, Instant)>,
    children: UnixStream,
}

impl Shim {
    /// Sets everything up; the socket is bound already.
    pub fn new(config: Config, listener: Listener) -> Result<Self, crate::start::Fatal> {
        let poll = Poll::new()?;
        let (children, signal) = UnixStream::pair()?;
        children.set_nonblocking(true)?;
        signal.set_nonblocking(true)?;
        signal_hook::low_level::pipe::register(signal_hook::consts::SIGCHLD, signal)?;
        // The pod's end is the daemon's decision, not that of whoever signals a process group.
        for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT, signal_hook::consts::SIGHUP]
        {
            signal_hook::flag::register(signal, std::sync::Arc::default())?;
        }
        poll.add(&children, Token::Child)?;
        let links = Links::new(listener, &poll)?;
        Ok(Self {
            config,
            poll,
            links,
            containers: Vec::new(),
            jobs: Vec::new(),
            pod: Pod::default(),
            oom: OomWatch::default(),
            next_slot: 0,
            strays: Vec::new(),
            shutdown: None,
            children,
        })
    }

    /// Works until shutdown.
    pub fn run(&mut self) -> rustix::io::Result<()> {
        let mut found = Vec::new();
        loop {
            self.poll.wait(self.deadline(), &mut found)?;
            for (token, flags) in found.drain(..) {
                self.event(token, flags);
            }
            self.timers();
            if self.shutdown.is_some() && self.shut_down() {
                return Ok(());
            }
        }
    }

    fn event(&mut self, token: Token, flags: EventFlags) {
        match token {
            Token::Listener => self.links.accept(&self.poll, &mut self.next_slot),
            Token::Child => self.reap(),
            Token::Inotify => self.oom_events(),
            Token::Connection(slot) => {
                if flags.contains(EventFlags::OUT) {
                    self.links.writable(&self.poll, slot);
                }
                if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR)
                    && let Some(packet) = self.links.recv(slot)
                {
                    self.call(slot, packet);
                }
            }
            Token::Stdout(slot) => self.output(slot, false),
            Token::Stderr(slot) => self.output(slot, true),
            Token::Sink(slot) => self.sink_writable(slot),
        }
    }

    /// A number that no other thing in this shim has or had.
    pub(crate) fn slot(&mut self) -> u32 {
        self.next_slot += 1;
        self.next_slot
    }

    /// The container of an id.
    pub(crate) fn find(&mut self, id: &str) -> Result<&mut Container, Failure> {
        let found = self.containers.iter_mut().find(|c| c.id == id);
        found.ok_or_else(|| failure(FailureKind::NotFound, format!("no container {id} in this pod")))
    }

    /// The container of a slot.
    pub(crate) fn at(&mut self, slot: u32) -> Option<&mut Container> {
        self.containers.iter_mut().find(|c| c.slot == slot)
    }

    /// The exec of a slot.
    pub(crate) fn exec_at(&mut self, container: u32, exec: u32) -> Option<&mut ExecProcess> {
        self.at(container)?.execs.iter_mut().find(|e| e.slot == exec)
    }

    /// Answers a call.
    pub(crate) fn answer(&mut self, to: Option<Caller>, result: Answer, fd: Option<OwnedFd>) {
        if let Some(to) = to {
            self.links.answer(&self.poll, to, result, fd);
        }
    }

    /// Collects every child that has ended.
    pub(crate) fn reap(&mut self) {
        use std::io::Read;
        let mut drained = [0; 64];
        while matches!((&self.children).read(&mut drained), Ok(n) if n == drained.len()) {}
        while let Ok(Some(ended)) = wait::next() {
            self.child_ended(ended);
        }
    }

    fn child_ended(&mut self, ended: Ended) {
        let at = crate::clock::now();
        if let Some(at) = self.jobs.iter().position(|job| job.pid.as_raw_pid() == ended.pid) {
            let job = self.jobs.remove(at);
            self.job_done(&job, ended.raw);
            job.tidy();
            self.forget_strays();
        } else if !self.known_ended(ended, at) && self.jobs.iter().any(|job| job.task.makes_process()) {
            self.strays.push((ended, at));
        }
    }

    /// A container's, an exec's or the pause process' end. False: none of them.
    pub(crate) fn known_ended(&mut self, ended: Ended, at: i64) -> bool {
        let pid = ended.pid;
        if self.pod.pause_pid == Some(pid) {
            self.pause_ended(ended.raw, at);
            return true;
        }
        for index in 0..self.containers.len() {
            let container = &self.containers[index];
            let slot = container.slot;
            if container.pid == pid && container.live_pid().is_some() {
                self.init_ended(slot, ended, at);
                return true;
            }
            if let Some(exec) = container.execs.iter().find(|e| e.pid == pid && e.ended.is_none()) {
                let exec = exec.slot;
                self.exec_ended(slot, exec, ended.raw, at);
                return true;
            }
        }
        false
    }

    /// A process that a runtime has just made may have ended before it was known.
    pub(crate) fn claim_stray(&mut self, pid: i32) {
        if let Some(at) = self.strays.iter().position(|stray| stray.0.pid == pid) {
            let (ended, at) = self.strays.remove(at);
            self.known_ended(ended, at);
        }
    }

    fn forget_strays(&mut self) {
        if !self.jobs.iter().any(|job| job.task.makes_process()) {
            self.strays = Vec::new();
        }
    }

    fn job_done(&mut self, job: &Job, status: i32) {
        let result = job.result(status);
        match job.task {
            Task::Create(slot) => self.create_done(slot, job, result),
            Task::Start(slot) => self.start_done(slot, job, result),
            Task::Delete(slot) => self.delete_done(slot, job, result),
            Task::Update(slot) => {
                if let Some(container) = self.at(slot) {
                    container.busy = false;
                }
                self.answer(job.caller, result.map(|()| Reply::Done), None);
            }
            Task::Exec(container, exec) => self.exec_done(container, exec, job, result),
            Task::Namespaces | Task::PauseCreate | Task::PauseStart => self.pin_step_done(job, result),
            Task::PauseDelete | Task::Tidy => {}
        }
    }

    /// When the loop must wake even if nothing happens.
    fn deadline(&self) -> Option<Instant> {
        let jobs = self.jobs.iter().map(|job| job.deadline);
        let containers = self.containers.iter().flat_map(|c| {
            let drain = c.ended.filter(|_| c.exit.is_none()).map(|ended| ended.drain_until);
            let execs =
                c.execs.iter().filter(|e| e.pid != 0).flat_map(|e| e.deadline.into_iter().chain(e.forget_at));
            c.log_retry.into_iter().chain(drain).chain(execs)
        });
        let shutdown = self.shutdown.map(|_| Instant::now() + Duration::from_millis(100));
        jobs.chain(containers).chain(shutdown).min()
    }

    fn timers(&mut self) {
        let now = Instant::now();
        for job in self.jobs.iter_mut().filter(|job| job.deadline <= now) {
            job.kill();
        }
        for index in 0..self.containers.len() {
            let Some(container) = self.containers.get(index) else { break };
            let slot = container.slot;
            if container.log_retry.is_some_and(|at| at <= now) {
                self.retry_log(slot);
            }
            self.exec_timers(slot, now);
            self.try_record(slot, now);
        }
        while let Some(at) = self.containers.iter().position(|c| c.deleted && c.exit.is_some()) {
            let container = self.containers.remove(at);
            self.lose_execs(container);
        }
    }
}
