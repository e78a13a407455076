//! `linux.resources.devices`: which device nodes the group may open or make.
//!
//! cgroup v2 has no file for it: the kernel asks a BPF program at each open and mknod. [`rules`] reads the spec,
//! [`program`] makes the program, and this file loads and attaches it.

mod program;
mod rules;

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};

use husk_sys::bpf;
use oci_spec::runtime::LinuxDeviceCgroup;

use crate::{Cgroup, Error, Result};

/// Checks `linux.resources.devices` without touching the system.
pub fn check_rules(devices: &[LinuxDeviceCgroup]) -> Result<()> {
    rules::all(devices).map(drop)
}

impl Cgroup {
    /// Allows the processes of the group the devices of `linux.resources.devices` and those every container has (null,
    /// zero, full, random, urandom, tty, ptys, tun; and mknod of any). The last rule that fits decides; none is deny.
    ///
    /// Called again it replaces the program in one step: there is no moment without one. An ordinary user gets EPERM
    /// ([`Error::is_permission`]); a rootless container's devices are limited by its user namespace instead.
    pub fn apply_devices(&self, devices: &[LinuxDeviceCgroup]) -> Result<()> {
        let instructions = program::assemble(&rules::all(devices)?);
        let fail = |step| move |errno| Error::Devices { step, path: self.path().to_path_buf(), errno };
        let group = self.dir()?;
        let program = bpf::load_device_program(&instructions).map_err(fail("bpf(BPF_PROG_LOAD)"))?;
        let old = bpf::device_programs(group.as_fd()).map_err(fail("bpf(BPF_PROG_QUERY)"))?;
        replace(group.as_fd(), program.as_fd(), &old).map_err(fail("bpf(BPF_PROG_ATTACH)"))
    }
}

/// With one program there already (the usual case of an update) it is swapped. With several, the new one is added
/// first: all must allow, so access is never wider than the narrowest of them meanwhile.
fn replace(group: BorrowedFd<'_>, program: BorrowedFd<'_>, old: &[u32]) -> io::Result<()> {
    if let [id] = old {
        let old = bpf::program_by_id(*id)?;
        return bpf::attach_device_program(group, program, Some(old.as_fd()));
    }
    bpf::attach_device_program(group, program, None)?;
    for id in old {
        bpf::detach_device_program(group, bpf::program_by_id(*id)?.as_fd())?;
    }
    Ok(())
}
