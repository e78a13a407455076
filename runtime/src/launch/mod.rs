//! Making a container, from the bundle to an init process that waits for its start: what `create` and `run` share.

mod binary;
pub mod cgroup;
pub mod listener;
mod rollback;
pub mod scope;
mod trees;

pub use binary::protect;
pub use rollback::{Rollback, poststop};

use crate::{
    cli::Global,
    commands::ExitWith,
    init::{Barrier, Init, hooks, open_root},
    log, netdev, notify,
    plan::{self, Plan, config, namespaces::Kind},
    process::{
        channel::{Channel, Message},
        creds,
        failure::Failure,
        maps,
        procfs::Proc,
        rlimits, selinux,
        spawn::{self, Join, Side},
    },
    record,
    state::{Dir, HostRoot, Lock, State, Status, VERSION, pid::Identity},
};
use anyhow::{Context as _, bail};
use husk_sys::{clone::Child, fd};
use oci_spec::runtime::Spec;
use rustix::{
    fs::{CWD, FileType, Mode, OFlags},
    process::Pid,
};
use std::{
    os::fd::{AsFd as _, OwnedFd},
    path::{Path, PathBuf},
};

/// What the command line says about a new container.
#[derive(Clone, Debug)]
pub struct Options<'a> {
    /// Its id.
    pub id: &'a str,
    /// Directory of the bundle; the current one without.
    pub bundle: Option<&'a Path>,
    /// Socket for the terminal's master.
    pub console_socket: Option<&'a Path>,
    /// Socket for a pidfd of init.
    pub pidfd_socket: Option<&'a Path>,
    /// File for init's pid.
    pub pid_file: Option<&'a Path>,
    /// Do not use pivot_root.
    pub no_pivot: bool,
    /// Keep the caller's session keyring.
    pub no_new_keyring: bool,
    /// Descriptors to pass on, after those of `LISTEN_FDS`.
    pub preserve_fds: u32,
    /// Whether husk ends before the container does.
    pub detach: bool,
    /// Whether the exec FIFO is made, for `start`; without it the caller starts the container by [`Launched::channel`].
    pub fifo: bool,
}

/// A container whose init waits for its start.
#[derive(Debug)]
pub struct Launched {
    /// State directory.
    pub dir: Dir,
    /// Its content.
    pub state: State,
    /// The plan.
    pub plan: Plan,
    /// Init.
    pub child: Child,
    /// The way to init.
    pub channel: Channel,
    /// The terminal's master, where it was not sent away.
    pub master: Option<OwnedFd>,
    /// The state's lock.
    pub lock: Lock,
    /// Undoes it all when dropped; [`Rollback::keep`] is what the caller calls when all is well.
    pub rollback: Rollback,
}

impl Launched {
    /// Lets init execute the program, waits until it has, and runs the poststart hooks. For a container without FIFO.
    pub fn start(&mut self) -> anyhow::Result<()> {
        // Before the program runs: where the state can't be written, it never does.
        self.state.creator = None;
        self.dir.save(&self.state)?;
        self.channel.send(&Message::Go).context("tell the container's init to start")?;
        loop {
            match self.channel.receive().context("wait for the program")? {
                // Closed by exec: the program runs.
                None => break,
                Some((Message::Warning(text), _)) => log::warn(&text),
                Some((Message::Failed(failure), _)) => return Err(self.not_started(failure)),
                Some((other, _)) => bail!("the container's init said {other:?} out of turn"),
            }
        }
        self.rollback.started = true;
        for hook in &self.plan.hooks.poststart {
            // The container ends with the error, by the rollback (runtime.md, "Lifecycle").
            hooks::run(hook, &self.state, Status::Running).map_err(anyhow::Error::msg)?;
        }
        Ok(())
    }

    fn not_started(&self, failure: Failure) -> anyhow::Error {
        record::not_started(&self.dir, &self.state, &failure);
        ExitWith::from(failure).into()
    }
}

