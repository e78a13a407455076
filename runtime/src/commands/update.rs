//! `husk update`: changes the resource limits of a container.

mod merge;

use super::target::Target;
use crate::cli::Global;
use crate::{launch, log, plan::config};
use anyhow::{Context as _, bail};
use husk_cgroup::{Leniency, systemd::Manager};
use merge::{Merged, merge};
use oci_spec::runtime::{LinuxBlockIo, LinuxCpu, LinuxMemory, LinuxPids, LinuxResources};
use serde_json::Value;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Arguments of `husk update`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// File with an OCI resources object (config.json's linux.resources), - for standard input; other limits are then left out
    #[arg(long, short, value_name = "FILE")]
    pub resources: Option<PathBuf>,
    /// Relative weight of block IO, 10 to 1000; 0 leaves it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(0..=1000))]
    pub blkio_weight: Option<u16>,
    /// Length of a CPU period in microseconds, 1000 to 1000000; 0 leaves it
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub cpu_period: Option<u64>,
    /// CPU time per period in microseconds, of all CPUs together; -1 for no limit
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub cpu_quota: Option<i64>,
    /// CPU time that may be saved up for later periods, in microseconds
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub cpu_burst: Option<u64>,
    /// Relative weight of CPU time as cgroup v1 shares, 2 to 262144; 1024 is usual
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub cpu_share: Option<u64>,
    /// Real-time period in microseconds; ignored with a warning, as cgroup v2 has none
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub cpu_rt_period: Option<u64>,
    /// Real-time CPU time per period in microseconds; ignored with a warning, as cgroup v2 has none
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub cpu_rt_runtime: Option<i64>,
    /// 1 to let the container run only when the machine is idle, 0 for normal
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub cpu_idle: Option<i64>,
    /// CPUs to use, as a list of numbers and ranges: 0-3,7
    #[arg(long, value_name = "LIST")]
    pub cpuset_cpus: Option<String>,
    /// Memory nodes to use, as a list of numbers and ranges: 0-1
    #[arg(long, value_name = "LIST")]
    pub cpuset_mems: Option<String>,
    /// Memory limit in bytes, or with a suffix k, m, g, t, p (powers of 1024); -1 for no limit
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub memory: Option<String>,
    /// Memory that is reclaimed last, in bytes or with a suffix; -1 for none
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub memory_reservation: Option<String>,
    /// Memory and swap together, in bytes or with a suffix; -1 for no limit on swap
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub memory_swap: Option<String>,
    /// Greatest number of processes and threads; -1 for no limit
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub pids_limit: Option<i64>,
    /// Schema of Intel RDT cache allocation; not supported, so this is an error
    #[arg(long, value_name = "SCHEMA")]
    pub l3_cache_schema: Option<String>,
    /// Schema of Intel RDT memory bandwidth; not supported, so this is an error
    #[arg(long, value_name = "SCHEMA")]
    pub mem_bw_schema: Option<String>,
    /// Id of the container
    #[arg(value_name = "CONTAINER-ID")]
    pub id: String,
}

/// Changes the limits.
pub fn run(global: &Global, args: &Args) -> anyhow::Result<ExitCode> {
    let given = match &args.resources {
        Some(path) => read(path)?,
        None => from_flags(args)?,
    };
    let (target, _lock) = Target::lock(global, &args.id)?;
    target.need_init()?;
    let group = target.cgroup()?;
    let config_path = target.dir.path().join("config.json");
    let text = std::fs::read(&config_path).with_context(|| format!("read {}", config_path.display()))?;
    let mut document: Value =
        serde_json::from_slice(&text).with_context(|| format!("parse {}", config_path.display()))?;
    let old = match document.pointer("/linux/resources") {
        Some(value) => config::resources(value)
            .with_context(|| format!("parse linux.resources of {}", config_path.display()))?,
        None => LinuxResources::default(),
    };
    let Merged { to_apply, to_keep } = merge(&old, given);
    // Checked and taken back as a whole: a refused value changes nothing.
    let skipped = group
        .apply(&to_apply, Leniency::Strict)
        .with_context(|| format!("update container {:?}", args.id))?;
    for one in skipped {
        log::warn(&format!("update {}: {} is ignored: {}", args.id, one.field, one.reason));
    }
    if let Some(unit) = &target.state.unit {
        // systemd writes its own limits again whenever it reloads. Some of them it rounds, so that they are written once more.
        let told = Manager::connect(launch::scope::of_user())
            .and_then(|mut manager| manager.set_limits(unit, &to_apply))
            .and_then(|()| group.apply(&to_apply, Leniency::Strict));
        told.with_context(|| format!("update container {:?}", args.id))?;
    }
    keep(&mut document, &to_keep)?;
    target.dir.write("config.json", &serde_json::to_vec(&document)?)?;
    Ok(ExitCode::SUCCESS)
}

