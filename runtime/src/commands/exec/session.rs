//! The two sides of a starting exec: husk, and the process that has joined the container.

use crate::{
    commands::{ExitWith, target::Target},
    launch::{self, listener},
    log,
    plan::{namespaces, process::Process},
    process::{
        channel::{Channel, Message},
        failure::{Result as StepResult, Step as _},
        finish,
        procfs::Proc,
        rlimits, selinux,
        spawn::{self, Join, Side},
        terminal,
    },
};
use anyhow::{Context as _, bail};
use husk_cgroup::systemd::Manager;
use husk_sys::{Errno, clone::Child, exec::exit_now};
use rustix::{
    fs::{CWD, Mode, OFlags},
    process::{DumpableBehavior, WaitId, WaitIdOptions},
};
use std::{
    convert::Infallible,
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd, RawFd},
    path::{Path, PathBuf},
};

/// An exec that is to be.
pub struct Session<'a> {
    /// The container.
    pub target: &'a Target,
    /// What is executed.
    pub process: &'a Process,
    /// Descriptors from 3 on that the program is to have.
    pub keep_fds: u32,
    /// Socket for the terminal's master.
    pub console_socket: Option<&'a Path>,
    /// Directories of cgroups to be born in; the first one that takes processes is it.
    pub cgroups: Vec<PathBuf>,
}

/// The process at its barrier.
#[derive(Debug)]
pub struct Ready {
    /// The process.
    pub child: Child,
    /// The way to it.
    pub channel: Channel,
    /// The terminal's master, where it was not sent away.
    pub master: Option<OwnedFd>,
}