/// Makes the container.
pub fn launch(global: &Global, options: &Options<'_>) -> anyhow::Result<Launched> {
    crate::state::id::check(options.id)?;
    let bundle = options.bundle.unwrap_or(Path::new("."));
    let bundle = bundle.canonicalize().with_context(|| format!("bundle {}", bundle.display()))?;
    // The state that others read is JSON, which has no other text.
    bundle.to_str().with_context(|| format!("bundle {bundle:?}: the path is not UTF-8"))?;
    let (mut spec, text) = config::read(&bundle.join("config.json"))?;
    let listen = listen_fds(&mut spec)?;
    notify::add_to(&mut spec, &global.root().join(options.id))?;
    let mut plan = plan::plan(&spec, &bundle)?;
    check(&plan, options)?;
    let keep_fds = listen + options.preserve_fds;
    for number in 3..3 + i64::from(keep_fds) {
        if !i32::try_from(number).is_ok_and(fd::is_open) {
            let named = if number < 3 + i64::from(listen) {
                format!("LISTEN_FDS={listen}")
            } else {
                format!("--preserve-fds {}", options.preserve_fds)
            };
            bail!("{named}: descriptor {number} is not open");
        }
    }
    let proc = Proc::open()?;
    if let Some(process) = &plan.process {
        selinux::check(process, &proc)?;
    }
    // As with runc, an engine may give it everywhere.
    plan.mount_label.take_if(|_| !selinux::is_on(&proc));

    let (dir, lock) = Dir::create(&global.root(), options.id)?;
    let mut rollback = Rollback::new(dir.clone());
    let mut state = first_state(&spec, options.id, &bundle, &plan)?;
    state.no_new_keyring = options.no_new_keyring;
    let host_root = if plan.shares_mounts() { Some(open_root(&plan.rootfs)?) } else { None };
    state.host_root = host_root.as_ref().map(|tree| HostRoot::of(&plan.rootfs, tree)).transpose()?;
    rollback.host_root.clone_from(&state.host_root);
    let placed = cgroup::place(global, &spec, options.id)?;
    (state.cgroup, state.unit) = (placed.path(), placed.unit());
    // Before anything is made: whoever finds the rest of a killed husk then knows what to remove.
    dir.write("config.json", &text)?;
    dir.save(&state)?;
    let made = cgroup::make(global, &placed, &spec, &state)?;
    state.cgroup = made.as_ref().map(|made| made.cgroup.path().to_owned());
    rollback.cgroup = made.as_ref().map(|made| made.cgroup.clone());
    rollback.unit.clone_from(&state.unit);
    notify::make_folder(dir.path())?;
    let barrier = if options.fifo { fifo(&dir)? } else { Barrier::Parent };

    let cgroup_dir = made.as_ref().map(|made| made.cgroup.dir()).transpose()?;
    let mut target = spawn::Target {
        namespaces: &plan.namespaces,
        join: Join::Paths,
        cgroup: cgroup_dir.as_ref().map(OwnedFd::as_fd),
        proc: &proc,
    };
    let process = plan.process.as_ref().context("config.json: process: is missing")?;
    if let Some(filter) = &process.seccomp {
        log::debug(&format!("seccomp filter flags: {}", filter.flags));
    }
    let mut outside = false;
    let side = match spawn::spawn(&target) {
        Err(error) if state.unit.is_some() && scope::is_foreign(&error) => {
            (target.cgroup, outside) = (None, true);
            spawn::spawn(&target)?
        }
        side => side?,
    };
    let (child, channel, mapped) = match side {
        Side::Child(channel) => {
            let init = Init {
                proc,
                cgroup: state.cgroup.clone(),
                barrier,
                host_root,
                no_pivot: options.no_pivot,
                keep_fds,
                state,
            };
            crate::init::run(&plan, process, init, &channel, outside)
        }
        Side::Parent(child, channel, mapped) => (child, channel, mapped),
    };
    drop((barrier, host_root));
    rollback.child = Some(child.pidfd.try_clone().context("duplicate the pidfd")?);
    if let Some(cgroup::Made { cgroup, scope: Some(scope) }) = made {
        scope.filled(&cgroup, &child, outside.then_some(&channel))?;
    }
    rollback.poststop.clone_from(&plan.hooks.poststop);
    state.init = Identity::of(child.pid);
    log::debug(&format!("init is process {}, cgroup {:?}", child.pid, state.cgroup));
    rollback.state = Some(state.clone());
    dir.save(&state)?;
    oom_score(&proc, child.pid, process.oom_score_adj)?;

    let mut parent = Parent {
        options,
        dir: &dir,
        plan: &plan,
        proc: &proc,
        child: &child,
        state: &state,
        mapped,
        master: None,
    };
    parent.converse(&channel)?;
    let master = parent.master.take();
    if let Some(path) = options.pidfd_socket {
        send_pidfd(path, &child)?;
    }
    if let Some(path) = options.pid_file {
        crate::state::pid::write(path, child.pid).context("--pid-file")?;
    }
    if options.fifo {
        state.creator = None;
        dir.save(&state)?;
    }
    Ok(Launched { dir, state, plan, child, channel, master, lock, rollback })
}

