//! The container's init until it becomes the program: one step after the other, in the order of [`run`].

mod copy;
mod dev;
mod hide;
pub mod hooks;
mod label;
mod mount;
mod net;
pub mod resolve;
mod root;
mod unpivoted;

pub use mount::{attach, attributes as set_mount_attributes, open_bind, propagate};
pub use root::{needs_parent, open_root};

use crate::{
    plan::{Plan, ids, namespaces::Kind, process::Process},
    process::{
        channel::{Channel, Message},
        failure::{Failure, Result, Step as _},
        finish,
        procfs::Proc,
        spawn, terminal,
    },
    state::{State, Status, pid::Identity},
};
use husk_sys::{Errno, exec::exit_now, fd, signal};
use rustix::{
    process::{DumpableBehavior, Gid, Uid},
    thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid},
};
use std::{
    convert::Infallible,
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd, RawFd},
    path::PathBuf,
};

/// How the child waits for its start.
#[derive(Debug)]
pub enum Barrier {
    /// `run`: the parent says so.
    Parent,
    /// `create`: a byte from the exec FIFO, opened for reading and writing. A failed exec is told by it, too.
    Fifo(OwnedFd),
}

/// What init needs besides the plan.
#[derive(Debug)]
pub struct Init {
    /// The host's procfs.
    pub proc: Proc,
    /// The container's cgroup directory, for a cgroup mount without a cgroup namespace.
    pub cgroup: Option<PathBuf>,
    /// How it waits for its start.
    pub barrier: Barrier,
    /// The root filesystem, where it is mounted in the creator's mount namespace.
    pub host_root: Option<OwnedFd>,
    /// Do not use pivot_root.
    pub no_pivot: bool,
    /// Descriptors from 3 on that the program is to have.
    pub keep_fds: u32,
    /// The container's state, for hooks.
    pub state: State,
}

/// Runs the child to its end: the program, or a message of what failed. `outside` says that it is not in its cgroup yet.
pub fn run(plan: &Plan, process: &Process, init: Init, channel: &Channel, outside: bool) -> ! {
    let entered = if outside { channel.wait_for_go() } else { Ok(()) };
    let Err(failure) = entered.and_then(|()| try_run(plan, process, init, channel));
    let code = i32::from(failure.code);
    let _ = channel.send(&Message::Failed(failure));
    exit_now(code)
}

fn try_run(plan: &Plan, process: &Process, init: Init, channel: &Channel) -> Result<Infallible> {
    let_go(&init, channel)?;
    finish::reset_affinity(channel)?;
    // A session of its own: no signal of the caller's terminal, and a terminal can become the controlling one.
    rustix::process::setsid()
        .map(drop)
        .or_else(|errno| if errno == Errno::PERM { Ok(()) } else { Err(errno) })
        .step(|| "setsid".into())?;
    // Its pid as the host sees it, for the state that hooks get.
    let state =
        &State { init: init.proc.own_pid().map(|pid| Identity { pid, start: 0 }), ..init.state.clone() };
    let trees = enter(plan, channel)?;
    if plan.namespaces.is_new(Kind::Network) {
        net::loopback_up()?;
    }
    if !plan.net_devices.is_empty() {
        channel.report(&Message::NeedDevices)?;
        channel.wait_for_go()?;
    }
    let unpivoted = if init.no_pivot && !plan.shares_mounts() {
        Some(unpivoted::Unpivoted::find(&init.proc)?)
    } else {
        None
    };
    let root = root::build(plan, &init, trees)?;
    names(plan, &init)?;
    // A question and its answer cost two changes of process: asked only where the parent has hooks to run.
    if !(plan.hooks.prestart.is_empty() && plan.hooks.create_runtime.is_empty()) {
        channel.report(&Message::Mounted)?;
        channel.wait_for_go()?;
    }
    if !plan.hooks.create_container.is_empty() {
        // They reach the root filesystem by their working directory, as with runc.
        rustix::process::fchdir(&root).step(|| "enter the root filesystem".into())?;
    }
    hooks::run_in_child(&plan.hooks.create_container, state, Status::Creating)?;
    let slave = match process.terminal {
        true => Some(terminal::open(root.as_fd(), process.console_size, channel)?),
        false => None,
    };
    match &slave {
        Some(slave) => dev::console(root.as_fd(), slave)?,
        None => dev::null_streams(root.as_fd(), &init.proc)?,
    }
    root::finish(plan, &root)?;
    root::change(plan, &root, unpivoted.as_ref())?;
    drop((root, unpivoted));
    if let Some(slave) = &slave {
        terminal::take(slave, process.uid, process.gid)?;
    }
    drop(slave);
    // From here on the rights go: what is open in this process must not be got at by those who share its user.
    let _ = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let context =
        finish::Context { process, channel, keyring: finish::keyring(state), keep_fds: init.keep_fds };
    let mut prepared = finish::prepare(&context, &init.proc)?;
    // It may wait for its start for long, with nothing of the host in its hands but the FIFO.
    drop(init.proc);
    channel.report(&Message::Ready)?;
    let started = wait(&init.barrier, channel).and_then(|()| {
        if !plan.hooks.start_container.is_empty() {
            // They may be programs of the image's.
            finish::filter(&context, &mut prepared)?;
        }
        hooks::run_before_program(&plan.hooks.start_container, state, &prepared.env)?;
        finish::execute(&context, &prepared)
    });
    let Err(failure) = started;
    if let Barrier::Fifo(fifo) = &init.barrier {
        // `create` is long gone; `start` reads this once the last writer, init, is gone.
        let text = serde_json::to_vec(&failure).unwrap_or_default();
        let _ = rustix::io::write(fifo, &text);
    }
    Err(failure)
}

