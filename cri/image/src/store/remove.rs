//! Removes directory trees of any depth with few descriptors and little stack.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{self, AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

/// Directories nested deeper than this are moved up to the tree's top first.
const DEPTH: usize = 64;

/// Removes `name` below `parent`, whatever it is; nothing there is no error. No symlink is followed. A container may
/// have nested its directories without end, so recursion is bounded: what lies deep is moved up and removed from there.
pub(crate) fn tree_at(parent: BorrowedFd<'_>, name: &[u8]) -> Result<(), Errno> {
    match fs::unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(errno) => return Err(errno),
    }
    let Some(top) = open(parent, name)? else { return Ok(()) };
    let mut moved = 0;
    loop {
        let before = moved;
        empty(top.as_fd(), top.as_fd(), 0, &mut moved)?;
        if moved == before {
            break;
        }
    }
    drop(top);
    match fs::unlinkat(parent, name, AtFlags::REMOVEDIR) {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

fn open(parent: BorrowedFd<'_>, name: &[u8]) -> Result<Option<OwnedFd>, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match fs::openat(parent, name, flags, Mode::empty()) {
        Ok(fd) => Ok(Some(fd)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

fn empty(top: BorrowedFd<'_>, dir: BorrowedFd<'_>, depth: usize, moved: &mut u64) -> Result<(), Errno> {
    for item in Dir::read_from(dir)? {
        let item = item?;
        let name = item.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        if item.file_type() != FileType::Directory {
            match fs::unlinkat(dir, name, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => continue,
                // Some file systems don't tell types in directory listings.
                Err(Errno::ISDIR | Errno::PERM) if item.file_type() == FileType::Unknown => {}
                Err(errno) => return Err(errno),
            }
        }
        if depth >= DEPTH {
            loop {
                *moved += 1;
                let new = format!(".husk-moved-{moved}");
                match fs::renameat_with(dir, name, top, &new, fs::RenameFlags::NOREPLACE) {
                    Ok(()) => break,
                    Err(Errno::EXIST) => {}
                    Err(errno) => return Err(errno),
                }
            }
            continue;
        }
        if let Some(inner) = open(dir, name.to_bytes())? {
            empty(top, inner.as_fd(), depth + 1, moved)?;
        }
        match fs::unlinkat(dir, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => {}
            // Its own deep parts were moved up; or a concurrent writer: the next round decides.
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_of_any_depth_goes() {
        let temp = tempfile::tempdir().unwrap();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let root = fs::open(temp.path(), flags, Mode::empty()).unwrap();
        fs::mkdirat(&root, "t", Mode::RWXU).unwrap();
        let mut at = fs::openat(&root, "t", flags, Mode::empty()).unwrap();
        for level in 0..5000 {
            fs::mkdirat(&at, "d", Mode::RWXU).unwrap();
            if level % 100 == 0 {
                fs::openat(&at, "f", OFlags::CREATE | OFlags::WRONLY, Mode::RUSR).unwrap();
                fs::symlinkat("/etc", &at, "s").unwrap();
            }
            at = fs::openat(&at, "d", flags, Mode::empty()).unwrap();
        }
        drop(at);
        tree_at(root.as_fd(), b"t").unwrap();
        assert!(!temp.path().join("t").exists());
        tree_at(root.as_fd(), b"t").unwrap();
        assert!(std::path::Path::new("/etc/passwd").exists());
    }
}