/// Socket activation: `LISTEN_FDS` of husk's environment is passed on, with the pid that the program has.
fn listen_fds(spec: &mut Spec) -> anyhow::Result<u32> {
    let own_pid = std::process::id().to_string();
    let Ok(count) = std::env::var("LISTEN_FDS") else { return Ok(0) };
    if std::env::var("LISTEN_PID").is_ok_and(|pid| pid != own_pid) {
        return Ok(0);
    }
    let count: u32 = count.parse().with_context(|| format!("LISTEN_FDS={count:?} is not a number"))?;
    if count > 0 {
        config::add_variable(spec, format!("LISTEN_FDS={count}"));
        config::add_variable(spec, "LISTEN_PID=1".to_owned());
    }
    Ok(count)
}

/// What config.json and the command line say together.
pub fn check(plan: &Plan, options: &Options<'_>) -> anyhow::Result<()> {
    let terminal = plan.process.as_ref().is_some_and(|process| process.terminal);
    match (terminal, options.detach, options.console_socket) {
        (true, true, None) => {
            bail!(
                "process.terminal is true and husk does not stay: --console-socket must say who gets the terminal"
            )
        }
        (false, _, Some(_)) => bail!("--console-socket is of no use: process.terminal is not true"),
        (true, false, Some(_)) => {
            bail!("--console-socket is for a container that is created or run with --detach")
        }
        _ => {}
    }
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let rootfs = rustix::fs::openat(CWD, &plan.rootfs, flags, Mode::empty())
        .with_context(|| format!("config.json: root.path: open {}", plan.rootfs.display()))?;
    let stat = rustix::fs::fstat(&rootfs)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        bail!("config.json: root.path: {} is not a directory", plan.rootfs.display());
    }
    Ok(())
}

/// The state of a container that is being made.
pub fn first_state(spec: &Spec, id: &str, bundle: &Path, plan: &Plan) -> anyhow::Result<State> {
    let namespaces = Kind::ALL.iter().filter(|kind| plan.namespaces.has_own_or_joined(**kind));
    Ok(State {
        version: VERSION,
        oci_version: spec.version().clone(),
        id: id.to_owned(),
        init: None,
        creator: Some(Identity::own().with_context(|| {
            let reason = std::io::Error::last_os_error();
            format!("read the start time of husk itself from /proc: {reason}")
        })?),
        bundle: bundle.to_owned(),
        rootfs: plan.rootfs.canonicalize().unwrap_or_else(|_| plan.rootfs.clone()),
        created: crate::clock::now_rfc3339(),
        owner: rustix::process::geteuid().as_raw(),
        cgroup: None,
        unit: None,
        host_root: None,
        rootless: !rustix::process::geteuid().is_root(),
        no_new_keyring: false,
        namespaces: namespaces.map(|kind| kind.word().to_owned()).collect(),
        annotations: spec.annotations().clone().unwrap_or_default().into_iter().collect(),
    })
}

/// Makes the FIFO and opens it for init.
fn fifo(dir: &Dir) -> anyhow::Result<Barrier> {
    let path = dir.fifo();
    rustix::fs::mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)
        .with_context(|| format!("make {}", path.display()))?;
    // For reading and writing: opening does not wait, and reading does not end when a writer does.
    let fifo = rustix::fs::openat(CWD, &path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
        .with_context(|| format!("open {}", path.display()))?;
    Ok(Barrier::Fifo(fifo))
}

