//! `restore`: from a bundle and images to a running container.

use super::{
    config_file,
    criu::{Criu, Notification, Start},
    empty_ns, failed,
    flags::Flags,
    mounts, need_root, outside,
    rpc::{CgroupsMode, Kind as Request, Only, Options, Restore},
    stage,
    view::View,
};
use crate::{
    cli::Global,
    init::hooks,
    launch::{self, Rollback},
    plan::{self, Plan, config, namespaces::Kind},
    process::failure::Step as _,
    state::{Dir, Lock, State, Status, pid::Identity},
};
use anyhow::{Context as _, bail};
use husk_cgroup::{Cgroup, Hierarchy};
use husk_sys::clone::{Child, Namespaces};
use rustix::process::{Pid, PidfdFlags};
use std::{
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd, RawFd},
    path::Path,
};

/// Name of criu's log.
const LOG: &str = "restore.log";

/// What the command line says beyond [`Flags`].
#[derive(Debug)]
pub struct Wanted<'a> {
    /// Flags of both commands.
    pub flags: &'a Flags,
    /// Id, bundle, console and pid file, as of a new container.
    pub options: launch::Options<'a>,
    /// TYPE:NAME of the profile of a security module.
    pub lsm_profile: Option<&'a str>,
    /// Context of mounts.
    pub lsm_mount_context: Option<&'a str>,
}

/// A restored container, which runs.
#[derive(Debug)]
pub struct Restored {
    /// State directory.
    pub dir: Dir,
    /// Its content.
    pub state: State,
    /// Init.
    pub child: Child,
    /// The terminal's master, where it was not sent away.
    pub master: Option<OwnedFd>,
    /// The state's lock.
    pub lock: Lock,
}

