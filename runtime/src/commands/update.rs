//! `husk update`: changes the resource limits of a container.

use crate::cli::Global;
use std::{path::PathBuf, process::ExitCode};

/// Arguments of `husk update`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// File with an OCI resources object, or - for standard input; all other options are then ignored
    #[arg(long, short, value_name = "FILE")]
    pub resources: Option<PathBuf>,
    /// Weight of block IO, 10 to 1000
    #[arg(long, value_name = "N")]
    pub blkio_weight: Option<u16>,
    /// Length of a CPU period in microseconds; 0 for the default
    #[arg(long, value_name = "N")]
    pub cpu_period: Option<u64>,
    /// CPU time per period in microseconds
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub cpu_quota: Option<i64>,
    /// CPU time that may be saved up, in microseconds
    #[arg(long, value_name = "N")]
    pub cpu_burst: Option<u64>,
    /// Relative weight of CPU time (cgroup v1 shares)
    #[arg(long, value_name = "N")]
    pub cpu_share: Option<u64>,
    /// Real-time period in microseconds
    #[arg(long, value_name = "N")]
    pub cpu_rt_period: Option<u64>,
    /// Real-time CPU time per period in microseconds
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub cpu_rt_runtime: Option<i64>,
    /// 1 to let the container run only when the machine is idle, 0 for normal
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub cpu_idle: Option<i64>,
    /// CPUs to use, as 0-3,7
    #[arg(long, value_name = "LIST")]
    pub cpuset_cpus: Option<String>,
    /// Memory nodes to use
    #[arg(long, value_name = "LIST")]
    pub cpuset_mems: Option<String>,
    /// Memory limit, in bytes or with a suffix k, m, g
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub memory: Option<String>,
    /// Memory reservation, in bytes or with a suffix
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub memory_reservation: Option<String>,
    /// Memory and swap together; -1 for no limit
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub memory_swap: Option<String>,
    /// Number of processes
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub pids_limit: Option<i64>,
    /// Schema of Intel RDT cache allocation
    #[arg(long, value_name = "SCHEMA")]
    pub l3_cache_schema: Option<String>,
    /// Schema of Intel RDT memory bandwidth
    #[arg(long, value_name = "SCHEMA")]
    pub mem_bw_schema: Option<String>,
    /// Id of the container
    #[arg(value_name = "CONTAINER-ID")]
    pub id: String,
}

/// Changes the limits.
pub fn run(_global: &Global, args: &Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("update {}: not implemented", args.id);
}
