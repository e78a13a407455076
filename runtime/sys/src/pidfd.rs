//! What a pidfd tells about a process that has ended: `PIDFD_GET_INFO` (linux/pidfd.h).

use std::io;
use std::os::fd::{AsFd, AsRawFd as _};

/// `struct pidfd_info`, first version (64 bytes).
#[repr(C)]
#[derive(Default)]
struct Info {
    mask: u64,
    cgroup_id: u64,
    // pid, tgid, ppid, then real, effective, saved and file system uid and gid.
    ids: [u32; 11],
    exit_code: i32,
}

const PIDFD_INFO_EXIT: u64 = 1 << 3;
/// `_IOWR(0xFF, 11, struct pidfd_info)`
const PIDFD_GET_INFO: libc::c_ulong =
    (3 << 30) | ((size_of::<Info>() as libc::c_ulong) << 16) | (0xff << 8) | 11;

/// The raw wait status of the process behind `pidfd`, once it has been reaped. Any holder of a pidfd that was opened before
/// the end may ask, not only the parent.
///
/// `Ok(None)`: it has not ended yet, or nobody has reaped it yet (poll the pidfd for POLLHUP). Errors: ENOTTY before
/// Linux 6.13; Linux 6.13 and 6.14 have the call but no exit status, they answer ESRCH.
pub fn exit_status(pidfd: impl AsFd) -> io::Result<Option<i32>> {
    let mut info = Info { mask: PIDFD_INFO_EXIT, ..Info::default() };
    // SAFETY: the descriptor is open for the length of the borrow; the request's size bits say that the argument is a
    // `struct pidfd_info` of 64 bytes, which is the size of `Info` (asserted below), and `info` is writable that long. On
    // descriptors that are no pidfd, request 0xff/11 is not in use by others and fails with ENOTTY.
    let rc = unsafe { libc::ioctl(pidfd.as_fd().as_raw_fd(), PIDFD_GET_INFO as _, &raw mut info) };
    if rc < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok((info.mask & PIDFD_INFO_EXIT != 0).then_some(info.exit_code))
}

const _: () = assert!(size_of::<Info>() == 64);

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{Pid, PidfdFlags, pidfd_open};
    use std::process::Command;

    #[test]
    fn the_status_is_there_after_the_reap() {
        let mut child = Command::new("sh")
            .args(["-c", "read x; exit 7"])
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let fd = pidfd_open(Pid::from_raw(child.id() as i32).unwrap(), PidfdFlags::empty()).unwrap();
        let before = exit_status(&fd);
        child.wait().unwrap();
        match exit_status(&fd) {
            Ok(status) => {
                assert_eq!(before.unwrap(), None);
                assert_eq!(status, Some(7 << 8));
            }
            // Kernels before 6.15.
            Err(e) => assert!(matches!(e.raw_os_error(), Some(libc::ENOTTY | libc::ESRCH)), "{e}"),
        }
    }

    #[test]
    fn another_descriptor_is_refused() {
        assert!(exit_status(std::fs::File::open("/dev/null").unwrap()).is_err());
    }
}
