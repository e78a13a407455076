//! `husk exec`: runs a further process in a container.

mod process;
mod session;
mod user;

use super::{ExitWith, target::Target};
use crate::{
    cli::Global,
    foreground::{Foreground, Signals},
    launch,
    plan::{self, config},
    process::creds,
    state::{self, Status},
    terminal,
};
use anyhow::{Context as _, bail};
use husk_exit::WaitStatus;
use session::{Ready, Session};
use std::{
    ffi::OsString,
    os::fd::AsFd as _,
    path::{Component, Path, PathBuf},
    process::ExitCode,
};

/// Arguments of `husk exec`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Unix socket to send the terminal's master descriptor to; needed for --tty with --detach
    #[arg(long, value_name = "PATH")]
    pub console_socket: Option<PathBuf>,
    /// Unix socket to send a pidfd of the process to
    #[arg(long, value_name = "PATH")]
    pub pidfd_socket: Option<PathBuf>,
    /// Working directory, an absolute path in the container (default: that of config.json)
    #[arg(long, value_name = "DIR")]
    pub cwd: Option<PathBuf>,
    /// Set an environment variable; may be given several times
    #[arg(long, short, value_name = "NAME=VALUE")]
    pub env: Vec<OsString>,
    /// Allocate a pseudo-terminal
    #[arg(long, short)]
    pub tty: bool,
    /// User, and group if given, as numbers; names are not looked up (default: those of config.json)
    #[arg(long, short, value_name = "UID[:GID]")]
    pub user: Option<String>,
    /// Additional group, as a number; may be given several times, or as a list with commas
    #[arg(long, short = 'g', value_name = "GID", value_delimiter = ',')]
    pub additional_gids: Vec<String>,
    /// File with an OCI process object (config.json's "process"); COMMAND and the flags for its parts are then left out
    #[arg(long, short, value_name = "FILE")]
    pub process: Option<PathBuf>,
    /// Return as soon as the process runs, instead of waiting for its end
    #[arg(long, short)]
    pub detach: bool,
    /// File to write the process id to, as the host sees it
    #[arg(long, value_name = "FILE")]
    pub pid_file: Option<PathBuf>,
    /// SELinux label of the process (default: that of config.json)
    #[arg(long, value_name = "LABEL")]
    pub process_label: Option<String>,
    /// AppArmor profile of the process (default: that of config.json)
    #[arg(long, value_name = "PROFILE")]
    pub apparmor: Option<String>,
    /// Set no_new_privs: set-user-ID programs then gain nothing
    #[arg(long)]
    pub no_new_privs: bool,
    /// Capability to add to those of config.json, as CAP_NET_ADMIN; may be given several times
    #[arg(long, short, value_name = "CAP")]
    pub cap: Vec<String>,
    /// Number of further descriptors to pass on, from 3 upwards
    #[arg(long, value_name = "N", default_value_t = 0, allow_hyphen_values = true)]
    pub preserve_fds: u32,
    /// Existing cgroup, relative to the container's own, to run in (default: the container's own)
    #[arg(long, value_name = "PATH")]
    pub cgroup: Vec<String>,
    /// Do not refuse a paused container; the process begins when it is resumed
    #[arg(long)]
    pub ignore_paused: bool,
    /// Id of the container
    #[arg(value_name = "CONTAINER-ID")]
    pub id: String,
    /// Program and its arguments; looked up in the container's $PATH
    #[arg(value_name = "COMMAND", trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<OsString>,
}

/// Runs the process. What is husk's failure and not the program's ends with 255, as with runc: callers tell it from a
/// program that gives 1. A program that can't be started gives 127 or 126.
pub fn run(global: &Global, args: &Args) -> anyhow::Result<ExitCode> {
    execute(global, args).map_err(|error| match super::exit_code(&error) {
        126 | 127 => error,
        _ => ExitWith { code: 255, message: format!("{error:#}") }.into(),
    })
}

fn execute(global: &Global, args: &Args) -> anyhow::Result<ExitCode> {
    launch::protect()?;
    let target = Target::open(global, &args.id)?;
    check_status(&target, args)?;
    let spec = config::read_copy(&target.dir.path().join("config.json"))?;
    let oci = process::resolve(args, &spec)?;
    let linux = spec.linux().clone().unwrap_or_default();
    let process = plan::process::plan(&oci, &linux)?;
    check_terminal(process.terminal, args)?;
    for number in 3..3 + i64::from(args.preserve_fds) {
        if !i32::try_from(number).is_ok_and(husk_sys::fd::is_open) {
            bail!("--preserve-fds {}: descriptor {number} is not open", args.preserve_fds);
        }
    }
    let session = Session {
        target: &target,
        process: &process,
        keep_fds: args.preserve_fds,
        console_socket: args.console_socket.as_deref(),
        cgroups: cgroups(&target, args)?,
    };
    let namespaces = plan::namespaces::plan(&linux)?;
    if namespaces.has_own_or_joined(plan::namespaces::Kind::User) {
        creds::give_streams_from_host(&process, &namespaces.maps);
    }
    // What comes while the process is made is the program's, too.
    let signals = if args.detach { None } else { Some(Signals::hold()?) };
    let ready = session.join()?;
    // It waits at its barrier, and would for ever; or nobody would see its terminal.
    let kill = |_: &_| drop(husk_sys::send::to_pidfd(ready.child.pidfd.as_fd(), 9));
    finish_start(&ready, args).inspect_err(kill)?;
    let Some(signals) = signals else { return Ok(ExitCode::SUCCESS) };
    let mut foreground = Foreground::new(signals, ready.master).inspect_err(kill)?;
    let ended = foreground.wait(&ready.child, None, |_| {})?;
    foreground.flush()?;
    Ok(ExitCode::from(WaitStatus::new(ended.raw).shell_code()))
}

