//! `husk checkpoint`: writes a running container to disk.

use crate::cli::Global;
use std::{path::PathBuf, process::ExitCode};

/// Arguments of `husk checkpoint`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Directory for the image files
    #[arg(long, value_name = "DIR")]
    pub image_path: Option<PathBuf>,
    /// Directory for work files and logs
    #[arg(long, value_name = "DIR")]
    pub work_path: Option<PathBuf>,
    /// Directory of an earlier pre-dump
    #[arg(long, value_name = "DIR")]
    pub parent_path: Option<PathBuf>,
    /// Leave the container running
    #[arg(long)]
    pub leave_running: bool,
    /// Descriptor on which criu says that lazy pages are ready
    #[arg(long, value_name = "FD")]
    pub status_fd: Option<i32>,
    /// ADDRESS:PORT of a page server
    #[arg(long, value_name = "ADDRESS")]
    pub page_server: Option<String>,
    /// Dump memory only, and leave the container running
    #[arg(long)]
    pub pre_dump: bool,
    /// Skip TCP connections that are being made
    #[arg(long)]
    pub skip_in_flight: bool,
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

/// Writes the checkpoint.
pub fn run(_global: &Global, args: &Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("checkpoint {}: not implemented", args.id);
}