/// Makes the container's state and cgroup, and has criu fill them.
pub fn restore(global: &Global, wanted: &Wanted<'_>) -> anyhow::Result<Restored> {
    need_root()?;
    let (flags, options) = (wanted.flags, &wanted.options);
    crate::state::id::check(options.id)?;
    flags.check()?;
    let empty = flags.empty_network()?;
    let bundle = options.bundle.unwrap_or(Path::new("."));
    let bundle = bundle.canonicalize().with_context(|| format!("bundle {}", bundle.display()))?;
    let (spec, text) = config::read(&bundle.join("config.json"))?;
    let plan = plan::plan(&spec, &bundle)?;
    launch::check(&plan, options)?;
    mounts::check(&plan)?;
    let joined = outside::join(&plan)?;
    let mut dirs = flags.dirs(false)?;
    if !dirs.images.join("inventory.img").exists() {
        bail!(
            "--image-path {}: there is no inventory.img: no checkpoint was completed there",
            dirs.images.display()
        );
    }
    let streams = outside::load(&dirs.images)?;
    let criu = Criu::find(&global.criu)?;

    let (dir, lock) = Dir::create(&global.root(), options.id)?;
    let mut rollback = Rollback::new(dir.clone());
    let mut state = launch::first_state(&spec, options.id, &bundle, &plan)?;
    let placed = launch::cgroup::place(global, &spec, options.id)?;
    (state.cgroup, state.unit) = (placed.path(), placed.unit());
    // Before anything is made: whoever finds the rest of a killed husk then knows what to remove.
    dir.write("config.json", &text)?;
    dir.save(&state)?;
    let made = launch::cgroup::make(global, &placed, &spec, &state)?;
    let (cgroup, scope) = made.map(|made| (made.cgroup, made.scope)).unzip();
    state.cgroup = cgroup.as_ref().map(|cgroup| cgroup.path().to_owned());
    rollback.cgroup.clone_from(&cgroup);
    rollback.unit.clone_from(&state.unit);

    let place = dir.path().join("criu-root");
    std::fs::create_dir(&place).with_context(|| format!("make {}", place.display()))?;
    let mut inherit: Vec<(String, RawFd)> =
        joined.inherit.iter().map(|(name, fd)| (name.clone(), fd.as_raw_fd())).collect();
    let mut keep = dirs.numbers();
    keep.extend(inherit.iter().map(|(_, number)| *number));
    inherit.extend(streams);
    let own_network = plan.namespaces.is_new(Kind::Network);
    let request = Options {
        images: dirs.images_fd.as_raw_fd(),
        work: dirs.work_fd.as_ref().map(OwnedFd::as_raw_fd),
        log: LOG,
        config: config_file(&spec),
        root: place.display().to_string(),
        cgroups: flags.manage_cgroups_mode,
        empty_ns: empty_ns(empty || own_network && !outside::images_have_devices(&dirs.images)),
        external: mounts::of_host(&plan, state.cgroup.as_deref())?,
        tcp_established: flags.tcp_established,
        tcp_close: flags.tcp_close,
        ext_unix_sk: flags.ext_unix_sk,
        shell_job: flags.shell_job,
        file_locks: flags.file_locks,
        auto_dedup: flags.auto_dedup,
        only: Only::Restore(Restore {
            cgroup_root: cgroup.as_ref().map(path_in_hierarchy).transpose()?,
            inherit,
            join: joined.join.clone(),
            lsm_profile: wanted.lsm_profile.map(str::to_owned),
            lsm_mount_context: wanted.lsm_mount_context.map(str::to_owned),
        }),
    };
    let view = view(&plan, flags, cgroup.as_ref())?;
    let mut prepare = || {
        view.enter()?;
        stage::enter(&plan, &place)?;
        // criu (3.17) forgets it; what criu has, its children and so the container's processes have, too.
        if plan.process.as_ref().is_some_and(|process| process.no_new_privs) {
            rustix::thread::set_no_new_privs(true).step(|| "prctl(PR_SET_NO_NEW_PRIVS)".into())?;
        }
        dirs.open_again()
    };
    let mut start = Start {
        namespaces: Namespaces::NEWNS,
        cgroup: view.birthplace(),
        keep: &keep,
        prepare: &mut prepare,
    };

    let mut master = None;
    let mut notify = |told: Notification| {
        match (told.script.as_str(), told.pid, told.fd) {
            ("setup-namespaces", Some(pid), _) => {
                let state = State { init: Identity::of(pid), ..state.clone() };
                for hook in plan.hooks.prestart.iter().chain(&plan.hooks.create_runtime) {
                    hooks::run(hook, &state, Status::Creating).map_err(anyhow::Error::msg)?;
                }
            }
            ("orphan-pts-master", _, Some(fd)) => match options.console_socket {
                Some(path) => crate::socket::send_fd(path, fd.as_fd(), b"/dev/ptmx")
                    .with_context(|| format!("send the terminal to --console-socket {}", path.display()))?,
                None => master = Some(fd),
            },
            _ => {}
        }
        Ok(())
    };
    let what = format!("restore container {:?}", options.id);
    let response = criu.request(Request::Restore, &request, &mut start, &mut notify).context(what.clone())?;
    let pid = match response.restored.filter(|_| response.success) {
        Some(pid) => pid,
        None => return Err(failed(&what, &dirs, LOG, &response)),
    };
    // It is husk's child and not waited for, so the pid can't have become another process's.
    let pidfd = Pid::from_raw(pid)
        .context("criu told no pid")
        .and_then(|pid| rustix::process::pidfd_open(pid, PidfdFlags::empty()).context("pidfd_open"))?;
    let child = Child { pid, pidfd };
    rollback.child = Some(child.pidfd.try_clone().context("duplicate the pidfd")?);
    if let (Some(cgroup), Some(scope)) = (&cgroup, scope.flatten()) {
        scope.filled(cgroup, &child, None)?;
    }
    rollback.poststop.clone_from(&plan.hooks.poststop);
    state.init = Identity::of(pid);
    state.namespaces = namespaces_of(pid);
    rollback.state = Some(state.clone());
    let _ = std::fs::remove_dir(&place);
    if let Some(path) = options.pid_file {
        crate::state::pid::write(path, pid).context("--pid-file")?;
    }
    state.creator = None;
    dir.save(&state)?;
    rollback.keep();
    Ok(Restored { dir, state, child, master, lock })
}

/// Where criu and with it the container is: in the container's group. Where criu restores groups itself, it must see all.
fn view(plan: &Plan, flags: &Flags, cgroup: Option<&Cgroup>) -> anyhow::Result<View> {
    let own = plan.namespaces.is_new(Kind::Cgroup);
    if own && flags.manage_cgroups_mode != CgroupsMode::Ignore {
        return Ok(View::of_all(cgroup));
    }
    Ok(View::of_group(cgroup, own)?)
}

/// The group's path as /proc/PID/cgroup has it.
fn path_in_hierarchy(cgroup: &Cgroup) -> anyhow::Result<String> {
    let hierarchy = Hierarchy::detect()?;
    let inner = cgroup.path().strip_prefix(hierarchy.root()).context("the cgroup is outside cgroup2")?;
    Ok(format!("/{}", inner.display()))
}

/// Namespaces that the container has not in common with husk. criu makes a time namespace where there was none, so that
/// clocks go on from where they stood; `exec` has to join it.
fn namespaces_of(pid: i32) -> Vec<String> {
    let link = |who: &str, kind: Kind| {
        let file = match kind {
            Kind::Mount => "mnt",
            Kind::Network => "net",
            other => other.word(),
        };
        std::fs::read_link(format!("/proc/{who}/ns/{file}")).ok()
    };
    let differs = |kind: &Kind| link("self", *kind) != link(&pid.to_string(), *kind);
    Kind::ALL.into_iter().filter(differs).map(|kind| kind.word().to_owned()).collect()
}
