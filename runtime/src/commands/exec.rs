//! `husk exec`: runs a further process in a container.

use crate::cli::Global;
use std::{ffi::OsString, path::PathBuf, process::ExitCode};

/// Arguments of `husk exec`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Unix socket that is sent the terminal's master descriptor
    #[arg(long, value_name = "PATH")]
    pub console_socket: Option<PathBuf>,
    /// Unix socket that is sent a pidfd of the process
    #[arg(long, value_name = "PATH")]
    pub pidfd_socket: Option<PathBuf>,
    /// Working directory in the container
    #[arg(long, value_name = "DIR")]
    pub cwd: Option<PathBuf>,
    /// Environment variable as NAME=VALUE; may be given several times
    #[arg(long, short, value_name = "NAME=VALUE")]
    pub env: Vec<OsString>,
    /// Allocate a pseudo-terminal
    #[arg(long, short)]
    pub tty: bool,
    /// User as UID[:GID]
    #[arg(long, short, value_name = "UID[:GID]")]
    pub user: Option<String>,
    /// Additional group ids; may be given several times
    #[arg(long, short = 'g', value_name = "GID", value_delimiter = ',')]
    pub additional_gids: Vec<String>,
    /// File with the process as JSON
    #[arg(long, short, value_name = "FILE")]
    pub process: Option<PathBuf>,
    /// Return as soon as the process runs
    #[arg(long, short)]
    pub detach: bool,
    /// File to write the process id to
    #[arg(long, value_name = "FILE")]
    pub pid_file: Option<PathBuf>,
    /// SELinux label of the process
    #[arg(long, value_name = "LABEL")]
    pub process_label: Option<String>,
    /// AppArmor profile of the process
    #[arg(long, value_name = "PROFILE")]
    pub apparmor: Option<String>,
    /// Set no_new_privs
    #[arg(long)]
    pub no_new_privs: bool,
    /// Capability to add; may be given several times
    #[arg(long, short, value_name = "CAP")]
    pub cap: Vec<String>,
    /// Pass this many further descriptors, beginning with 3 and after those of $LISTEN_FDS
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub preserve_fds: u32,
    /// Run in this existing group below the container's cgroup, as [CONTROLLER:]PATH
    #[arg(long, value_name = "PATH")]
    pub cgroup: Vec<String>,
    /// Allow a paused container
    #[arg(long)]
    pub ignore_paused: bool,
    /// Id of the container
    #[arg(value_name = "CONTAINER-ID")]
    pub id: String,
    /// Program and its arguments
    #[arg(value_name = "COMMAND", trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<OsString>,
}

/// Runs the process.
pub fn run(_global: &Global, args: &Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("exec {}: not implemented", args.id);
}
