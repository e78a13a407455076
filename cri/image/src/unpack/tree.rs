//! The directory that a layer becomes.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use rustix::fs::{
    self, AtFlags, FileType, Gid, Mode, OFlags, ResolveFlags, Timespec, Timestamps, Uid, XattrFlags,
};
use rustix::io::Errno;

use super::{UnpackError, Unpacked, path};
use crate::tar::{Entry, Kind};

/// Set on a directory, it hides the directory of the same name in all lower layers (kernel, overlayfs).
const OPAQUE: &str = "trusted.overlay.opaque";

pub(super) struct Tree {
    root: Rc<OwnedFd>,
    /// The directory of the last entry: most entries lie where the one before lies.
    last: Option<(Vec<u8>, Rc<OwnedFd>)>,
    /// Directories with the times that they get at the end, when nothing is made in them any more.
    times: BTreeMap<Vec<u8>, Option<(i64, u32)>>,
    has_root: bool,
}

impl Tree {
    pub fn new(root: OwnedFd) -> Tree {
        Tree { root: Rc::new(root), last: None, times: BTreeMap::new(), has_root: false }
    }

    /// Opens a directory of the layer; one that is not there is made, as one that the layer implies.
    pub fn open_dir(&mut self, dir: &[u8]) -> Result<Rc<OwnedFd>, UnpackError> {
        if dir.is_empty() {
            return Ok(Rc::clone(&self.root));
        }
        if let Some((last, fd)) = &self.last
            && last == dir
        {
            return Ok(Rc::clone(fd));
        }
        let fd = match self.open_beneath(dir) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => {
                let (parent, name) = path::split(dir);
                let parent = self.open_dir(parent)?;
                fs::mkdirat(&*parent, name, Mode::from_raw_mode(0o755))
                    .map_err(UnpackError::call("mkdirat", dir))?;
                // The umask may have taken bits.
                fs::chmodat(&*parent, name, Mode::from_raw_mode(0o755), AtFlags::empty())
                    .map_err(UnpackError::call("fchmodat", dir))?;
                self.times.insert(dir.to_vec(), None);
                self.open_beneath(dir).map_err(UnpackError::call("openat2", dir))?
            }
            Err(Errno::LOOP | Errno::NOTDIR | Errno::XDEV) => {
                return Err(UnpackError::refused(
                    dir,
                    "is used as a directory, but is none (symlinked parent)",
                ));
            }
            Err(errno) => return Err(UnpackError::call("openat2", dir)(errno)),
        };
        let fd = Rc::new(fd);
        self.last = Some((dir.to_vec(), Rc::clone(&fd)));
        Ok(fd)
    }

    fn open_beneath(&self, dir: &[u8]) -> Result<OwnedFd, Errno> {
        let resolve = ResolveFlags::BENEATH
            | ResolveFlags::NO_SYMLINKS
            | ResolveFlags::NO_MAGICLINKS
            | ResolveFlags::NO_XDEV;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        fs::openat2(&*self.root, dir, flags, Mode::empty(), resolve)
    }

    /// Makes room for an entry that is no directory: within one layer, the last entry of a name wins.
    pub fn make_room(&mut self, dir: &OwnedFd, name: &[u8], full: &[u8]) -> Result<(), UnpackError> {
        let stat = match fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(()),
            Err(errno) => return Err(UnpackError::call("fstatat", full)(errno)),
        };
        if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
            return fs::unlinkat(dir, name, AtFlags::empty()).map_err(UnpackError::call("unlinkat", full));
        }
        self.last = None;
        let inside = [full, b"/"].concat();
        let gone = self.times.range(inside.clone()..).take_while(|(path, _)| path.starts_with(&inside));
        for path in gone.map(|(path, _)| path.clone()).collect::<Vec<_>>() {
            self.times.remove(&path);
        }
        self.times.remove(full);
        crate::store::remove::tree_at(dir.as_fd(), name).map_err(UnpackError::call("remove", full))
    }

    pub fn root_entry(&mut self, entry: &Entry) -> Result<(), UnpackError> {
        self.has_root = true;
        let root = Rc::clone(&self.root);
        attributes(root.as_fd(), b".", entry)?;
        self.times.insert(Vec::new(), Some(entry.mtime));
        Ok(())
    }

    pub fn directory(&mut self, full: &[u8], entry: &Entry) -> Result<(), UnpackError> {
        let (parent, name) = path::split(full);
        let parent = self.open_dir(parent)?;
        let mode = Mode::from_raw_mode(0o700);
        match fs::mkdirat(&*parent, name, mode) {
            Ok(()) => {}
            Err(Errno::EXIST) => {
                let stat = fs::statat(&*parent, name, AtFlags::SYMLINK_NOFOLLOW)
                    .map_err(UnpackError::call("fstatat", full))?;
                if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
                    // A directory in the place of a whiteout: what lower layers have there stays hidden.
                    let hides = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice
                        && stat.st_rdev == 0;
                    fs::unlinkat(&*parent, name, AtFlags::empty())
                        .map_err(UnpackError::call("unlinkat", full))?;
                    fs::mkdirat(&*parent, name, mode).map_err(UnpackError::call("mkdirat", full))?;
                    if hides {
                        self.make_opaque(full)?;
                    }
                }
            }
            Err(errno) => return Err(UnpackError::call("mkdirat", full)(errno)),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let dir =
            fs::openat(&*parent, name, flags, Mode::empty()).map_err(UnpackError::call("openat", full))?;
        attributes(dir.as_fd(), full, entry)?;
        self.times.insert(full.to_vec(), Some(entry.mtime));
        Ok(())
    }

    pub fn make_opaque(&mut self, dir: &[u8]) -> Result<(), UnpackError> {
        let fd = self.open_dir(dir)?;
        fs::fsetxattr(&*fd, OPAQUE, b"y", XattrFlags::empty()).map_err(UnpackError::call("fsetxattr", dir))
    }

    pub fn hard_link(&mut self, full: &[u8], entry: &Entry) -> Result<(), UnpackError> {
        let target = path::clean(&entry.link).map_err(|_| {
            UnpackError::refused(&entry.path, "is a hard link to a path that leads out of the layer")
        })?;
        if target == full {
            return Ok(());
        }
        let (parent, name) = path::split(full);
        let parent = self.open_dir(parent)?;
        let (target_parent, target_name) = path::split(&target);
        let missing =
            || UnpackError::refused(&entry.path, "is a hard link to a file that is not in the same layer");
        let target_dir = match self.open_beneath_or_root(target_parent) {
            Ok(fd) => fd,
            Err(Errno::NOENT | Errno::LOOP | Errno::NOTDIR) => return Err(missing()),
            Err(errno) => return Err(UnpackError::call("openat2", &target)(errno)),
        };
        self.make_room(&parent, name, full)?;
        match fs::linkat(&*target_dir, target_name, &*parent, name, AtFlags::empty()) {
            Ok(()) => Ok(()),
            Err(Errno::NOENT) => Err(missing()),
            Err(Errno::PERM) => Err(UnpackError::refused(&entry.path, "is a hard link to a directory")),
            Err(errno) => Err(UnpackError::call("linkat", full)(errno)),
        }
    }

    fn open_beneath_or_root(&self, dir: &[u8]) -> Result<Rc<OwnedFd>, Errno> {
        if dir.is_empty() { Ok(Rc::clone(&self.root)) } else { self.open_beneath(dir).map(Rc::new) }
    }

    /// The target is kept as it is, wherever it points: it is resolved within the container alone.
    pub fn symlink(&mut self, full: &[u8], entry: &Entry) -> Result<(), UnpackError> {
        if entry.link.is_empty() {
            return Err(UnpackError::refused(&entry.path, "is a symlink without a target"));
        }
        let (parent, name) = path::split(full);
        let parent = self.open_dir(parent)?;
        self.make_room(&parent, name, full)?;
        fs::symlinkat(&entry.link[..], &*parent, name).map_err(UnpackError::call("symlinkat", full))?;
        self.attributes_at(&parent, name, full, entry)
    }

    pub fn node(&mut self, full: &[u8], entry: &Entry) -> Result<(), UnpackError> {
        let kind = match entry.kind {
            Kind::Fifo => FileType::Fifo,
            Kind::CharDevice if harmless(entry.major, entry.minor) => FileType::CharacterDevice,
            _ => return Err(UnpackError::refused(&entry.path, "is a device that no image needs")),
        };
        let (parent, name) = path::split(full);
        let parent = self.open_dir(parent)?;
        self.make_room(&parent, name, full)?;
        let device = fs::makedev(entry.major, entry.minor);
        fs::mknodat(&*parent, name, kind, Mode::from_raw_mode(0o600), device)
            .map_err(UnpackError::call("mknodat", full))?;
        self.attributes_at(&parent, name, full, entry)?;
        fs::chmodat(&*parent, name, Mode::from_raw_mode(entry.mode), AtFlags::empty())
            .map_err(UnpackError::call("fchmodat", full))
    }

    /// Owner, xattrs and times of what can't be opened.
    fn attributes_at(
        &self,
        dir: &OwnedFd,
        name: &[u8],
        full: &[u8],
        entry: &Entry,
    ) -> Result<(), UnpackError> {
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        let (uid, gid) = (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid));
        fs::chownat(dir, name, Some(uid), Some(gid), flags).map_err(UnpackError::call("fchownat", full))?;
        let by_fd = [format!("/proc/self/fd/{}/", dir.as_raw_fd()).as_bytes(), name].concat();
        for (key, value) in wanted_xattrs(entry).filter(|(key, _)| !key.starts_with(b"user.")) {
            fs::lsetxattr(&by_fd[..], key, value, XattrFlags::empty())
                .map_err(UnpackError::call("lsetxattr", full))?;
        }
        fs::utimensat(dir, name, &times(entry.mtime), flags).map_err(UnpackError::call("utimensat", full))
    }

    /// Sets the directories' times, deepest first, and tells what the layer implied.
    pub fn finish(mut self) -> Result<Unpacked, UnpackError> {
        self.last = None;
        let mut implied = Vec::new();
        for (dir, time) in std::mem::take(&mut self.times).into_iter().rev() {
            let Some(time) = time else {
                implied.push(dir);
                continue;
            };
            let fd = self.open_beneath_or_root(&dir).map_err(UnpackError::call("openat2", &dir))?;
            fs::futimens(&*fd, &times(time)).map_err(UnpackError::call("futimens", &dir))?;
        }
        implied.reverse();
        Ok(Unpacked { has_root: self.has_root, implied })
    }
}

