//! cgroup v2: groups, limits, devices, statistics.
//!
//! A container lives in one directory of the cgroup2 file system ([`Cgroup`]). [`path::resolve`] finds which one from
//! `linux.cgroupsPath`, [`Cgroup::create`] makes it, [`Cgroup::apply`] writes `linux.resources` into it, and
//! [`Cgroup::delete`] removes it. On a hybrid host (controllers on v1, cgroup2 beside them) everything works that
//! cgroup2 itself can do; a limit whose controller is elsewhere is an error that says where.
//!
//! Sources: Linux `Documentation/admin-guide/cgroup-v2.rst`; OCI runtime spec, `config-linux.md`.

mod control;
mod devices;
mod error;
mod events;
mod group;
mod hierarchy;
mod owner;
pub mod path;
mod read;
pub mod resources;
pub mod stats;
pub mod systemd;

pub use devices::check_rules;
pub use error::{Error, Result};
pub use events::{GroupEvents, MemoryEvents};
pub use group::Cgroup;
pub use hierarchy::Hierarchy;
pub use resources::{Leniency, Skipped};
pub use stats::Stats;
