//! Looking at files inside a container's root without ever leaving it (openat2 with RESOLVE_IN_ROOT).

use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, Stat, StatVfsMountFlags, StatxFlags, fstat, fstatvfs,
    openat, openat2, readlinkat, statx,
};
use rustix::io::{Errno, pread};

/// As whom a program was to be executed.
pub(crate) struct Credentials<'a> {
    pub uid: u32,
    pub gid: u32,
    pub groups: &'a [u32],
}

impl Credentials<'_> {
    /// True where the mode's `bits` (the last three: of others) are granted.
    fn has(&self, stat: &Stat, bit: u32) -> bool {
        let shift = if stat.st_uid == self.uid {
            6
        } else if stat.st_gid == self.gid || self.groups.contains(&stat.st_gid) {
            3
        } else {
            0
        };
        stat.st_mode & (bit << shift) != 0
    }
}

/// A container's root directory.
pub(crate) enum Root<'a> {
    /// That of another process.
    At(BorrowedFd<'a>),
    /// This process's own: it has entered the container.
    Own,
}

impl Root<'_> {
    fn open_with(&self, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
        let Root::At(root) = self else {
            // "/" is the container's here, and a seccomp profile may lack openat2.
            return openat(CWD, path, flags | OFlags::CLOEXEC, Mode::empty());
        };
        // No magic links: /proc/1/root would lead out. Nothing a program's path needs goes through them.
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve)
    }

    /// Finds a file without opening it for reading.
    pub(crate) fn open(&self, path: &Path) -> Result<File, Errno> {
        let fd = self.open_with(path, OFlags::PATH)?;
        let stat = fstat(&fd)?;
        // Only a plain file may be opened for reading: a FIFO would block, a device may act.
        let readable = (FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile)
            .then(|| self.open_with(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY).ok())
            .flatten();
        Ok(File { fd, readable, stat })
    }

    /// Where the symbolic link at `path` points to; `None` where there is none.
    pub(crate) fn link_target(&self, path: &Path) -> Option<PathBuf> {
        let fd = self.open_with(path, OFlags::PATH | OFlags::NOFOLLOW).ok()?;
        let target = readlinkat(&fd, c"", Vec::new()).ok()?;
        Some(PathBuf::from(std::ffi::OsString::from(target.to_string_lossy().into_owned())))
    }

    /// True where `who` may search every directory on the way. Links are not followed here: what they lead through is
    /// answered for by `open`.
    pub(crate) fn may_reach(&self, path: &Path, who: &Credentials<'_>) -> bool {
        who.uid == 0
            || path
                .ancestors()
                .skip(1)
                .filter(|dir| !dir.as_os_str().is_empty())
                .all(|dir| self.open(dir).is_ok_and(|f| !f.is_dir() || who.has(&f.stat, 0o1)))
    }

    /// The mount that `path` lies on: the topmost directory above it with the same mount id.
    pub(crate) fn mount_point(&self, path: &Path) -> PathBuf {
        let id = |path: &Path| {
            let fd = self.open_with(path, OFlags::PATH).ok()?;
            statx(&fd, c"", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID).ok().map(|s| s.stx_mnt_id)
        };
        let own = id(path);
        path.ancestors()
            .take_while(|dir| !dir.as_os_str().is_empty() && id(dir) == own)
            .last()
            .unwrap_or(path)
            .into()
    }
}

/// A file that was found.
pub(crate) struct File {
    fd: OwnedFd,
    readable: Option<OwnedFd>,
    stat: Stat,
}

impl File {
    fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.stat.st_mode)
    }

    pub(crate) fn is_dir(&self) -> bool {
        self.kind() == FileType::Directory
    }

    pub(crate) fn is_file(&self) -> bool {
        self.kind() == FileType::RegularFile
    }

    pub(crate) fn size(&self) -> u64 {
        self.stat.st_size as u64
    }

    /// By mode bits. Root needs one of the three (capabilities(7), CAP_DAC_OVERRIDE).
    pub(crate) fn may_execute(&self, who: &Credentials<'_>) -> bool {
        if who.uid == 0 { self.stat.st_mode & 0o111 != 0 } else { who.has(&self.stat, 0o1) }
    }

    pub(crate) fn is_noexec(&self) -> bool {
        fstatvfs(&self.fd).is_ok_and(|fs| fs.f_flag.contains(StatVfsMountFlags::NOEXEC))
    }

    /// The first bytes; empty where it may not be read.
    pub(crate) fn head(&self) -> Vec<u8> {
        self.read_at(0, 4096)
    }

    /// Up to `length` bytes from `offset` on.
    pub(crate) fn read_at(&self, offset: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length.min(64 * 1024)];
        let n = self.readable.as_ref().and_then(|fd| pread(fd, &mut bytes, offset).ok()).unwrap_or(0);
        bytes.truncate(n);
        bytes
    }
}
