//! `husk restore`: restores a container from a checkpoint.

use crate::cli::Global;
use std::{path::PathBuf, process::ExitCode};

/// Arguments of `husk restore`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Directory of the bundle (default: the current directory)
    #[arg(long, short, value_name = "DIR")]
    pub bundle: Option<PathBuf>,
    /// Directory for the image files
    #[arg(long, value_name = "DIR")]
    pub image_path: Option<PathBuf>,
    /// Directory for work files and logs
    #[arg(long, value_name = "DIR")]
    pub work_path: Option<PathBuf>,
    /// Unix socket that is sent the terminal's master descriptor
    #[arg(long, value_name = "PATH")]
    pub console_socket: Option<PathBuf>,
    /// Return as soon as the process runs
    #[arg(long, short)]
    pub detach: bool,
    /// File to write the process id to
    #[arg(long, value_name = "FILE")]
    pub pid_file: Option<PathBuf>,
    /// Do not become the reaper of orphaned processes
    #[arg(long)]
    pub no_subreaper: bool,
    /// Do not use pivot_root; for a root filesystem on a ramdisk
    #[arg(long)]
    pub no_pivot: bool,
    /// LSM profile to use, as TYPE:NAME
    #[arg(long, value_name = "PROFILE")]
    pub lsm_profile: Option<String>,
    /// LSM mount context to use
    #[arg(long, value_name = "CONTEXT")]
    pub lsm_mount_context: Option<String>,
    /// Allow open TCP connections
    #[arg(long)]
    pub tcp_established: bool,
    /// Allow external unix sockets
    #[arg(long)]
    pub ext_unix_sk: bool,
    /// Allow a shell job
    #[arg(long)]
    pub shell_job: bool,
    /// Restore memory pages lazily
    #[arg(long)]
    pub lazy_pages: bool,
    /// Handle file locks
    #[arg(long)]
    pub file_locks: bool,
    /// soft, full, strict or ignore
    #[arg(long, value_name = "MODE")]
    pub manage_cgroups_mode: Option<String>,
    /// Make this namespace without its properties
    #[arg(long, value_name = "NAMESPACE")]
    pub empty_ns: Vec<String>,
    /// Deduplicate memory images
    #[arg(long)]
    pub auto_dedup: bool,
    /// Id of the container
    #[arg(value_name = "CONTAINER-ID")]
    pub id: String,
}

/// Restores the container.
pub fn run(_global: &Global, args: &Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("restore {}: not implemented", args.id);
}
