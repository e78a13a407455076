//! Scheduling of a process: sched_setattr(2), ioprio_set(2), personality(2), set_mempolicy(2).

use crate::{Result, check};

/// `struct sched_attr`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Size of this structure; filled in by [`set`].
    pub size: u32,
    /// `SCHED_*`.
    pub policy: u32,
    /// `SCHED_FLAG_*`.
    pub flags: u64,
    /// Nice value, for the time-sharing policies.
    pub nice: i32,
    /// Priority, for the real-time policies.
    pub priority: u32,
    /// Nanoseconds; for SCHED_DEADLINE.
    pub runtime: u64,
    /// Nanoseconds; for SCHED_DEADLINE.
    pub deadline: u64,
    /// Nanoseconds; for SCHED_DEADLINE.
    pub period: u64,
}

/// Sets the scheduling of this process.
pub fn set(attributes: &Attributes) -> Result<()> {
    let mut attributes = *attributes;
    attributes.size = size_of::<Attributes>() as u32;
    // SAFETY: the structure has the layout of the first version of sched_attr, and its size says so.
    check(unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw mut attributes, 0) })?;
    Ok(())
}

/// Lets this thread run on every CPU that its cgroup allows, those that come later too: the kernel keeps the whole set, and
/// shows of it what the cpuset has.
pub fn allow_all_cpus() -> Result<()> {
    // NR_CPUS of the largest kernels; more is cut off, less would be a limit.
    let all = [u8::MAX; 8192 / 8];
    // SAFETY: the kernel reads no more than the length that it is told, which is the array's.
    check(unsafe { libc::syscall(libc::SYS_sched_setaffinity, 0, all.len(), all.as_ptr()) })?;
    Ok(())
}

/// Sets the IO priority of this process: class (1 real-time, 2 best effort, 3 idle) and level 0–7.
pub fn set_io_priority(class: u32, level: u32) -> Result<()> {
    const WHO_PROCESS: libc::c_int = 1;
    // SAFETY: takes numbers only.
    check(unsafe { libc::syscall(libc::SYS_ioprio_set, WHO_PROCESS, 0, (class << 13) | level) })?;
    Ok(())
}

/// Sets the execution domain of this process.
pub fn set_personality(persona: u32) -> Result<()> {
    // SAFETY: takes a number only.
    check(unsafe { libc::syscall(libc::SYS_personality, libc::c_ulong::from(persona)) })?;
    Ok(())
}

/// Sets the NUMA memory policy of this process: `MPOL_*` with its flags, and the nodes.
pub fn set_memory_policy(mode: i32, nodes: &[u32]) -> Result<()> {
    const BITS: usize = libc::c_ulong::BITS as usize;
    let highest = nodes.iter().max().map_or(0, |node| *node as usize);
    let mut mask: Vec<libc::c_ulong> = vec![0; highest / BITS + 1];
    for node in nodes {
        if let Some(word) = mask.get_mut(*node as usize / BITS) {
            *word |= 1 << (*node as usize % BITS);
        }
    }
    let (pointer, bits) =
        // The kernel takes one bit less than it is told (set_mempolicy(2), "maxnode").
        if nodes.is_empty() { (std::ptr::null(), 0) } else { (mask.as_ptr(), mask.len() * BITS + 1) };
    // SAFETY: the mask has as many bits as said, or is null with none.
    check(unsafe { libc::syscall(libc::SYS_set_mempolicy, libc::c_long::from(mode), pointer, bits) })?;
    Ok(())
}