impl Session<'_> {
    /// Forks into the container and answers the new process until it is ready.
    pub fn join(&self) -> anyhow::Result<Ready> {
        let state = &self.target.state;
        let init = state.init.and_then(|init| init.open()).filter(|_| self.target.has_init());
        let Some(init) = init else { return Err(self.target.need_init().err().unwrap_or_else(gone)) };
        let proc = Proc::open()?;
        selinux::check(self.process, &proc)?;
        self.prepare_self()?;
        let kinds = self.kinds(&proc)?;
        // Without a mount namespace of the container's, joining leads to the host's root.
        let root = match &state.host_root {
            Some(_) => Some(self.root_of_init(&proc)?),
            None => None,
        };
        // Labels are written through the host's procfs; nothing else of the host goes along.
        let labelled = self.process.apparmor.is_some() || self.process.selinux.is_some();
        let none = namespaces::Plan::default();
        let mut last = None;
        for cgroup in self.cgroups.iter().map(Some).chain(self.cgroups.is_empty().then_some(None)) {
            let dir = match cgroup.map(|path| open_cgroup(path)).transpose() {
                // Whoever moved init to another group may have removed this one.
                Err(error) if is(&error, Errno::NOENT) => {
                    last = Some(error);
                    continue;
                }
                dir => dir?,
            };
            let mut target = spawn::Target {
                namespaces: &none,
                join: Join::Process {
                    pidfd: init.as_fd(),
                    kinds: kinds.clone(),
                    close_from: 3 + self.keep_fds as RawFd,
                    keep: labelled
                        .then(|| proc.raw())
                        .into_iter()
                        .chain(root.as_ref().map(|root| root.as_raw_fd()))
                        .collect(),
                },
                cgroup: dir.as_ref().map(OwnedFd::as_fd),
                proc: &proc,
            };
            let unit = state.unit.as_deref();
            let mut outside = None;
            let side = match spawn::spawn(&target) {
                Err(error) if unit.is_some() && launch::scope::is_foreign(&error) => {
                    (target.cgroup, outside) = (None, unit);
                    spawn::spawn(&target)
                }
                side => side,
            };
            match side {
                Ok(Side::Child(channel)) => self.child(&channel, &proc, root.as_ref(), outside.is_some()),
                Ok(Side::Parent(child, channel, _)) => {
                    if let Some(unit) = outside {
                        let mut manager = Manager::connect(launch::scope::of_user())?;
                        launch::scope::bring_in(&mut manager, unit, &child, &channel)?;
                    }
                    return self.converse(child, channel, &proc);
                }
                // It has child groups with controllers and takes no processes itself: try where init is.
                Err(error) if is(&error, Errno::BUSY) => last = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(last.unwrap_or_else(gone).context("join the container's cgroup"))
    }

    /// What the new process inherits and could not do itself.
    fn prepare_self(&self) -> anyhow::Result<()> {
        // A process of the container must not trace the new one (CVE-2016-9962). An ordinary user's own /proc files would
        // become root's by that, and setns with a pidfd needs them: there the child does it.
        if rustix::process::geteuid().is_root() {
            rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
                .context("prctl(PR_SET_DUMPABLE)")?;
        }
        rlimits::raise(None, &self.process.rlimits);
        if let Some(cpus) = &self.process.sched.cpus_initial {
            finish::set_affinity(cpus, "initial").map_err(ExitWith::from)?;
            // As a mask, which is how runc tells of it.
            let mask = cpus.iter().fold(0, |mask, cpu| mask | 1_u128.checked_shl(*cpu as u32).unwrap_or(0));
            log::debug(&format!("initial CPU affinity: {mask:#x}"));
        }
        Ok(())
    }

    /// The namespaces to join. One's own user namespace can't be joined (setns(2)), so that is left out.
    fn kinds(&self, proc: &Proc) -> anyhow::Result<Vec<namespaces::Kind>> {
        let state = &self.target.state;
        let pid = state.init.map_or(0, |init| init.pid);
        let link = |who: &str| {
            let path = format!("{who}/ns/user");
            proc.link(Path::new(&path)).with_context(|| format!("read /proc/{path}"))
        };
        let own_user = link("self")? == link(&pid.to_string())?;
        let of_container = |kind: &namespaces::Kind| {
            state.namespaces.iter().any(|word| word == kind.word())
                // It is its creator's, which may not be the caller's.
                || (*kind == namespaces::Kind::Mount && state.host_root.is_some())
        };
        Ok(namespaces::Kind::ALL
            .into_iter()
            .filter(of_container)
            .filter(|kind| !(own_user && *kind == namespaces::Kind::User))
            .collect())
    }

    fn root_of_init(&self, proc: &Proc) -> anyhow::Result<OwnedFd> {
        let pid = self.target.state.init.map_or(0, |init| init.pid);
        proc.behind(&pid.to_string(), "root", OFlags::PATH | OFlags::DIRECTORY)
            .with_context(|| format!("open /proc/{pid}/root"))
    }

    fn child(&self, channel: &Channel, proc: &Proc, root: Option<&OwnedFd>, outside: bool) -> ! {
        let entered = if outside { channel.wait_for_go() } else { Ok(()) };
        let Err(failure) = entered.and_then(|()| self.try_child(channel, proc, root));
        let code = i32::from(failure.code);
        let _ = channel.send(&Message::Failed(failure));
        exit_now(code)
    }

    fn try_child(&self, channel: &Channel, proc: &Proc, root: Option<&OwnedFd>) -> StepResult<Infallible> {
        if let Some(root) = root {
            rustix::process::fchdir(root)
                .and_then(|()| rustix::process::chroot("."))
                .step(|| "change to the container's root: chroot".into())?;
        }
        rustix::process::setsid()
            .map(drop)
            .or_else(|errno| if errno == Errno::PERM { Ok(()) } else { Err(errno) })
            .step(|| "setsid".into())?;
        match (&self.process.sched.cpus_initial, &self.process.sched.cpus_final) {
            (_, Some(cpus)) => finish::set_affinity(cpus, "final")?,
            (None, None) => finish::reset_affinity(channel)?,
            (Some(_), None) => {}
        }
        if self.process.terminal {
            let root = rustix::fs::openat(CWD, "/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
                .step(|| "open /".into())?;
            let slave = terminal::open(root.as_fd(), self.process.console_size, channel)?;
            terminal::take(&slave, self.process.uid, self.process.gid)?;
        }
        let _ = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
        let context = finish::Context {
            process: self.process,
            channel,
            keyring: finish::keyring(&self.target.state),
            keep_fds: self.keep_fds,
        };
        let prepared = finish::prepare(&context, proc)?;
        channel.report(&Message::Ready)?;
        channel.wait_for_go()?;
        finish::execute(&context, &prepared)
    }

    /// Answers the child until it is ready.
    fn converse(&self, child: Child, channel: Channel, proc: &Proc) -> anyhow::Result<Ready> {
        self.oom_score(proc, child.pid)?;
        let mut master = None;
        loop {
            let Some((message, fd)) = channel.receive().context("talk to the new process")? else {
                return Err(died(&child));
            };
            match message {
                Message::Console => {
                    let fd = fd.context("no terminal came along")?;
                    match self.console_socket {
                        Some(path) => {
                            crate::socket::send_fd(path, fd.as_fd(), b"/dev/ptmx").with_context(|| {
                                format!("send the terminal to --console-socket {}", path.display())
                            })?
                        }
                        None => master = Some(fd),
                    }
                }
                Message::Listener(number) => {
                    if let Some(filter) = &self.process.seccomp {
                        let status = self.target.status();
                        listener::pass_on(filter, number, &child, &self.target.state, status)?;
                    }
                    channel.send(&Message::Go)?;
                }
                Message::Warning(text) => log::warn(&text),
                Message::Failed(failure) => {
                    reap(&child);
                    return Err(ExitWith::from(failure).into());
                }
                Message::Ready => return Ok(Ready { child, channel, master }),
                other => bail!("the new process said {other:?} out of turn"),
            }
        }
    }

    fn oom_score(&self, proc: &Proc, pid: i32) -> anyhow::Result<()> {
        let Some(score) = self.process.oom_score_adj else { return Ok(()) };
        match proc.write(&PathBuf::from(format!("{pid}/oom_score_adj")), score.to_string().as_bytes()) {
            // Only CAP_SYS_RESOURCE may make a process less likely to be killed than its parent.
            Err(Errno::ACCESS | Errno::PERM) => {
                log::debug(&format!("process.oomScoreAdj {score} was not set: husk lacks CAP_SYS_RESOURCE"));
                Ok(())
            }
            // It has failed already, and says how.
            Err(Errno::NOENT | Errno::SRCH) => Ok(()),
            result => result.with_context(|| format!("set process.oomScoreAdj to {score}")),
        }
    }
}

impl Ready {
    /// Lets the process execute the program, and waits until it has.
    pub fn start(&self) -> anyhow::Result<()> {
        self.channel.send(&Message::Go).context("tell the new process to start")?;
        loop {
            match self.channel.receive().context("wait for the program")? {
                // Closed by exec: the program runs.
                None => return Ok(()),
                Some((Message::Warning(text), _)) => log::warn(&text),
                Some((Message::Failed(failure), _)) => {
                    reap(&self.child);
                    return Err(ExitWith::from(failure).into());
                }
                Some((other, _)) => bail!("the new process said {other:?} out of turn"),
            }
        }
    }
}

fn open_cgroup(path: &Path) -> anyhow::Result<OwnedFd> {
    husk_cgroup::Cgroup::open(path).dir().with_context(|| format!("open cgroup {}", path.display()))
}

fn is(error: &anyhow::Error, errno: Errno) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<Errno>() == Some(&errno)
            || cause.downcast_ref::<husk_cgroup::Error>().and_then(husk_cgroup::Error::errno)
                == Some(errno.raw_os_error())
    })
}

fn gone() -> anyhow::Error {
    anyhow::anyhow!("container not running: it has just ended")
}

fn reap(child: &Child) {
    let _ = rustix::process::waitid(WaitId::PidFd(child.pidfd.as_fd()), WaitIdOptions::EXITED);
}

/// The process ended without a word.
fn died(child: &Child) -> anyhow::Error {
    let how = spawn::ending(child, ": the container has ended, or has no memory left");
    anyhow::anyhow!("the new process {how} before the program was started")
}
