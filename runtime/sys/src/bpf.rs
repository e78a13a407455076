//! bpf(2), as far as cgroup device programs need it. Structures and numbers: include/uapi/linux/bpf.h.

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

const PROG_LOAD: libc::c_int = 5;
const PROG_ATTACH: libc::c_int = 8;
const PROG_DETACH: libc::c_int = 9;
const PROG_GET_FD_BY_ID: libc::c_int = 13;
const PROG_QUERY: libc::c_int = 16;

const TYPE_CGROUP_DEVICE: u32 = 15;
const ATTACH_CGROUP_DEVICE: u32 = 6;
/// Programs of ancestors run as well, and all must allow.
const ALLOW_MULTI: u32 = 1 << 1;
/// Swap one program for another in one step; Linux 5.6.
const REPLACE: u32 = 1 << 2;

/// One eBPF instruction in the kernel's byte order and layout.
pub type Instruction = [u8; 8];

#[repr(C)]
#[derive(Default)]
struct LoadAttr {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
    prog_name: [u8; 16],
}

#[repr(C)]
#[derive(Default)]
struct AttachAttr {
    target_fd: u32,
    attach_bpf_fd: u32,
    attach_type: u32,
    attach_flags: u32,
    replace_bpf_fd: u32,
}

#[repr(C)]
#[derive(Default)]
struct QueryAttr {
    target_fd: u32,
    attach_type: u32,
    query_flags: u32,
    attach_flags: u32,
    prog_ids: u64,
    prog_cnt: u32,
    padding: u32,
}

#[repr(C)]
#[derive(Default)]
struct IdAttr {
    prog_id: u32,
    next_id: u32,
    open_flags: u32,
}

/// The attribute structures above: plain integers, of which the kernel reads and writes no more than their size.
trait Attr {}
impl Attr for LoadAttr {}
impl Attr for AttachAttr {}
impl Attr for QueryAttr {}
impl Attr for IdAttr {}

fn call<T: Attr>(command: libc::c_int, attr: &mut T) -> io::Result<libc::c_int> {
    // SAFETY: attr is a valid, exclusively borrowed bpf_attr variant of the given size; pointers within it (instructions,
    // licence, id list) are set by this module's functions from slices that outlive the call.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attr), size_of::<T>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result as libc::c_int) }
}

fn owned(fd: libc::c_int) -> OwnedFd {
    // SAFETY: the caller passes a descriptor that bpf(2) has just returned, and nothing else owns it. The kernel opens
    // them close-on-exec.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Loads a cgroup device program. Needs CAP_BPF (or CAP_SYS_ADMIN) in the first user namespace.
pub fn load_device_program(instructions: &[Instruction]) -> io::Result<OwnedFd> {
    // No helper of the kernel is called, so the licence need not be GPL-compatible.
    let license = c"Apache-2.0";
    let mut attr = LoadAttr {
        prog_type: TYPE_CGROUP_DEVICE,
        insn_cnt: u32::try_from(instructions.len()).map_err(|_| io::Error::from_raw_os_error(libc::E2BIG))?,
        insns: instructions.as_ptr().addr() as u64,
        license: license.as_ptr().addr() as u64,
        prog_name: *b"husk_devices\0\0\0\0",
        ..LoadAttr::default()
    };
    call(PROG_LOAD, &mut attr).map(owned)
}

/// Attaches a device program to a group, in place of another one if given.
pub fn attach_device_program(
    group: BorrowedFd<'_>,
    program: BorrowedFd<'_>,
    replaced: Option<BorrowedFd<'_>>,
) -> io::Result<()> {
    let mut attr = AttachAttr {
        target_fd: group.as_raw_fd() as u32,
        attach_bpf_fd: program.as_raw_fd() as u32,
        attach_type: ATTACH_CGROUP_DEVICE,
        attach_flags: ALLOW_MULTI | if replaced.is_some() { REPLACE } else { 0 },
        replace_bpf_fd: replaced.map_or(0, |fd| fd.as_raw_fd() as u32),
    };
    call(PROG_ATTACH, &mut attr).map(drop)
}

/// Detaches a device program from a group.
pub fn detach_device_program(group: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    let mut attr = AttachAttr {
        target_fd: group.as_raw_fd() as u32,
        attach_bpf_fd: program.as_raw_fd() as u32,
        attach_type: ATTACH_CGROUP_DEVICE,
        ..AttachAttr::default()
    };
    call(PROG_DETACH, &mut attr).map(drop)
}

/// The ids of the device programs attached to a group itself, at most 64 (the kernel's own limit).
pub fn device_programs(group: BorrowedFd<'_>) -> io::Result<Vec<u32>> {
    let mut ids = [0u32; 64];
    let mut attr = QueryAttr {
        target_fd: group.as_raw_fd() as u32,
        attach_type: ATTACH_CGROUP_DEVICE,
        prog_ids: ids.as_mut_ptr().addr() as u64,
        prog_cnt: ids.len() as u32,
        ..QueryAttr::default()
    };
    call(PROG_QUERY, &mut attr)?;
    Ok(ids.into_iter().take(attr.prog_cnt as usize).collect())
}

/// A descriptor of a loaded program.
pub fn program_by_id(id: u32) -> io::Result<OwnedFd> {
    let mut attr = IdAttr { prog_id: id, ..IdAttr::default() };
    call(PROG_GET_FD_BY_ID, &mut attr).map(owned)
}