/// Closes what was open in husk and at its caller's. A created container may wait for its start for long, and whoever reads
/// the other end of a pipe of the caller's would wait with it.
fn let_go(init: &Init, channel: &Channel) -> Result<()> {
    let mut keep = vec![channel.fd().as_raw_fd(), init.proc.raw()];
    keep.extend(init.host_root.as_ref().map(|root| root.as_raw_fd()));
    if let Barrier::Fifo(fifo) = &init.barrier {
        keep.push(fifo.as_raw_fd());
    }
    fd::close_in_child_but(3 + init.keep_fds as RawFd, &keep).step(|| "close_range".into())
}

/// Enters the namespaces that are left, and becomes root of a new user namespace. Gives the mounts that the parent opened.
fn enter<'a>(plan: &Plan, channel: &'a Channel) -> Result<root::Trees<'a>> {
    let own_user = plan.namespaces.has_own_or_joined(Kind::User);
    let mut trees = root::Trees::new(channel);
    if own_user || plan.mounts.iter().any(|mount| needs_parent(plan, mount)) {
        channel.report(&Message::NeedMaps)?;
        loop {
            match channel.receive().step(|| "wait for husk".into())? {
                Some((Message::Tree(index), Some(fd))) => trees.add(index, fd),
                Some((Message::Go, _)) => break,
                _ => return Err(Failure::text("husk ended before the container was ready")),
            }
        }
    }
    if own_user {
        become_root(plan)?;
    }
    spawn::enter_late(&plan.namespaces)?;
    Ok(trees)
}

fn become_root(plan: &Plan) -> Result<()> {
    let maps = &plan.namespaces.maps;
    let (uid, gid) = (ids::setup_id(&maps.uids), ids::setup_id(&maps.gids));
    match set_thread_groups(&[]) {
        // setgroups is denied where an ordinary user maps its own group alone.
        Ok(()) | Err(Errno::PERM) => {}
        Err(errno) => return Err(Failure::call("drop additional groups", errno)),
    }
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    // Changing ids would clear the effective capabilities of a non-root id.
    rustix::thread::set_keep_capabilities(true).step(|| "prctl(PR_SET_KEEPCAPS)".into())?;
    set_thread_res_gid(gid, gid, gid).step(|| "become a group of the user namespace: setresgid".into())?;
    set_thread_res_uid(uid, uid, uid).step(|| "become root of the user namespace: setresuid".into())?;
    if !uid.is_root() {
        let mut sets = rustix::thread::capabilities(None).step(|| "capget".into())?;
        sets.effective = sets.permitted;
        rustix::thread::set_capabilities(None, sets).step(|| "capset".into())?;
    }
    // Changing ids cleared it; /proc/self would belong to the host's root then, and could not be written.
    rustix::process::set_dumpable_behavior(DumpableBehavior::Dumpable)
        .step(|| "prctl(PR_SET_DUMPABLE)".into())
}

/// Host and domain name, and kernel parameters.
fn names(plan: &Plan, init: &Init) -> Result<()> {
    if let Some(name) = &plan.hostname {
        rustix::system::sethostname(name.as_bytes()).step(|| format!("set hostname {name:?}"))?;
    }
    if let Some(name) = &plan.domainname {
        rustix::system::setdomainname(name.as_bytes()).step(|| format!("set domainname {name:?}"))?;
    }
    for (path, value) in &plan.sysctls {
        let file = std::path::Path::new("sys").join(path);
        init.proc
            .write(&file, value.as_bytes())
            .step(|| format!("set linux.sysctl {} to {value:?}", path.display()))?;
    }
    Ok(())
}

fn wait(barrier: &Barrier, channel: &Channel) -> Result<()> {
    match barrier {
        Barrier::Parent => channel.wait_for_go(),
        Barrier::Fifo(fifo) => {
            // Who wants the container to end before its start says so as later; later the program has its own way.
            signal::end_at(&[1, 2, 3, 15]);
            // More than the one byte: a `start` that was killed may have left its own.
            let mut bytes = [0; 16];
            loop {
                match rustix::io::read(fifo, &mut bytes) {
                    Err(Errno::INTR) => {}
                    result => return result.map(drop).step(|| "wait at the exec FIFO".into()),
                }
            }
        }
    }
}
