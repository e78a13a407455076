//! `husk checkpoint`: writes a running container to disk.

use super::{kill, target::Target};
use crate::{
    checkpoint::{
        dump::{self, Wanted},
        flags::Flags,
    },
    cli::Global,
    record,
};
use husk_exit::SignalCause;
use husk_sys::wait::Ended;
use std::{path::PathBuf, process::ExitCode};

const SIGKILL: i32 = 9;

/// Arguments of `husk checkpoint`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Flags that `restore` has, too.
    #[command(flatten)]
    pub flags: Flags,
    /// Directory of an earlier --pre-dump, relative to that of the images
    #[arg(long, value_name = "DIR")]
    pub parent_path: Option<PathBuf>,
    /// Leave the container running
    #[arg(long)]
    pub leave_running: bool,
    /// Write memory only, and leave the container running
    #[arg(long)]
    pub pre_dump: bool,
    /// Leave out TCP connections that are being made
    #[arg(long, alias = "skip-in-flight")]
    pub tcp_skip_in_flight: bool,
    /// Link files back that were unlinked while open, where possible
    #[arg(long)]
    pub link_remap: bool,
    /// ADDRESS:PORT to serve or send memory pages at
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub page_server: Option<String>,
    /// Descriptor that gets a NUL byte when the page server is ready
    #[arg(long, value_name = "FD")]
    pub status_fd: Option<i32>,
    /// Id of the container
    #[arg(value_name = "CONTAINER-ID")]
    pub id: String,
}

/// Writes the checkpoint; the container is deleted then, unless it was to run on.
pub fn run(global: &Global, args: &Args) -> anyhow::Result<ExitCode> {
    let (target, lock) = Target::lock(global, &args.id)?;
    let wanted = Wanted {
        flags: &args.flags,
        parent_path: args.parent_path.as_deref(),
        leave_running: args.leave_running,
        pre_dump: args.pre_dump,
        tcp_skip_in_flight: args.tcp_skip_in_flight,
        link_remap: args.link_remap,
        page_server: args.page_server.as_deref(),
        status_fd: args.status_fd,
    };
    dump::dump(global, &target, &wanted)?;
    if !args.leave_running && !args.pre_dump {
        // criu has killed the processes with that signal, and `explain` is to tell why.
        kill::record(&target.dir, SIGKILL, SignalCause::Checkpoint);
        record::ended(&target.dir, &target.state, 0, Ended { raw: SIGKILL, ..Ended::default() });
        super::delete::delete(&target, true)?;
    }
    drop(lock);
    Ok(ExitCode::SUCCESS)
}
