//! `checkpoint`: from a running container to criu's request for a dump.

use super::{
    config_file,
    criu::{Criu, Notification, Start},
    empty_ns, failed,
    flags::{self, Dirs, Flags},
    mounts, need_root, outside,
    rpc::{CgroupsMode, Dump, Kind as Request, Only, Options},
    view::View,
};
use crate::{
    cli::Global,
    commands::target::Target,
    plan::{self, namespaces::Kind},
    state::Status,
};
use anyhow::{Context as _, bail};
use husk_sys::{clone::Namespaces, fd};
use std::{io::Write as _, os::fd::AsRawFd, path::Path};

/// Name of criu's log.
const LOG: &str = "dump.log";

/// What the command line says beyond [`Flags`].
#[derive(Debug)]
pub struct Wanted<'a> {
    /// Flags of both commands.
    pub flags: &'a Flags,
    /// Directory of an earlier pre-dump.
    pub parent_path: Option<&'a Path>,
    /// Let the container run on.
    pub leave_running: bool,
    /// Memory only.
    pub pre_dump: bool,
    /// Leave out connections that are being made.
    pub tcp_skip_in_flight: bool,
    /// Link files that were unlinked while open.
    pub link_remap: bool,
    /// ADDRESS:PORT of a page server.
    pub page_server: Option<&'a str>,
    /// Descriptor that gets a NUL byte when the page server is ready.
    pub status_fd: Option<i32>,
}

/// Has criu write the container to disk. Its processes are gone afterwards, unless they were to go on.
pub fn dump(global: &Global, target: &Target, wanted: &Wanted<'_>) -> anyhow::Result<()> {
    need_root()?;
    let flags = wanted.flags;
    flags.check()?;
    let empty = flags.empty_network()?;
    let page_server = wanted.page_server.map(flags::page_server).transpose()?;
    let mut status = wanted.status_fd.map(status_fd).transpose()?;
    match target.status() {
        Status::Running | Status::Paused => {}
        status => bail!("cannot checkpoint container {:?} in the {status} state", target.state.id),
    }
    let init = target.state.init.context("the container has no init process")?;

    let spec = plan::config::read_copy(&target.dir.path().join("config.json"))?;
    let plan = plan::plan(&spec, &target.state.bundle)?;
    mounts::check(&plan)?;

    let criu = Criu::find(&global.criu)?;
    check_features(&criu, wanted)?;
    let dirs = flags.dirs(true)?;
    let parent = wanted.parent_path.map(|path| flags::parent(&dirs.images, path)).transpose()?;
    let mut external = outside::namespaces_of(&plan, init.pid)?;
    if !wanted.pre_dump {
        let (texts, streams) = outside::streams_of(init.pid, !flags.shell_job)?;
        outside::save(&dirs.images, &texts)?;
        external.extend(streams);
        external.extend(mounts::of_running(&plan, init.pid)?);
    }
    let own_network = plan.namespaces.is_new(Kind::Network);
    let options = Options {
        images: dirs.images_fd.as_raw_fd(),
        work: dirs.work_fd.as_ref().map(AsRawFd::as_raw_fd),
        log: LOG,
        config: config_file(&spec),
        root: target.state.rootfs.display().to_string(),
        cgroups: flags.manage_cgroups_mode,
        empty_ns: empty_ns(empty || own_network && outside::has_devices(init.pid)),
        external,
        // Before version 4 a connection has to be saved to be closed.
        tcp_established: flags.tcp_established || flags.tcp_close,
        tcp_close: flags.tcp_close,
        ext_unix_sk: flags.ext_unix_sk,
        shell_job: flags.shell_job,
        file_locks: flags.file_locks,
        auto_dedup: flags.auto_dedup,
        only: Only::Dump(Dump {
            pid: init.pid,
            leave_running: wanted.leave_running,
            tcp_skip_in_flight: wanted.tcp_skip_in_flight,
            link_remap: wanted.link_remap,
            freeze_cgroup: target.state.cgroup.as_ref().map(|path| path.display().to_string()),
            parent,
            page_server,
        }),
    };
    // A container without a cgroup namespace of its own must find criu in the same one.
    let own_cgroups =
        plan.namespaces.is_new(Kind::Cgroup) && flags.manage_cgroups_mode != CgroupsMode::Ignore;
    let view = if own_cgroups { View::of_all(None) } else { View::default() };
    let mut prepare = || view.enter();
    let keep = dirs.numbers();
    let mut start = Start {
        namespaces: Namespaces::empty(),
        cgroup: view.birthplace(),
        keep: &keep,
        prepare: &mut prepare,
    };
    let mut notify = |told: Notification| {
        if told.script == "status-ready"
            && let Some(mut file) = status.take()
        {
            // Whoever waits there has gone away: the pages will tell.
            let _ = file.write_all(&[0]);
        }
        Ok(())
    };
    let kind = if wanted.pre_dump { Request::PreDump } else { Request::Dump };
    let what = format!("checkpoint container {:?}", target.state.id);
    let response = criu
        .request(kind, &options, &mut start, &mut notify)
        .map_err(|error| explained(error, &what, &dirs))?;
    if response.success { Ok(()) } else { Err(failed(&what, &dirs, LOG, &response)) }
}

/// criu that ended without an answer has often said why in its log.
fn explained(error: anyhow::Error, what: &str, dirs: &Dirs) -> anyhow::Error {
    match super::log::errors(&dirs.logs.join(LOG)) {
        why if why.is_empty() => error.context(what.to_owned()),
        _ => failed(what, dirs, LOG, &super::rpc::Response::default()),
    }
}

fn check_features(criu: &Criu, wanted: &Wanted<'_>) -> anyhow::Result<()> {
    let tracks = wanted.pre_dump || wanted.parent_path.is_some();
    if tracks && !criu.tracks_memory()? {
        bail!("--pre-dump and --parent-path: criu can't track changes of memory on this kernel");
    }
    Ok(())
}

fn status_fd(number: i32) -> anyhow::Result<std::fs::File> {
    let copy = fd::duplicate(number).with_context(|| format!("--status-fd {number}"))?;
    Ok(copy.into())
}
