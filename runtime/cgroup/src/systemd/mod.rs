//! systemd as the one who makes the container's group: a transient scope, by D-Bus.
//!
//! [`Name`] is the scope's place by `linux.cgroupsPath`; [`Manager`] is the connection to the systemd that owns that
//! part of the tree: the machine's for root, the user's own (`systemd --user`) for everybody else.
//!
//! Limits go both ways: as properties of the unit, so that systemd, which writes its own idea of a unit's limits again
//! whenever it reloads, has the same idea; and into the group's files, since systemd knows some of them only.
//! Devices are husk's BPF program alone: systemd attaches its own beside it where a unit has a device policy, and a node is
//! accessible where all programs allow it, so a second list could only ever take something away.
//!
//! Sources: org.freedesktop.systemd1(5), systemd.resource-control(5), <https://systemd.io/CGROUP_DELEGATION>,
//! the D-Bus specification.

mod address;
mod bus;
mod manager;
mod message;
mod name;
mod properties;
mod text;

pub use manager::{Manager, Scope};
pub use name::Name;
pub use text::PREFIX as PROPERTY_PREFIX;
