//! Configuration: one TOML file, of which every key has a default.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

/// Everything that can be configured. Unknown keys are errors, so that a typo is found.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Durable state: images, snapshots, metadata, exit records.
    pub root: PathBuf,
    /// State that ends with the machine's uptime: bundles, shims, namespaces.
    pub state: PathBuf,
    /// Unix socket of the CRI; empty: `cri.sock` in `state`.
    pub listen: PathBuf,
    /// What is logged, in tracing's filter language.
    pub log: String,
    /// husk-shim; empty: beside husk-cri.
    pub shim: PathBuf,
    /// OCI runtimes.
    pub runtime: Runtime,
    /// Cgroups.
    pub cgroup: Cgroup,
    /// Pod networks.
    pub network: Network,
    /// Images.
    pub image: husk_image::Config,
    /// What containers may do.
    pub security: Security,
    /// Sizes and times.
    pub limits: Limits,
}

/// OCI runtimes, by the name that a pod's runtime handler has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Runtime {
    /// Handler of pods that name none.
    pub default: String,
    /// All handlers.
    pub handlers: BTreeMap<String, Handler>,
}

/// One OCI runtime.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Handler {
    /// Its binary; empty: the handler's name, beside husk-cri.
    pub path: PathBuf,
    /// Arguments before the sub-command.
    pub args: Vec<String>,
}

/// Cgroups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cgroup {
    /// `cgroupfs`, the only driver so far.
    pub driver: String,
    /// Parent of pods that name none, and of the shims.
    pub parent: String,
    /// Drop limits whose controller cgroup v2 does not have on this host (a hybrid host), with a warning, where the
    /// default is to refuse the container.
    pub ignore_missing_controllers: bool,
}

/// Pod networks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Network {
    /// Folder of the network lists (*.conflist); the first by name counts.
    pub conf_dir: PathBuf,
    /// Folders with CNI plugins.
    pub bin_dirs: Vec<PathBuf>,
    /// Seconds that one plugin may take.
    pub timeout: u64,
}

/// What containers may do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Security {
    /// seccomp profile (OCI JSON) for `RuntimeDefault`; empty: husk's own.
    pub seccomp_profile: PathBuf,
    /// Annotations of pods and containers that the OCI runtime gets to see. A pod's author writes them, so what a
    /// runtime would do for them is given to that author (CVE-2024-3154).
    pub annotations: Vec<String>,
}

/// Sizes and times.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Bytes that ExecSync keeps of stdout, and as many of stderr; what comes after is read and dropped.
    pub exec_output: usize,
    /// Seconds that the OCI runtime may take for one command.
    pub runtime_timeout: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            root: "/var/lib/husk".into(),
            state: "/run/husk".into(),
            listen: PathBuf::new(),
            log: "info".into(),
            shim: PathBuf::new(),
            runtime: Runtime::default(),
            cgroup: Cgroup::default(),
            network: Network::default(),
            image: husk_image::Config::default(),
            security: Security::default(),
            limits: Limits::default(),
        }
    }
}

impl Default for Runtime {
    fn default() -> Self {
        Self { default: "husk".into(), handlers: BTreeMap::from([("husk".into(), Handler::default())]) }
    }
}

impl Default for Cgroup {
    fn default() -> Self {
        Self { driver: "cgroupfs".into(), parent: "/husk".into(), ignore_missing_controllers: false }
    }
}

impl Default for Network {
    fn default() -> Self {
        Self {
            conf_dir: "/etc/cni/net.d".into(),
            bin_dirs: vec!["/opt/cni/bin".into(), "/usr/lib/cni".into()],
            timeout: 30,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { exec_output: 16 << 20, runtime_timeout: 120 }
    }
}

impl Config {
    /// Reads `path`; without one, `/etc/husk/cri.toml` if it is there.
    pub fn load(path: Option<&Path>) -> Result<Self> {
        let fallback = Path::new("/etc/husk/cri.toml");
        let text = match path {
            Some(path) => {
                std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?
            }
            None => match std::fs::read_to_string(fallback) {
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
                read => read.with_context(|| format!("read {}", fallback.display()))?,
            },
        };
        toml::from_str(&text).with_context(|| format!("parse {}", path.unwrap_or(fallback).display()))
    }

    /// Fills in what depends on where husk-cri is installed, and refuses what can't work.
    pub fn resolve(mut self) -> Result<Self> {
        let own = std::env::current_exe().context("find husk-cri itself")?;
        let own = own.canonicalize().with_context(|| format!("resolve {}", own.display()))?;
        let beside = own.parent().unwrap_or(Path::new("/")).to_owned();
        if self.shim.as_os_str().is_empty() {
            self.shim = beside.join("husk-shim");
        }
        for (name, handler) in &mut self.runtime.handlers {
            if handler.path.as_os_str().is_empty() {
                handler.path = beside.join(name);
            }
        }
        if self.listen.as_os_str().is_empty() {
            self.listen = self.state.join("cri.sock");
        }
        self.check()?;
        Ok(self)
    }

    fn check(&self) -> Result<()> {
        if !self.runtime.handlers.contains_key(&self.runtime.default) {
            bail!("runtime.default: no handler {:?} in runtime.handlers", self.runtime.default);
        }
        if self.cgroup.driver != "cgroupfs" {
            bail!("cgroup.driver: {:?} is not \"cgroupfs\", the only driver so far", self.cgroup.driver);
        }
        let parent = Path::new(&self.cgroup.parent);
        let plain = parent.components().all(|part| !matches!(part, std::path::Component::ParentDir));
        if !parent.is_absolute() || !plain {
            bail!("cgroup.parent: {:?} is not an absolute path without \"..\"", self.cgroup.parent);
        }
        for (key, path) in [("root", &self.root), ("state", &self.state), ("listen", &self.listen)] {
            if !path.is_absolute() {
                bail!("{key}: {} is not an absolute path", path.display());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dumped_can_be_read() {
        let text = toml::to_string_pretty(&Config::default()).unwrap();
        let again = toml::from_str::<Config>(&text).unwrap();
        assert_eq!(toml::to_string_pretty(&again).unwrap(), text);
    }

    #[test]
    fn a_typo_is_an_error_that_names_it() {
        let error = toml::from_str::<Config>("[network]\nconfdir = \"/x\"").unwrap_err();
        assert!(error.to_string().contains("confdir"), "{error}");
    }

    #[test]
    fn what_cannot_work_is_refused() {
        let bad = |text: &str| toml::from_str::<Config>(text).unwrap().resolve().unwrap_err().to_string();
        assert!(bad("[runtime]\ndefault = \"kata\"").contains("kata"));
        assert!(bad("[cgroup]\nparent = \"/a/../..\"").contains("cgroup.parent"));
        assert!(bad("root = \"var\"").contains("root"));
    }
}