/// Tells who wants to know of the process, and lets it go.
fn finish_start(ready: &Ready, args: &Args) -> anyhow::Result<()> {
    if let Some(path) = &args.pidfd_socket {
        crate::socket::send_fd(path, ready.child.pidfd.as_fd(), b"pidfd")
            .with_context(|| format!("send the pidfd to --pidfd-socket {}", path.display()))?;
    }
    if let Some(path) = &args.pid_file {
        state::pid::write(path, ready.child.pid).context("--pid-file")?;
    }
    ready.master.iter().for_each(terminal::prepare);
    ready.start()
}

fn check_status(target: &Target, args: &Args) -> anyhow::Result<()> {
    let id = &args.id;
    match target.status() {
        Status::Running | Status::Created => Ok(()),
        Status::Paused if args.ignore_paused => Ok(()),
        // The words are those that tools know runc by.
        Status::Paused => {
            bail!("cannot exec in a paused container (use --ignore-paused to override): {id:?}")
        }
        Status::Stopped => bail!("cannot exec in a stopped container: {id:?}"),
        status @ Status::Creating => bail!("cannot exec in a container that is {status}: {id:?}"),
    }
}

fn check_terminal(terminal: bool, args: &Args) -> anyhow::Result<()> {
    match (terminal, args.detach, &args.console_socket) {
        (true, true, None) => {
            bail!("a terminal with --detach needs --console-socket: it must say who gets the terminal")
        }
        (false, _, Some(_)) => bail!("--console-socket is of no use without a terminal (--tty)"),
        (true, false, Some(_)) => bail!("--console-socket is for --detach"),
        _ => Ok(()),
    }
}

/// The groups to try, in order; none where the container has none.
fn cgroups(target: &Target, args: &Args) -> anyhow::Result<Vec<PathBuf>> {
    let Some(own) = &target.state.cgroup else {
        match args.cgroup.first() {
            Some(wanted) => bail!("--cgroup {wanted:?}: the container has no cgroup of its own"),
            None => return Ok(Vec::new()),
        }
    };
    match args.cgroup.as_slice() {
        [] => {
            let mut list = vec![own.clone()];
            list.extend(group_of_init(target).filter(|path| path != own));
            Ok(list)
        }
        [wanted] => Ok(vec![sub_group(own, wanted)?]),
        _ => bail!("--cgroup: can be given once, as cgroup v2 has one tree"),
    }
}

/// `[CONTROLLER:]PATH`; controllers are of cgroup v1, where each could have a path of its own.
fn sub_group(own: &Path, wanted: &str) -> anyhow::Result<PathBuf> {
    if wanted.contains(':') {
        bail!("--cgroup {wanted:?}: controllers can't be named, cgroup v2 has one tree");
    }
    let relative = Path::new(wanted.trim_start_matches('/'));
    if relative.components().any(|part| !matches!(part, Component::Normal(_) | Component::CurDir)) {
        bail!("--cgroup {wanted:?}: bad sub cgroup path, must stay below the container's cgroup");
    }
    let path = own.join(relative);
    if !path.join("cgroup.procs").exists() {
        bail!("--cgroup {wanted:?}: there is no such group below {}", own.display());
    }
    Ok(path)
}

/// Where init is now: below the container's group, if it has moved itself, or wherever it was moved to by someone who may.
fn group_of_init(target: &Target) -> Option<PathBuf> {
    let path = husk_cgroup::path::of_process(&target.state.init?.pid.to_string())?;
    Some(husk_cgroup::Hierarchy::detect().ok()?.group(&path))
}

#[cfg(test)]
mod tests {
    use super::sub_group;

    #[test]
    fn groups_stay_below_the_containers() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("sub")).unwrap();
        std::fs::write(dir.path().join("sub/cgroup.procs"), "").unwrap();
        for good in ["sub", "/sub", "sub/", "./sub"] {
            assert!(sub_group(dir.path(), good).unwrap().ends_with("sub"), "{good}");
        }
        for bad in ["..", "sub/../..", "none", "cpu:/sub"] {
            let error = sub_group(dir.path(), bad).unwrap_err().to_string();
            assert!(error.starts_with("--cgroup"), "{error}");
        }
    }
}
