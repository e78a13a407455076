//! Where husk-cri keeps things.
//!
//! ```text
//! ROOT/images/             husk-image's
//! ROOT/cni/                husk-cni's
//! ROOT/sandboxes/ID/       sandbox.json, hostname, hosts, resolv.conf
//! ROOT/containers/ID/      container.json, exit.json
//! STATE/sandboxes/ID/      shm/ (mount), shim/ (husk-shim's own: socket, namespaces)
//! STATE/containers/ID/     config.json, rootfs/ (mount), volumes/N/ (mounts)
//! STATE/runtime/           the OCI runtime's own
//! ```

use std::fs::{DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::error::{Context, Result};

/// Folders of objects.
#[derive(Clone, Debug)]
pub struct Paths {
    root: PathBuf,
    state: PathBuf,
}

/// File of a sandbox's record.
pub const SANDBOX: &str = "sandbox.json";
/// File of a container's record.
pub const CONTAINER: &str = "container.json";

impl Paths {
    /// Makes the folders, closed to others (CVE-2024-25621).
    pub fn make(config: &Config) -> Result<Self> {
        let paths = Self { root: config.root.clone(), state: config.state.clone() };
        for dir in [&paths.root, &paths.state] {
            private(dir)?;
            // A folder that was there before may be open.
            std::fs::set_permissions(dir, Permissions::from_mode(0o711))
                .on("chmod 0711", dir.display().to_string())?;
            for name in ["sandboxes", "containers"] {
                private(&dir.join(name))?;
            }
        }
        private(&paths.runtime())?;
        Ok(paths)
    }

    /// Durable folders of all sandboxes.
    pub fn sandboxes(&self) -> PathBuf {
        self.root.join("sandboxes")
    }

    /// Durable folders of all containers.
    pub fn containers(&self) -> PathBuf {
        self.root.join("containers")
    }

    /// Durable folder of a sandbox.
    pub fn sandbox(&self, id: &str) -> PathBuf {
        self.sandboxes().join(id)
    }

    /// Record of a sandbox.
    pub fn sandbox_record(&self, id: &str) -> PathBuf {
        self.sandbox(id).join(SANDBOX)
    }

    /// Durable folder of a container.
    pub fn container(&self, id: &str) -> PathBuf {
        self.containers().join(id)
    }

    /// Record of a container.
    pub fn container_record(&self, id: &str) -> PathBuf {
        self.container(id).join(CONTAINER)
    }

    /// Exit record of a container.
    pub fn exit_record(&self, id: &str) -> PathBuf {
        self.container(id).join("exit.json")
    }

    /// State folder of a sandbox.
    pub fn sandbox_state(&self, id: &str) -> PathBuf {
        self.state.join("sandboxes").join(id)
    }

    /// State folders of all sandboxes.
    pub fn sandbox_states(&self) -> PathBuf {
        self.state.join("sandboxes")
    }

    /// State folders of all containers.
    pub fn container_states(&self) -> PathBuf {
        self.state.join("containers")
    }

    /// A sandbox's /dev/shm.
    pub fn shm(&self, id: &str) -> PathBuf {
        self.sandbox_state(id).join("shm")
    }

    /// A shim's own folder.
    pub fn shim(&self, id: &str) -> PathBuf {
        self.sandbox_state(id).join("shim")
    }

    /// State folder of a container: its OCI bundle.
    pub fn bundle(&self, id: &str) -> PathBuf {
        self.state.join("containers").join(id)
    }

    /// A container's root filesystem.
    pub fn rootfs(&self, id: &str) -> PathBuf {
        self.bundle(id).join("rootfs")
    }

    /// The OCI runtime's state.
    pub fn runtime(&self) -> PathBuf {
        self.state.join("runtime")
    }
}

/// Makes `dir` and what is missing above it, with mode 0700.
pub fn private(dir: &Path) -> Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir).on("create", dir.display().to_string())
}
