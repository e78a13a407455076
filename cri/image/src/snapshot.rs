//! A container's root filesystem: an image's layers below a directory of its own.

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MoveMountFlags, UnmountFlags, fsconfig_create,
    fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, mount, move_mount, unmount,
};
use serde::{Deserialize, Serialize};

use crate::{Digest, Error, Result};

/// mount(2) takes one page of options, NUL included; no machine's page is smaller.
const PAGE: usize = 4096;

/// How a snapshot is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotOptions {
    /// No upper directory: nothing can be written (image volumes). A container with a read-only root still needs an
    /// upper directory, in which the runtime makes its mount points.
    pub read_only: bool,
}

/// A prepared root filesystem. It stays valid when its image is removed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Container id.
    pub id: String,
    /// Image that it was made from.
    pub image: Digest,
    /// Diff ids, lowest first.
    pub layers: Vec<Digest>,
    /// How it was made.
    pub options: SnapshotOptions,
    /// Directories for overlayfs, lowest last, as the kernel wants them.
    #[serde(skip)]
    pub lower: Vec<PathBuf>,
    /// Upper and work directory.
    #[serde(skip)]
    pub upper: Option<(PathBuf, PathBuf)>,
}

impl Snapshot {
    /// Mounts the root filesystem on a directory.
    ///
    /// # Errors
    /// The kernel refuses the mount.
    pub fn mount(&self, target: &Path) -> Result<()> {
        match self.mount_by_fd(target) {
            // Before Linux 6.7 overlayfs has no "lowerdir+", and before 5.2 there is no fsopen(2).
            Err((call, Errno::INVAL | Errno::NOSYS)) => {
                tracing::debug!(call, "mounting overlayfs by mount(2)");
                self.mount_classic(target)
            }
            Err((call, errno)) => Err(Error::io(call, target, errno)),
            Ok(()) => Ok(()),
        }
    }

    /// One option per layer: no limit on the length of all together (a page, with mount(2)).
    fn mount_by_fd(&self, target: &Path) -> Result<(), (&'static str, Errno)> {
        let at = |call| move |errno| (call, errno);
        let fs = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC).map_err(at("fsopen"))?;
        let fs = fs.as_fd();
        // Shown as the mount's source in mountinfo.
        fsconfig_set_string(fs, "source", "husk").map_err(at("fsconfig"))?;
        for lower in &self.lower {
            fsconfig_set_string(fs, "lowerdir+", lower).map_err(at("fsconfig lowerdir+"))?;
        }
        match &self.upper {
            Some((upper, work)) => {
                fsconfig_set_string(fs, "upperdir", upper).map_err(at("fsconfig upperdir"))?;
                fsconfig_set_string(fs, "workdir", work).map_err(at("fsconfig workdir"))?;
            }
            None => fsconfig_set_flag(fs, "ro").map_err(at("fsconfig ro"))?,
        }
        fsconfig_create(fs).map_err(at("fsconfig create"))?;
        let attributes = match self.upper {
            Some(_) => MountAttrFlags::empty(),
            None => MountAttrFlags::MOUNT_ATTR_RDONLY,
        };
        let mounted = fsmount(fs, FsMountFlags::FSMOUNT_CLOEXEC, attributes).map_err(at("fsmount"))?;
        move_mount(&mounted, "", CWD, target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
            .map_err(at("move_mount"))
    }

