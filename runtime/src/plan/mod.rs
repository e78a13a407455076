//! From config.json to plain data: what is wrong with a configuration is found here, before anything is made.
//!
//! Nothing in here asks the kernel for anything; each theme has its own file and unit tests that need no root.

pub mod caps;
pub mod config;
pub mod devices;
pub mod hooks;
pub mod ids;
pub mod json;
pub mod mounts;
pub mod names;
pub mod namespaces;
pub mod net_devices;
pub mod paths;
pub mod process;
pub mod rlimits;
pub mod sched;
pub mod sysctl;

use oci_spec::runtime::Spec;
use std::path::{Path, PathBuf};

/// Something in config.json that can't be done.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("config.json: {path}: {problem}")]
pub struct Error {
    /// Where in config.json, as `mounts[2].options[0]`.
    pub path: String,
    /// What is wrong with the value there.
    pub problem: String,
}

impl Error {
    /// An error at this place.
    pub fn new(path: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { path: path.into(), problem: problem.into() }
    }
}

/// Result of planning.
pub type Result<T> = std::result::Result<T, Error>;

/// Everything that the child has to do.
#[derive(Debug)]
pub struct Plan {
    /// Absolute path of the bundle.
    pub bundle: PathBuf,
    /// Absolute path of the root filesystem.
    pub rootfs: PathBuf,
    /// Whether the root filesystem becomes read-only.
    pub readonly: bool,
    /// How mount events spread between the container and the host.
    pub propagation: paths::RootPropagation,
    /// Namespaces to make and to join.
    pub namespaces: namespaces::Plan,
    /// Network devices to move into the container.
    pub net_devices: Vec<net_devices::Device>,
    /// Mounts, in order.
    pub mounts: Vec<mounts::Mount>,
    /// Device nodes; empty where /dev is the host's.
    pub devices: Vec<devices::Device>,
    /// Whether the default links and nodes of /dev are made.
    pub setup_dev: bool,
    /// Paths to hide.
    pub masked: Vec<PathBuf>,
    /// Paths to make read-only.
    pub readonly_paths: Vec<PathBuf>,
    /// Kernel parameters of the container's namespaces: path below /proc/sys, and value.
    pub sysctls: Vec<(PathBuf, String)>,
    /// Host name, where given.
    pub hostname: Option<String>,
    /// NIS domain name, where given.
    pub domainname: Option<String>,
    /// SELinux label of mounts.
    pub mount_label: Option<String>,
    /// The container's program.
    pub process: Option<process::Process>,
    /// Hooks.
    pub hooks: hooks::Hooks,
}

impl Plan {
    /// The path in the container of what a path of the host names in its root filesystem.
    pub fn inner(&self, source: &Path) -> Option<PathBuf> {
        mounts::below(&self.rootfs, &mounts::normalize(&self.bundle.join(source)))
    }

    /// Whether the container is in the mount namespace of its creator.
    pub fn shares_mounts(&self) -> bool {
        !self.namespaces.has_own_or_joined(namespaces::Kind::Mount)
    }
}

/// Plans the container.
pub fn plan(spec: &Spec, bundle: &Path) -> Result<Plan> {
    config::check_version(spec.version())?;
    let linux = spec.linux().clone().unwrap_or_default_empty();
    let Some(root) = spec.root() else {
        return Err(Error::new("root", "is missing: it must name the root filesystem"));
    };
    if root.path().as_os_str().is_empty() {
        return Err(Error::new("root.path", "is empty: it must name the root filesystem"));
    }
    let namespaces = namespaces::plan(&linux)?;
    let rootfs = bundle.join(root.path());
    let mut mounts = mounts::plan(spec.mounts().as_deref().unwrap_or_default(), &namespaces)?;
    mounts::strip_root(&mut mounts, &rootfs)?;
    let setup_dev = paths::sets_up_dev(&mounts);
    let plan = Plan {
        bundle: bundle.to_owned(),
        rootfs,
        readonly: root.readonly().unwrap_or(false),
        propagation: paths::root_propagation(linux.rootfs_propagation().as_deref())?,
        devices: devices::plan(linux.devices().as_deref().unwrap_or_default(), setup_dev)?,
        setup_dev,
        masked: paths::inside("linux.maskedPaths", linux.masked_paths().as_deref())?,
        readonly_paths: paths::inside("linux.readonlyPaths", linux.readonly_paths().as_deref())?,
        sysctls: sysctl::plan(linux.sysctl().as_ref(), spec.domainname().as_deref(), &namespaces)?,
        hostname: name("hostname", spec.hostname().as_ref(), &namespaces)?,
        domainname: name("domainname", spec.domainname().as_ref(), &namespaces)?,
        mount_label: linux.mount_label().clone().filter(|label| !label.is_empty()),
        process: match spec.process() {
            Some(process) => Some(process::plan(process, &linux)?),
            None => None,
        },
        hooks: hooks::plan(spec.hooks().as_ref())?,
        net_devices: net_devices::plan(linux.net_devices().as_ref(), &namespaces)?,
        namespaces,
        mounts,
    };
    if plan.shares_mounts() && plan.namespaces.has_own_or_joined(namespaces::Kind::User) {
        return Err(Error::new(
            "linux.namespaces",
            "has a user namespace and no mount namespace: its root may mount nothing in the caller's",
        ));
    }
    config::refuse_unsupported(&linux)?;
    Ok(plan)
}

