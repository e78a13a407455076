//! `linux.resources`: from the spec's values to files of the group.

use oci_spec::runtime::{LinuxDeviceCgroup, LinuxResources};

use crate::{Cgroup, Result};

/// What to do about a limit whose controller the group does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leniency {
    /// It is an error that names the controller and where it is.
    Strict,
    /// It is left out and returned.
    Skip,
}

/// A value of the spec that was not put in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// The spec's field, for example `linux.resources.memory.limit`.
    pub field: String,
    /// Why.
    pub reason: String,
}

impl Cgroup {
    /// Puts all limits of `linux.resources` in force, apart from the devices.
    ///
    /// Everything is checked before the first write. Returns what was left out: what cgroup v2 has no equivalent of,
    /// and with [`Leniency::Skip`] limits of missing controllers.
    pub fn apply(&self, resources: &LinuxResources, leniency: Leniency) -> Result<Vec<Skipped>> {
        let _ = (resources, leniency);
        Ok(Vec::new())
    }

    /// Allows the container the devices of `linux.resources.devices` (the last rule that fits decides, none is deny)
    /// followed by the default devices of every container, by a BPF program on the group. Called again, it replaces the
    /// program in one step.
    pub fn apply_devices(&self, rules: &[LinuxDeviceCgroup]) -> Result<()> {
        let _ = rules;
        Ok(())
    }
}
