//! From a container's CRI config, its image's config and its sandbox to the OCI config.json.
//!
//! Nothing here touches anything but what it is given and the host's files that a field names (devices, volumes); so
//! it is tested by looking at its output.

mod apparmor;
mod caps;
mod devices;
mod mounts;
mod namespaces;
mod process;
mod resources;
mod seccomp;
mod signal;
mod user;

use std::path::Path;

use husk_cri_api::{ContainerConfig, LinuxContainerSecurityContext, PodSandboxConfig};
use husk_image::ImageConfig;
use serde_json::{Value, json};

use crate::config::Config;
use crate::error::Result;
use crate::store::User;

pub use namespaces::{Namespaces, check as check_namespaces};
pub use process::exec as exec_process;
pub use resources::{Missing, linux as linux_resources, merge as merge_resources};
pub use signal::{of_container as stop_signal, parse as parse_signal};
pub use user::resolve as resolve_user;

/// Version of the OCI runtime spec that config.json is written in.
pub const OCI_VERSION: &str = "1.2.0";

/// Everything that a config.json is made from.
pub struct Input<'a> {
    /// husk-cri's configuration.
    pub daemon: &'a Config,
    /// The container.
    pub config: &'a ContainerConfig,
    /// Its sandbox.
    pub sandbox: &'a PodSandboxConfig,
    /// What the image says about running it.
    pub image: &'a ImageConfig,
    /// Ids of the program.
    pub user: &'a User,
    /// The namespaces to join and to make.
    pub namespaces: &'a Namespaces,
    /// Absolute path in the cgroup tree.
    pub cgroup: &'a str,
    /// The root filesystem's mount.
    pub rootfs: &'a Path,
    /// The sandbox's own files: resolv.conf, hosts, hostname.
    pub files: &'a Path,
    /// The sandbox's /dev/shm; none: the host's.
    pub shm: Option<&'a Path>,
    /// Hostname inside.
    pub hostname: &'a str,
    /// Mounts of image volumes on the host, in the order of `config.mounts`.
    pub image_volumes: &'a [Option<std::path::PathBuf>],
    /// Controllers that this host lacks.
    pub missing: &'a Missing,
}

/// The container's security context, the default one where none was given.
pub fn security(config: &ContainerConfig) -> LinuxContainerSecurityContext {
    config.linux.as_ref().and_then(|linux| linux.security_context.clone()).unwrap_or_default()
}

/// The content of config.json.
pub fn build(input: &Input<'_>) -> Result<Value> {
    let context = security(input.config);
    let mounts = mounts::all(input, &context)?;
    let (devices, rules) = devices::all(input.config, context.privileged)?;
    let mut resources = resources::linux(&resources::requested(input.config), input.missing)?;
    resources["devices"] = rules;

    let mut linux = json!({
        "cgroupsPath": input.cgroup,
        "devices": devices,
        "resources": resources,
        "namespaces": input.namespaces.to_oci(),
    });
    if let Some(propagation) = mounts.propagation {
        linux["rootfsPropagation"] = json!(propagation);
    }
    if !context.privileged {
        linux["maskedPaths"] = json!(or_default(&context.masked_paths, MASKED));
        linux["readonlyPaths"] = json!(or_default(&context.readonly_paths, READONLY));
    }
    if let Some(profile) = seccomp::profile(input.daemon, &context)? {
        linux["seccomp"] = profile;
    }
    Ok(json!({
        "ociVersion": OCI_VERSION,
        "root": { "path": input.rootfs, "readonly": context.readonly_rootfs },
        "process": process::init(input, &context)?,
        "mounts": mounts.list,
        "linux": linux,
        "annotations": annotations(input),
    }))
}

/// Parts of /proc and /sys that tell about or reach the host. A client that names none gets these: a kubelet names
/// them itself, and asks for none only together with a user namespace.
const MASKED: &[&str] = &[
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];
const READONLY: &[&str] = &["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

fn or_default(given: &[String], default: &[&str]) -> Vec<String> {
    if given.is_empty() { default.iter().map(|&path| path.to_owned()).collect() } else { given.to_vec() }
}

/// Annotations come from a pod's author; a runtime may act on them (CVE-2024-3154), so only listed ones pass.
fn annotations(input: &Input<'_>) -> Value {
    let listed = |key: &str| {
        input.daemon.security.annotations.iter().any(|entry| match entry.strip_suffix('*') {
            Some(prefix) => key.starts_with(prefix),
            None => key == entry,
        })
    };
    let pairs = input.sandbox.annotations.iter().chain(&input.config.annotations);
    pairs.filter(|(key, _)| listed(key)).map(|(key, value)| (key.clone(), json!(value))).collect()
}

#[cfg(test)]
mod tests;