/// Owner, mode, then xattrs: a change of owner clears setuid bits and capabilities.
pub(super) fn attributes(fd: BorrowedFd<'_>, full: &[u8], entry: &Entry) -> Result<(), UnpackError> {
    fs::fchown(fd, Some(Uid::from_raw(entry.uid)), Some(Gid::from_raw(entry.gid)))
        .map_err(UnpackError::call("fchown", full))?;
    fs::fchmod(fd, Mode::from_raw_mode(entry.mode)).map_err(UnpackError::call("fchmod", full))?;
    for (key, value) in wanted_xattrs(entry) {
        match fs::fsetxattr(fd, key, value, XattrFlags::empty()) {
            Ok(()) => {}
            // User attributes are comfort; not every file system has them.
            Err(Errno::OPNOTSUPP | Errno::NOSPC) if key.starts_with(b"user.") => {}
            Err(errno) => return Err(UnpackError::call("fsetxattr", full)(errno)),
        }
    }
    Ok(())
}

/// File capabilities and user attributes. Overlayfs' own attributes would steer the mount, and labels of another
/// machine's security modules mean nothing here.
fn wanted_xattrs(entry: &Entry) -> impl Iterator<Item = (&[u8], &[u8])> {
    let pairs = entry.xattrs.iter().map(|(key, value)| (&key[..], &value[..]));
    pairs.filter(|(key, _)| {
        *key == b"security.capability" || (key.starts_with(b"user.") && !key.starts_with(b"user.overlay."))
    })
}

pub(super) fn times(mtime: (i64, u32)) -> Timestamps {
    let time = Timespec { tv_sec: mtime.0, tv_nsec: i64::from(mtime.1) };
    Timestamps { last_access: time, last_modification: time }
}

/// Devices that every container has. Any other node in an image is either an attack or a mistake, and 0:0 would be a
/// whiteout.
fn harmless(major: u32, minor: u32) -> bool {
    matches!((major, minor), (1, 3 | 5 | 7 | 8 | 9) | (5, 0..=2))
}