/// The file, or standard input for `-`.
fn read(path: &Path) -> anyhow::Result<LinuxResources> {
    let mut text = Vec::new();
    if path.as_os_str() == "-" {
        std::io::stdin().read_to_end(&mut text).context("read standard input")?;
    } else {
        text = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
    }
    config::resources_file(&text, &format!("--resources {}", path.display()))
}

fn from_flags(args: &Args) -> anyhow::Result<LinuxResources> {
    if args.l3_cache_schema.is_some() || args.mem_bw_schema.is_some() {
        bail!("--l3-cache-schema and --mem-bw-schema: husk does not support Intel RDT");
    }
    let bytes = |name: &str, text: &Option<String>| match text {
        Some(text) => size(text).with_context(|| format!("--{name} {text:?}")).map(Some),
        None => Ok(None),
    };
    let mut memory = LinuxMemory::default();
    memory.set_limit(bytes("memory", &args.memory)?);
    memory.set_reservation(bytes("memory-reservation", &args.memory_reservation)?);
    memory.set_swap(bytes("memory-swap", &args.memory_swap)?);
    let mut cpu = LinuxCpu::default();
    cpu.set_period(args.cpu_period);
    cpu.set_quota(args.cpu_quota);
    cpu.set_burst(args.cpu_burst);
    cpu.set_shares(args.cpu_share);
    cpu.set_idle(args.cpu_idle);
    cpu.set_realtime_period(args.cpu_rt_period);
    cpu.set_realtime_runtime(args.cpu_rt_runtime);
    cpu.set_cpus(args.cpuset_cpus.clone());
    cpu.set_mems(args.cpuset_mems.clone());
    let mut given = LinuxResources::default();
    given.set_memory(Some(memory)).set_cpu(Some(cpu));
    if let Some(weight) = args.blkio_weight {
        let mut io = LinuxBlockIo::default();
        io.set_weight(Some(weight));
        given.set_block_io(Some(io));
    }
    if let Some(limit) = args.pids_limit {
        let mut pids = LinuxPids::default();
        pids.set_limit(limit);
        given.set_pids(Some(pids));
    }
    Ok(given)
}

/// Puts the resources into the configuration, and leaves the rest of it as it is.
fn keep(config: &mut Value, resources: &LinuxResources) -> anyhow::Result<()> {
    let linux = config
        .as_object_mut()
        .context("config.json is not an object")?
        .entry("linux")
        .or_insert(serde_json::json!({}));
    linux
        .as_object_mut()
        .context("linux in config.json is not an object")?
        .insert("resources".to_string(), serde_json::to_value(resources)?);
    Ok(())
}

/// Bytes, with an optional suffix k, m, g, t or p (powers of 1024), and i and b after it, in any case; -1 is no limit.
fn size(text: &str) -> anyhow::Result<i64> {
    if text == "-1" {
        return Ok(-1);
    }
    let lower = text.to_ascii_lowercase();
    let end = lower.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(lower.len());
    let (number, unit) = lower.split_at(end);
    let unit = unit.trim_start();
    let power = match unit.trim_end_matches('b').trim_end_matches('i') {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        _ => bail!("is not a size: use bytes, or a suffix k, m, g, t, p"),
    };
    if unit.len() > 3 || unit == "i" || unit == "ib" || unit == "bb" {
        bail!("is not a size: use bytes, or a suffix k, m, g, t, p");
    }
    let factor = 1i64 << (10 * power);
    if let Ok(whole) = number.parse::<i64>() {
        return whole.checked_mul(factor).context("is more than fits 63 bits");
    }
    let value: f64 = number.parse().ok().context("is not a number")?;
    let bytes = value * factor as f64;
    if bytes < i64::MAX as f64 { Ok(bytes as i64) } else { bail!("is more than fits 63 bits") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("0", 0),
            ("-1", -1),
            ("4096", 4096),
            ("64k", 65536),
            ("1.5m", 1_572_864),
            ("2GiB", 2 << 30),
            ("2 gb", 2 << 30),
            ("7b", 7),
        ] {
            assert_eq!(size(text).unwrap(), bytes, "{text}");
        }
        for text in ["", "m", "-2", "1x", "1ib", "1.2.3m", "9999999999g", "1bb", "1mm"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_rest_of_the_configuration_stays() {
        let mut config = serde_json::json!({"x-own": {"a": 1}, "linux": {"unknown": 2, "resources": {}}});
        let resources = serde_json::from_value(serde_json::json!({"pids": {"limit": 5}})).unwrap();
        keep(&mut config, &resources).unwrap();
        assert_eq!(config["x-own"]["a"], 1);
        assert_eq!(config["linux"]["unknown"], 2);
        assert_eq!(config["linux"]["resources"]["pids"]["limit"], 5);
    }
}
