//! The container's cgroup: where it is to be, made, limited.

use crate::{
    cli::{Global, Rootless},
    log,
};
use anyhow::{Context as _, bail};
use husk_cgroup::{Cgroup, Hierarchy, Leniency};
use oci_spec::runtime::Spec;
use rustix::io::Errno;

/// Where the group is to be; none where there is no cgroup2 and that is forgiven.
pub fn place(global: &Global, spec: &Spec, id: &str) -> anyhow::Result<Option<Cgroup>> {
    let path = spec.linux().as_ref().and_then(|linux| linux.cgroups_path().as_deref());
    if global.systemd_cgroup {
        bail!("--systemd-cgroup: not implemented");
    }
    if let Some(path) = path.filter(|path| husk_cgroup::path::is_systemd_form(path)) {
        bail!("config.json: linux.cgroupsPath: {:?} is for --systemd-cgroup", path.display().to_string());
    }
    let forgiving = forgives(global);
    let hierarchy = match Hierarchy::detect() {
        Ok(hierarchy) => hierarchy,
        Err(error) if forgiving => {
            log::debug(&format!("no cgroup: {error}"));
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    let rootless = !rustix::process::geteuid().is_root();
    let path = husk_cgroup::path::resolve(&hierarchy, path, id, rootless)
        .context("config.json: linux.cgroupsPath")?;
    Ok(Some(Cgroup::open(path)))
}

/// Makes the group and sets its limits. Nothing where rights are lacking and that is forgiven.
pub fn make(global: &Global, placed: Option<Cgroup>, spec: &Spec) -> anyhow::Result<Option<Cgroup>> {
    let Some(placed) = placed else { return Ok(None) };
    let resources = spec.linux().as_ref().and_then(|linux| linux.resources().as_ref());
    let cgroup = match Cgroup::create(placed.path()) {
        Ok(cgroup) => cgroup,
        Err(error) if forgives(global) && lacks_rights(&error) => {
            if resources.is_some_and(limits_anything) {
                log::warn(&format!("the container has no cgroup and no limits: {error}"));
            }
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    let limited = limit(&cgroup, spec, forgives(global));
    if limited.is_err() {
        let _ = cgroup.delete();
    }
    limited.map(|()| Some(cgroup))
}

fn limit(cgroup: &Cgroup, spec: &Spec, forgiving: bool) -> anyhow::Result<()> {
    let resources = spec.linux().as_ref().and_then(|linux| linux.resources().as_ref());
    if let Some(resources) = resources {
        for skipped in cgroup.apply(resources, leniency())? {
            log::warn(&format!("{} is not in force: {}", skipped.field, skipped.reason));
        }
    }
    let rules = resources.and_then(|resources| resources.devices().as_deref()).unwrap_or_default();
    match cgroup.apply_devices(rules) {
        // Loading a BPF program needs a right of the host's; without mknod there are no devices to guard either.
        Err(error) if forgiving && lacks_rights(&error) => Ok(()),
        result => result.map_err(Into::into),
    }
}

/// A limit whose controller is missing is an error, unless the caller says that it may be left out.
fn leniency() -> Leniency {
    match std::env::var_os("HUSK_LENIENT_CGROUP") {
        Some(value) if value == "1" => Leniency::Skip,
        _ => Leniency::Strict,
    }
}

fn forgives(global: &Global) -> bool {
    match global.rootless {
        Rootless::True => true,
        Rootless::False => false,
        Rootless::Auto => !rustix::process::geteuid().is_root() || in_user_namespace(),
    }
}

/// Whether husk runs in a user namespace other than the first: there root has few rights on the host's cgroups.
pub fn in_user_namespace() -> bool {
    std::fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| {
        let numbers: Vec<_> = map.split_whitespace().collect();
        numbers != ["0", "0", "4294967295"]
    })
}

fn lacks_rights(error: &husk_cgroup::Error) -> bool {
    let lacking = [Errno::ACCESS, Errno::PERM, Errno::ROFS].map(Errno::raw_os_error);
    error.errno().is_some_and(|errno| lacking.contains(&errno))
}

fn limits_anything(resources: &oci_spec::runtime::LinuxResources) -> bool {
    resources.memory().is_some()
        || resources.cpu().is_some()
        || resources.pids().is_some()
        || resources.block_io().is_some()
        || resources.unified().as_ref().is_some_and(|unified| !unified.is_empty())
}
