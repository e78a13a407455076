//! Disk usage of trees.

use std::collections::HashSet;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustix::fs::{self, AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::{Error, Result};

/// Space that a tree takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Usage {
    /// Allocated bytes (blocks, not lengths), as `du` counts them.
    pub bytes: u64,
    /// Inodes; a file of several links counts once.
    pub inodes: u64,
}

/// Space that the store takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FsInfo {
    /// Root of the store: the mount point to ask for capacity is the one it lies on.
    pub root: PathBuf,
    /// Layers and metadata.
    pub images: Usage,
    /// Upper directories of containers.
    pub snapshots: Usage,
}

impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, other: Usage) {
        self.bytes += other.bytes;
        self.inodes += other.inodes;
    }
}

impl Usage {
    /// Walks a tree, itself included, without following symlinks. What vanishes meanwhile is not counted; a tree that is
    /// not there takes no space.
    pub(crate) fn of(path: &Path) -> Result<Usage> {
        walk(path).map_err(|errno| Error::io("walk", path, errno))
    }

    /// A directory alone, without what is in it.
    pub(crate) fn of_dir_alone(path: &Path) -> Result<Usage> {
        let mut count = Count::default();
        count.add(&fs::stat(path).map_err(|errno| Error::io("stat", path, errno))?);
        Ok(count.usage)
    }
}

fn walk(path: &Path) -> Result<Usage, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut count = Count::default();
    let root = match fs::openat(CWD, path, flags, Mode::empty()) {
        Ok(fd) => Rc::new(fd),
        Err(Errno::NOENT) => return Ok(count.usage),
        Err(errno) => return Err(errno),
    };
    count.add(&fs::fstat(&*root)?);
    // Each waiting directory holds its parent open: no path is ever looked up twice, and no depth is too much.
    let mut waiting: Vec<(Rc<OwnedFd>, Vec<u8>)> = Vec::new();
    list(&root, &mut count, &mut waiting)?;
    while let Some((parent, name)) = waiting.pop() {
        match fs::openat(&*parent, &name[..], flags, Mode::empty()) {
            Ok(dir) => list(&Rc::new(dir), &mut count, &mut waiting)?,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(count.usage)
}

fn list(
    dir: &Rc<OwnedFd>,
    count: &mut Count,
    waiting: &mut Vec<(Rc<OwnedFd>, Vec<u8>)>,
) -> Result<(), Errno> {
    for item in Dir::read_from(dir.as_fd())? {
        let item = item?;
        let name = item.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        match fs::statat(&**dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => {
                count.add(&stat);
                if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                    waiting.push((Rc::clone(dir), name.to_bytes().to_vec()));
                }
            }
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

#[derive(Default)]
struct Count {
    usage: Usage,
    linked: HashSet<(u64, u64)>,
}

impl Count {
    fn add(&mut self, stat: &Stat) {
        let is_dir = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        if stat.st_nlink > 1 && !is_dir && !self.linked.insert((stat.st_dev, stat.st_ino)) {
            return;
        }
        // st_blocks is in units of 512 bytes whatever the file system (stat(2)).
        self.usage.bytes += stat.st_blocks.cast_unsigned() * 512;
        self.usage.inodes += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_du() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("t/a/b");
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("f"), vec![1; 100_000]).unwrap();
        std::fs::hard_link(dir.join("f"), dir.join("g")).unwrap();
        std::os::unix::fs::symlink("/etc", dir.join("s")).unwrap();
        let out = std::process::Command::new("du").args(["-s", "-B1"]).arg(temp.path()).output().unwrap();
        let text = String::from_utf8(out.stdout).unwrap();
        let du: u64 = text.split('\t').next().unwrap().parse().unwrap();
        assert_eq!(Usage::of(temp.path()).unwrap(), Usage { bytes: du, inodes: 6 });
        assert_eq!(Usage::of(&temp.path().join("none")).unwrap(), Usage::default());
    }
}