/// `linux` may be left out of config.json; the type's own default is a full default container.
trait EmptyDefault {
    fn unwrap_or_default_empty(self) -> oci_spec::runtime::Linux;
}

impl EmptyDefault for Option<oci_spec::runtime::Linux> {
    fn unwrap_or_default_empty(self) -> oci_spec::runtime::Linux {
        self.unwrap_or_else(|| {
            let mut linux = oci_spec::runtime::Linux::default();
            linux.set_namespaces(None).set_masked_paths(None).set_readonly_paths(None).set_resources(None);
            linux
        })
    }
}

/// A host or domain name: it may only be set in a UTS namespace of the container.
fn name(field: &str, name: Option<&String>, namespaces: &namespaces::Plan) -> Result<Option<String>> {
    let Some(name) = name.filter(|name| !name.is_empty()) else { return Ok(None) };
    if !namespaces.has_own_or_joined(namespaces::Kind::Uts) {
        return Err(Error::new(
            field,
            format!(
                "{name:?} can't be set without a UTS namespace in linux.namespaces: it would rename the host"
            ),
        ));
    }
    // __NEW_UTS_LEN
    if name.len() > 64 {
        return Err(Error::new(field, format!("has {} bytes, at most 64 are allowed", name.len())));
    }
    Ok(Some(name.clone()))
}

#[cfg(test)]
pub(crate) mod testing {
    use oci_spec::runtime::Spec;
    use std::path::Path;

    /// A plan of the smallest configuration, changed by `change`.
    pub fn plan_with(change: impl FnOnce(&mut serde_json::Value)) -> super::Result<super::Plan> {
        let mut value = serde_json::json!({
            "ociVersion": "1.2.0",
            "root": {"path": "rootfs"},
            "process": {"user": {"uid": 0, "gid": 0}, "args": ["/bin/true"], "cwd": "/"},
            "linux": {"namespaces": [{"type": "mount"}, {"type": "uts"}, {"type": "pid"}, {"type": "ipc"}]},
        });
        change(&mut value);
        let spec: Spec = serde_json::from_value(value).unwrap();
        super::plan(&spec, Path::new("/bundle"))
    }
}

#[cfg(test)]
mod tests {
    use super::testing::plan_with;

    #[test]
    fn the_smallest_configuration_is_enough() {
        let plan = plan_with(|_| {}).unwrap();
        assert_eq!(plan.rootfs.to_str(), Some("/bundle/rootfs"));
        assert!(plan.setup_dev);
    }

    #[test]
    fn errors_name_the_place() {
        let error = plan_with(|c| c["hostname"] = "x".repeat(65).into()).unwrap_err().to_string();
        assert_eq!(error, "config.json: hostname: has 65 bytes, at most 64 are allowed");
        let error = plan_with(|c| c["root"] = serde_json::json!({"path": ""})).unwrap_err().to_string();
        assert!(error.starts_with("config.json: root.path: is empty"), "{error}");
        let error = plan_with(|c| {
            c["hostname"] = "web".into();
            c["linux"]["namespaces"] = serde_json::json!([{"type": "mount"}]);
        })
        .unwrap_err()
        .to_string();
        assert!(error.contains("would rename the host"), "{error}");
    }
}