fn oom_score(proc: &Proc, pid: i32, score: Option<i32>) -> anyhow::Result<()> {
    let Some(score) = score else { return Ok(()) };
    let file = PathBuf::from(format!("{pid}/oom_score_adj"));
    match proc.write(&file, score.to_string().as_bytes()) {
        // Only CAP_SYS_RESOURCE may make a process less likely to be killed than its parent.
        Err(husk_sys::Errno::ACCESS | husk_sys::Errno::PERM) => {
            log::debug(&format!("process.oomScoreAdj {score} was not set: husk lacks CAP_SYS_RESOURCE"));
            Ok(())
        }
        result => result.with_context(|| format!("set process.oomScoreAdj to {score}")),
    }
}

fn send_pidfd(path: &Path, child: &Child) -> anyhow::Result<()> {
    crate::socket::send_fd(path, child.pidfd.as_fd(), b"pidfd")
        .with_context(|| format!("send the pidfd to --pidfd-socket {}", path.display()))
}

/// The parent's side of the conversation with a starting init.
struct Parent<'a> {
    options: &'a Options<'a>,
    dir: &'a Dir,
    plan: &'a Plan,
    proc: &'a Proc,
    child: &'a Child,
    state: &'a State,
    mapped: bool,
    master: Option<OwnedFd>,
}

impl Parent<'_> {
    /// Answers init until it is ready.
    fn converse(&mut self, channel: &Channel) -> anyhow::Result<()> {
        loop {
            let Some((message, fd)) = channel.receive().context("talk to the container's init")? else {
                return Err(died(self.child));
            };
            match message {
                Message::NeedMaps => {
                    if self.plan.namespaces.is_new(Kind::User) && !self.mapped {
                        maps::write(self.proc, self.child.pid, &self.plan.namespaces.maps)?;
                    }
                    if let Some(process) = &self.plan.process {
                        creds::give_streams_from_host(process, &self.plan.namespaces.maps);
                        rlimits::raise(Pid::from_raw(self.child.pid), &process.rlimits);
                    }
                    trees::send(self.plan, self.proc, self.child.pid, channel)?;
                    channel.send(&Message::Go)?;
                }
                Message::MapIds(index) => {
                    let tree = fd.context("no mount came along")?;
                    let mount = self.plan.mounts.iter().find(|mount| mount.index == index);
                    let mount = mount.context("there is no such mount")?;
                    trees::map_ids(mount, &tree, self.proc, self.child.pid)?;
                    channel.send(&Message::Go)?;
                }
                Message::NeedDevices => {
                    netdev::move_all(&self.plan.net_devices, self.proc, self.child.pid)?;
                    channel.send(&Message::Go)?;
                }
                Message::Mounted => {
                    for hook in self.plan.hooks.prestart.iter().chain(&self.plan.hooks.create_runtime) {
                        hooks::run(hook, self.state, Status::Creating).map_err(anyhow::Error::msg)?;
                    }
                    channel.send(&Message::Go)?;
                }
                Message::Console => self.console(fd.context("no terminal came along")?)?,
                Message::Listener(number) => {
                    if let Some(filter) =
                        self.plan.process.as_ref().and_then(|process| process.seccomp.as_ref())
                    {
                        listener::pass_on(filter, number, self.child, self.state, Status::Creating)?;
                    }
                    channel.send(&Message::Go)?;
                }
                Message::Warning(text) => log::warn(&text),
                Message::Failed(failure) => {
                    if failure.start.is_some() {
                        record::not_started(self.dir, self.state, &failure);
                    }
                    return Err(ExitWith::from(failure).into());
                }
                Message::Ready => return Ok(()),
                other => bail!("the container's init said {other:?} out of turn"),
            }
        }
    }

    fn console(&mut self, master: OwnedFd) -> anyhow::Result<()> {
        match self.options.console_socket {
            Some(path) => crate::socket::send_fd(path, master.as_fd(), b"/dev/ptmx")
                .with_context(|| format!("send the terminal to --console-socket {}", path.display())),
            None => {
                self.master = Some(master);
                Ok(())
            }
        }
    }
}

/// Init ended without a word.
fn died(child: &Child) -> anyhow::Error {
    let how = spawn::ending(child, "; is the memory limit too small for it to start?");
    anyhow::anyhow!("the container's init {how} before the program was started")
}
