//! One node's sandboxes and containers, and what they are made with.

mod cgroup;
mod features;
mod paths;

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use husk_cni::{Cni, Settings};
use husk_cri_api::ContainerEventResponse;
use husk_image::Store;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::sync::{broadcast, watch};

use crate::config::{Config, Handler};
use crate::error::{Context, Error, Result};
use crate::sandbox::Waiters;
use crate::shim::Shim;
use crate::spec::Missing;
use crate::store::{ContainerRecord, Entry, Named, SandboxRecord, Table};
use crate::usage::LastCpu;
use crate::work::Work;

pub use cgroup::Cgroups;
pub use features::Features;
pub use paths::{CONTAINER, Paths, SANDBOX, private};

/// Everything that calls work on.
pub struct Node {
    /// Configuration, resolved.
    pub config: Config,
    /// Where things are.
    pub paths: Paths,
    /// This boot's id.
    pub boot: String,
    /// Images and snapshots.
    pub images: Store,
    /// Pod networks.
    pub cni: Arc<Cni>,
    /// The cgroup tree.
    pub cgroups: Cgroups,
    /// What the OCI runtimes can do.
    pub features: Features,
    /// Sandboxes that clients see.
    pub sandboxes: Table<Sandbox>,
    /// Containers that clients see.
    pub containers: Table<Container>,
    /// Calls under way that make something, and give its id.
    pub making: Work<String>,
    /// All other calls under way that change something.
    pub changing: Work<()>,
    /// What happens to containers.
    pub events: broadcast::Sender<ContainerEventResponse>,
    /// The node's pod range, as the kubelet told it.
    pub pod_cidr: Mutex<String>,
    stopping: AtomicBool,
}

/// A pod sandbox.
pub struct Sandbox {
    /// What is known of it.
    pub entry: Entry<SandboxRecord>,
    shim: Mutex<Option<Arc<Shim>>>,
    /// Its shim or its pause process is gone.
    pub dead: AtomicBool,
    /// Last reading of its CPU time.
    pub cpu: LastCpu,
    /// Calls that wait for the end of an exec.
    pub execs: Waiters,
    /// Held while the sandbox is stopped or removed, or a container is made in it.
    pub gate: tokio::sync::RwLock<()>,
}

/// A container.
pub struct Container {
    /// What is known of it.
    pub entry: Entry<ContainerRecord>,
    /// True once its init has ended.
    pub ended: watch::Sender<bool>,
    /// When the stop under way sends SIGKILL; none: no stop is under way.
    pub deadline: watch::Sender<Option<tokio::time::Instant>>,
    /// Held while it is started or removed.
    pub gate: tokio::sync::Mutex<()>,
    /// Last reading of its CPU time.
    pub cpu: LastCpu,
    /// Its init, held since it was made: tells the exit status even where the shim has died (`PIDFD_GET_INFO`).
    pub init: Mutex<Option<OwnedFd>>,
}

impl Named for Sandbox {
    const KIND: &'static str = "sandbox";
}

impl Named for Container {
    const KIND: &'static str = "container";
}

impl Sandbox {
    /// A sandbox with its record on disk, without its shim.
    pub fn new(entry: Entry<SandboxRecord>) -> Self {
        Self {
            entry,
            shim: Mutex::new(None),
            dead: AtomicBool::new(false),
            cpu: LastCpu::default(),
            execs: Waiters::default(),
            gate: tokio::sync::RwLock::new(()),
        }
    }

    /// Its shim is connected, or gone.
    pub fn set_shim(&self, shim: Option<Arc<Shim>>) {
        *self.shim.lock().unwrap_or_else(PoisonError::into_inner) = shim;
    }

    /// Its shim.
    pub fn shim(&self) -> Option<Arc<Shim>> {
        self.shim.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Its shim, or the error that a client gets.
    pub fn need_shim(&self) -> Result<Arc<Shim>> {
        let gone = || Error::State { what: format!("sandbox {:?} has no running shim", self.entry.get().id) };
        self.shim().filter(|shim| !shim.is_lost()).ok_or_else(gone)
    }
}

impl Container {
    /// Takes hold of its init, which its living shim has named.
    pub fn hold(&self, pid: i32) {
        let handle = Pid::from_raw(pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        *self.init.lock().unwrap_or_else(PoisonError::into_inner) = handle;
    }

    /// A container with its record on disk.
    pub fn new(entry: Entry<ContainerRecord>) -> Self {
        let ended = entry.get().ended.is_some();
        Self {
            entry,
            ended: watch::Sender::new(ended),
            deadline: watch::Sender::new(None),
            gate: tokio::sync::Mutex::new(()),
            cpu: LastCpu::default(),
            init: Mutex::new(None),
        }
    }
}

/// Events that a slow client of GetContainerEvents may fall behind.
const EVENTS: usize = 1000;

impl Node {
    /// Opens what is on disk, without looking at what is there; see [`crate::recover`].
    pub fn open(config: Config) -> Result<Arc<Self>> {
        let paths = Paths::make(&config)?;
        let images = Store::open(&config.root.join("images"), config.image.clone())
            .on("open", config.root.join("images").display().to_string())?;
        let cni = Cni::new(Settings {
            conf_dir: config.network.conf_dir.clone(),
            bin_dirs: config.network.bin_dirs.clone(),
            cache_dir: config.root.join("cni"),
            timeout: Duration::from_secs(config.network.timeout),
        });
        Ok(Arc::new(Self {
            paths,
            boot: crate::id::boot()?,
            images,
            cni: Arc::new(cni),
            cgroups: Cgroups::find(&config)?,
            features: Features::default(),
            sandboxes: Table::default(),
            containers: Table::default(),
            making: Work::default(),
            changing: Work::default(),
            events: broadcast::Sender::new(EVENTS),
            pod_cidr: Mutex::default(),
            stopping: AtomicBool::new(false),
            config,
        }))
    }

    /// The OCI runtime of a handler; the empty name is the default one's.
    pub fn handler(&self, name: &str) -> Result<&Handler> {
        let name = if name.is_empty() { &self.config.runtime.default } else { name };
        let none = || Error::invalid("runtime_handler", format!("no runtime handler {name:?}"));
        self.config.runtime.handlers.get(name).ok_or_else(none)
    }

    /// Time that the OCI runtime has.
    pub fn runtime_timeout(&self) -> Duration {
        Duration::from_secs(self.config.limits.runtime_timeout)
    }

    /// Controllers that this host lacks.
    pub fn missing(&self) -> Missing {
        self.cgroups.missing(self.config.cgroup.ignore_missing_controllers)
    }

    /// husk-cri itself is ending: shims whose connection ends now are well.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
    }

    /// See [`Node::stop`].
    pub fn stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// The containers of a sandbox.
    pub fn containers_of(&self, sandbox: &str) -> Vec<Arc<Container>> {
        self.containers
            .all()
            .into_iter()
            .filter(|container| container.entry.get().sandbox == sandbox)
            .collect()
    }
}
