//! mount_setattr(2), which rustix lacks.

use crate::{Result, check};
use std::os::fd::{AsRawFd as _, BorrowedFd};

/// What mount_setattr changes. Bits are MOUNT_ATTR_* and MS_{PRIVATE,SLAVE,SHARED,UNBINDABLE}.
#[derive(Clone, Copy, Debug, Default)]
pub struct Attributes<'fd> {
    /// Attributes to set.
    pub set: u64,
    /// Attributes to clear.
    pub clear: u64,
    /// Propagation type, or 0 to leave it.
    pub propagation: u64,
    /// User namespace whose mapping the mount is to have (with `MOUNT_ATTR_IDMAP`, which is added here).
    pub idmap: Option<BorrowedFd<'fd>>,
}

#[repr(C)]
struct MountAttr {
    attr_set: u64,
    attr_clr: u64,
    propagation: u64,
    userns_fd: u64,
}

/// Changes a mount, or with `recursive` all mounts below it too (Linux 5.12).
pub fn set_attributes(mount: BorrowedFd<'_>, attributes: Attributes<'_>, recursive: bool) -> Result<()> {
    let mut attr = MountAttr {
        attr_set: attributes.set,
        attr_clr: attributes.clear,
        propagation: attributes.propagation,
        userns_fd: 0,
    };
    if let Some(idmap) = attributes.idmap {
        attr.attr_set |= libc::MOUNT_ATTR_IDMAP;
        attr.userns_fd = idmap.as_raw_fd() as u64;
    }
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is an empty C string, attr has the layout and size of struct mount_attr.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags as libc::c_uint,
            &raw mut attr,
            size_of::<MountAttr>(),
        )
    })?;
    Ok(())
}
