//! A handle on the host's procfs: what is written through it can't be redirected by a /proc of the container's making
//! (CVE-2019-16884, CVE-2019-19921, CVE-2025-52881).

use super::failure::{Failure, Result, Step as _};
use rustix::fs::{CWD, Mode, OFlags, PROC_SUPER_MAGIC, ResolveFlags};
use std::{
    ffi::CString,
    io::Read as _,
    os::fd::{AsRawFd as _, OwnedFd, RawFd},
    path::Path,
};

/// PROC_ROOT_INO
const ROOT: u64 = 1;

/// The root of a procfs, opened before the container's mounts exist.
#[derive(Debug)]
pub struct Proc {
    fd: OwnedFd,
}

impl Proc {
    /// Opens /proc, and makes sure that it is one.
    pub fn open() -> Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let fd = rustix::fs::openat(CWD, "/proc", flags, Mode::empty()).step(|| "open /proc".into())?;
        let found = rustix::fs::fstatfs(&fd).step(|| "fstatfs /proc".into())?;
        let stat = rustix::fs::fstat(&fd).step(|| "fstat /proc".into())?;
        if found.f_type != PROC_SUPER_MAGIC || stat.st_ino != ROOT {
            return Err(Failure::text("/proc is not a procfs"));
        }
        Ok(Self { fd })
    }

    /// Number of the descriptor.
    pub fn raw(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// The caller's pid in the PID namespace of this procfs.
    pub fn own_pid(&self) -> Option<i32> {
        let target = rustix::fs::readlinkat(&self.fd, "self", Vec::new()).ok()?;
        target.to_str().ok()?.parse().ok()
    }

    /// Opens a file of procfs itself: neither a mount over it nor a link out of it is followed.
    pub fn file(&self, path: &Path, flags: OFlags) -> husk_sys::Result<OwnedFd> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_MAGICLINKS;
        rustix::fs::openat2(&self.fd, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve)
    }

    /// Opens what a link in a folder of procfs leads to: a namespace or the root of a process.
    pub fn behind(&self, folder: &str, link: &str, flags: OFlags) -> husk_sys::Result<OwnedFd> {
        let folder = self.file(Path::new(folder), OFlags::PATH | OFlags::DIRECTORY)?;
        rustix::fs::openat(&folder, link, flags | OFlags::CLOEXEC, Mode::empty())
    }

    /// Reads a link of procfs itself without following it: `user:[4026531837]`.
    pub fn link(&self, path: &Path) -> husk_sys::Result<CString> {
        let fd = self.file(path, OFlags::PATH | OFlags::NOFOLLOW)?;
        rustix::fs::readlinkat(&fd, c"", Vec::new())
    }

    /// Reads a small file of procfs itself.
    pub fn read(&self, path: &Path) -> husk_sys::Result<String> {
        let mut text = String::new();
        let mut file = std::fs::File::from(self.file(path, OFlags::RDONLY)?);
        file.read_to_string(&mut text).map_err(|error| {
            error.raw_os_error().map_or(husk_sys::Errno::INVAL, husk_sys::Errno::from_raw_os_error)
        })?;
        Ok(text)
    }

    /// Writes a file in one write, as the files of procfs want it.
    pub fn write(&self, path: &Path, content: &[u8]) -> husk_sys::Result<()> {
        let fd = self.file(path, OFlags::WRONLY)?;
        match rustix::io::write(&fd, content)? {
            written if written == content.len() => Ok(()),
            _ => Err(husk_sys::Errno::IO),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{OFlags, Proc};
    use std::path::Path;

    #[test]
    fn magic_links_and_ways_out_are_refused() {
        let proc = Proc::open().unwrap();
        assert_eq!(proc.own_pid(), i32::try_from(std::process::id()).ok());
        assert!(proc.file(Path::new("self/stat"), OFlags::RDONLY).is_ok());
        assert!(proc.file(Path::new("self/root/etc/passwd"), OFlags::RDONLY).is_err());
        assert!(proc.file(Path::new("../etc/passwd"), OFlags::RDONLY).is_err());
        assert!(proc.file(Path::new("/etc/passwd"), OFlags::RDONLY).is_err());
    }
}