    /// Mounts by mount(2), which every kernel has; [`Snapshot::mount`] takes this way where the other is not there.
    ///
    /// # Errors
    /// The kernel refuses the mount, or there are more layers than a page of options can name (about 230).
    pub fn mount_classic(&self, target: &Path) -> Result<()> {
        let to_error = |errno| Error::io("mount overlay", target, errno);
        let flags = if self.upper.is_some() { MountFlags::empty() } else { MountFlags::RDONLY };
        let plain = self.mount_options();
        if plain.len() < PAGE {
            let data = CString::new(plain).map_err(|_| to_error(Errno::INVAL))?;
            return mount("husk", target, "overlay", flags, data.as_c_str()).map_err(to_error);
        }
        // Shorter names for the same directories.
        let open = |path: &PathBuf| {
            rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
                .map_err(|errno| Error::io("open", path, errno))
        };
        let name = |fd: &OwnedFd| format!("/proc/self/fd/{}", fd.as_raw_fd()).into_bytes();
        let fds = self.lower.iter().map(open).collect::<Result<Vec<_>>>()?;
        let lower: Vec<Vec<u8>> = fds.iter().map(name).collect();
        let short = options(&lower, self.upper.as_ref());
        if short.len() >= PAGE {
            return Err(to_error(Errno::TOOBIG));
        }
        let data = CString::new(short).map_err(|_| to_error(Errno::INVAL))?;
        mount("husk", target, "overlay", flags, data.as_c_str()).map_err(to_error)
    }

    /// The options as mount(8) takes them, for people and for `mount -t overlay`.
    pub fn mount_options(&self) -> Vec<u8> {
        options(&self.lower.iter().map(|path| escape(path)).collect::<Vec<_>>(), self.upper.as_ref())
    }

    /// Takes the root filesystem's mount off a directory; it is no error if nothing is mounted there.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn unmount(target: &Path) -> Result<()> {
        match unmount(target, UnmountFlags::NOFOLLOW) {
            Ok(()) | Err(Errno::INVAL | Errno::NOENT) => Ok(()),
            // Someone still has a file open in it: out of sight now, gone with the last user.
            Err(Errno::BUSY) => unmount(target, UnmountFlags::NOFOLLOW | UnmountFlags::DETACH)
                .map_err(|errno| Error::io("umount2", target, errno)),
            Err(errno) => Err(Error::io("umount2", target, errno)),
        }
    }
}

fn options(lower: &[Vec<u8>], upper: Option<&(PathBuf, PathBuf)>) -> Vec<u8> {
    let mut options = [b"lowerdir=".to_vec(), lower.join(&b':')].concat();
    if let Some((upper, work)) = upper {
        for (key, path) in [(&b",upperdir="[..], upper), (b",workdir=", work)] {
            options.extend_from_slice(key);
            options.extend_from_slice(&escape(path));
        }
    }
    options
}

/// Overlayfs splits its options at commas and colons; a backslash takes their meaning.
fn escape(path: &Path) -> Vec<u8> {
    let mut escaped = Vec::new();
    for byte in path.as_os_str().as_bytes() {
        if matches!(byte, b'\\' | b',' | b':') {
            escaped.push(b'\\');
        }
        escaped.push(*byte);
    }
    escaped
}

/// Whether a container id can be a directory's name and nothing more.
pub(crate) fn check_id(id: &str) -> Result<()> {
    let reason = if id.is_empty() || id.len() > 200 {
        "it has to have 1 to 200 bytes"
    } else if !id.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b)) {
        "it may have letters, digits, '_', '.' and '-'"
    } else if id.starts_with('.') {
        "it must not start with '.'"
    } else {
        return Ok(());
    };
    Err(Error::BadSnapshotId { id: id.into(), reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_are_paths_are_refused() {
        for bad in ["", ".", "..", "a/b", "../x", "a\0", "é", ".hidden"] {
            assert!(check_id(bad).is_err(), "{bad:?}");
        }
        assert!(check_id("0123456789abcdef.x_y-z").is_ok());
    }

    #[test]
    fn special_characters_in_options_are_escaped() {
        let upper = (PathBuf::from("/u,1"), PathBuf::from("/w"));
        let lower = vec![escape(Path::new("/a:b")), escape(Path::new("/c"))];
        assert_eq!(options(&lower, Some(&upper)), br"lowerdir=/a\:b:/c,upperdir=/u\,1,workdir=/w");
    }
}
