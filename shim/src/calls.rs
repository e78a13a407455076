//! Requests: read, checked and handed to the file that does them.

use crate::job::Caller;
use crate::server::{Answer, Shim, failure, internal};
use husk_shim_api::{Call, Failure, FailureKind, Packet, Reply, Request, State, Status, VERSION};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// How long a shutdown may take before the shim goes on serving.
const SHUTDOWN: Duration = Duration::from_secs(60);

impl Shim {
    /// One packet of a connection. What is no request closes the connection: the peer speaks something else.
    pub(crate) fn call(&mut self, connection: u32, packet: Packet) {
        let request: Request = match packet.parse() {
            Ok(request) => request,
            Err(e) => {
                // A newer daemon's call: its id is readable even if the call is not.
                #[derive(serde::Deserialize)]
                struct Id {
                    id: u64,
                }
                match packet.parse::<Id>() {
                    Ok(Id { id }) => {
                        let caller = Caller { connection, id };
                        let refused =
                            failure(FailureKind::Invalid, format!("not a call of this version: {e}"));
                        self.answer(Some(caller), Err(refused), None);
                    }
                    Err(_) => {
                        eprintln!("husk-shim: a connection is closed: {e}");
                        self.links.close(connection);
                    }
                }
                return;
            }
        };
        let caller = Caller { connection, id: request.id };
        if let Some((result, fd)) = self.dispatch(caller, request.call, packet.fds) {
            self.answer(Some(caller), result, fd);
        }
    }

    /// None: answered later, when a job is done.
    fn dispatch(
        &mut self,
        caller: Caller,
        call: Call,
        fds: Vec<OwnedFd>,
    ) -> Option<(Answer, Option<OwnedFd>)> {
        let expected = match &call {
            Call::Exec(exec) => {
                [exec.stdin, exec.stdout, exec.stderr].iter().filter(|passed| **passed).count()
            }
            Call::Attach { stdout, stderr, .. } => usize::from(*stdout) + usize::from(*stderr),
            _ => 0,
        };
        if fds.len() != expected {
            let text = format!("{} descriptors came, {expected} were announced", fds.len());
            return Some((Err(failure(FailureKind::Invalid, text)), None));
        }
        if self.shutdown.is_some() && !matches!(call, Call::State | Call::Hello { .. }) {
            return Some((Err(failure(FailureKind::State, "the shim is shutting down")), None));
        }
        let done = |result: Result<(), Failure>| Some((result.map(|()| Reply::Done), None));
        // Started jobs answer by themselves; what failed before answers now.
        let later = |result: Result<(), Failure>| result.err().map(|e| (Err(e), None));
        match call {
            Call::Hello { version } => Some((self.hello(caller, version), None)),
            Call::State => Some((Ok(Reply::State(self.state())), None)),
            Call::Pin(pin) => self.pin(caller, pin).map(|answer| (answer, None)),
            Call::Create(create) => later(self.create(caller, create)),
            Call::Start { container } => later(self.start(caller, &container)),
            Call::Kill(kill) => done(self.kill(&kill)),
            Call::Delete { container, force } => later(self.delete(Some(caller), &container, force)),
            Call::Update { container, resources } => later(self.update(caller, &container, &resources)),
            Call::Exec(exec) => later(self.exec(caller, exec, fds)),
            Call::Resize { container, width, height } => done(self.resize(&container, width, height)),
            Call::CloseStdin { container } => done(self.find(&container).map(|c| c.stdin = None)),
            Call::Attach { container, stdin, stdout, stderr } => {
                Some(match self.attach(&container, stdin, stdout, stderr, fds) {
                    Ok(fd) => (Ok(Reply::Done), fd),
                    Err(e) => (Err(e), None),
                })
            }
            Call::ReopenLog { container } => done(self.reopen_log(&container)),
            Call::Shutdown { force } => self.ask_shutdown(caller, force).err().map(|e| (Err(e), None)),
        }
    }

    fn hello(&mut self, caller: Caller, version: u32) -> Answer {
        if version != VERSION {
            let text = format!("this shim speaks version {VERSION}, not {version}");
            return Err(failure(FailureKind::Version, text));
        }
        self.links.subscribe(caller.connection);
        Ok(Reply::Hello { version: VERSION, pid: std::process::id() as i32 })
    }

    fn state(&mut self) -> State {
        let state = State {
            version: VERSION,
            sandbox: self.config.id.clone(),
            pid: std::process::id() as i32,
            pinned: self.pod.pinned.clone(),
            pause_exit: self.pod.pause_exit.clone(),
            containers: self.containers.iter().map(|c| c.state()).collect(),
        };
        for container in &mut self.containers {
            container.execs.retain(|exec| exec.exit.is_none());
        }
        state
    }

    fn resize(&mut self, container: &str, width: u16, height: u16) -> Result<(), Failure> {
        let container = self.find(container)?;
        let Some(terminal) = container.stdout.as_ref().filter(|_| container.terminal) else {
            return Err(failure(FailureKind::State, format!("container {} has no terminal", container.id)));
        };
        let size = rustix::termios::Winsize { ws_row: height, ws_col: width, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(&terminal.fd, size).map_err(|e| internal("ioctl(TIOCSWINSZ)", e))
    }

    fn reopen_log(&mut self, container: &str) -> Result<(), Failure> {
        let container = self.find(container)?;
        let slot = container.slot;
        let Some(log) = &mut container.log else {
            return Err(failure(FailureKind::State, format!("container {} has no log", container.id)));
        };
        log.reopen().map_err(|e| internal("the log can't be opened anew", e))?;
        self.retry_log(slot);
        Ok(())
    }

    fn ask_shutdown(&mut self, caller: Caller, force: bool) -> Result<(), Failure> {
        if !force && let Some(left) = self.containers.iter().find(|c| !c.deleted) {
            return Err(failure(FailureKind::State, format!("container {} is not deleted", left.id)));
        }
        self.shutdown = Some((caller, Instant::now() + SHUTDOWN));
        // What hangs is not waited for; what it was about to make is deleted below, or by what follows its failure.
        for job in &mut self.jobs {
            job.kill();
        }
        let left: Vec<String> = self.containers.iter().filter(|c| !c.deleted).map(|c| c.id.clone()).collect();
        for id in left {
            // A container whose `create` is under way is deleted when that is done.
            let _ = self.delete(None, &id, true);
        }
        self.stop_pause();
        Ok(())
    }

    /// Goes on with a shutdown; true once everything is gone and answered.
    pub(crate) fn shut_down(&mut self) -> bool {
        let ids: Vec<String> = self
            .containers
            .iter()
            .filter(|c| !c.busy && !c.deleted && c.status != Status::Creating)
            .map(|c| c.id.clone())
            .collect();
        for id in ids {
            let _ = self.delete(None, &id, true);
        }
        let Some((caller, deadline)) = self.shutdown else { return false };
        if !self.containers.is_empty() || !self.jobs.is_empty() || self.pod.pause_alive() {
            if Instant::now() > deadline {
                let what = match self.containers.first() {
                    Some(left) => format!("container {} can't be deleted", left.id),
                    None => "a runtime does not end".to_owned(),
                };
                self.shutdown = None;
                self.answer(Some(caller), Err(failure(FailureKind::Runtime, what)), None);
            }
            return false;
        }
        let result = self.unpin();
        self.answer(Some(caller), result.map(|()| Reply::Done), None);
        true
    }
}
