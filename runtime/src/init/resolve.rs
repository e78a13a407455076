//! Paths in the container's root: resolved by the kernel inside it, and made where they are missing (CVE-2021-30465,
//! CVE-2024-45310, CVE-2024-5154).

use crate::process::failure::{Failure, Result, Step as _};
use husk_sys::Errno;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags};
use std::{
    ffi::OsStr,
    os::{
        fd::{BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::{Path, PathBuf},
};

/// Most symlinks on one path (path_resolution(7)).
const MAX_LINKS: u32 = 40;

/// What a missing last component is made as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Make {
    /// A directory.
    Directory,
    /// An empty file.
    File,
}

/// Opens a path in the root as a handle. Symlinks, absolute ones too, stay in the root.
pub fn open(root: BorrowedFd<'_>, path: &Path) -> husk_sys::Result<OwnedFd> {
    openat2(root, path, OFlags::PATH)
}

/// Whether the last component of a path in the root is a symlink.
pub fn is_link(root: BorrowedFd<'_>, path: &Path) -> bool {
    openat2(root, path, OFlags::PATH | OFlags::NOFOLLOW)
        .and_then(rustix::fs::fstat)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink)
}

fn openat2(root: BorrowedFd<'_>, path: &Path, flags: OFlags) -> husk_sys::Result<OwnedFd> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    loop {
        match rustix::fs::openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
            // The kernel could not make sure that `..` stayed inside because something was renamed meanwhile.
            Err(Errno::AGAIN | Errno::INTR) => {}
            result => return result,
        }
    }
}

/// The parent directory of a path in the root, made where it is missing, and the last component.
pub fn parent(root: BorrowedFd<'_>, path: &Path) -> Result<(OwnedFd, PathBuf)> {
    let name = path.file_name().ok_or_else(|| Failure::text(format!("{} names no file", path.display())))?;
    let dir = path.parent().unwrap_or(Path::new("/"));
    Ok((ensure(root, dir, Make::Directory)?, PathBuf::from(name)))
}

/// Opens a path in the root as a handle; what is missing on the way is made.
pub fn ensure(root: BorrowedFd<'_>, path: &Path, make: Make) -> Result<OwnedFd> {
    match open(root, path) {
        Err(Errno::NOENT) => ensure_parts(root, path, make, 0),
        result => result.step(|| format!("open {} in the root filesystem", path.display())),
    }
}

fn ensure_parts(root: BorrowedFd<'_>, path: &Path, make: Make, links: u32) -> Result<OwnedFd> {
    let fail = |what: &str| format!("{what} {} in the root filesystem", path.display());
    if links > MAX_LINKS {
        return Err(Failure::call(fail("resolve"), Errno::LOOP));
    }
    let mut current = open(root, Path::new("/")).step(|| fail("open"))?;
    let mut walked = PathBuf::from("/");
    let parts: Vec<_> = path.components().skip(usize::from(path.is_absolute())).collect();
    for (index, part) in parts.iter().enumerate() {
        let last = index + 1 == parts.len();
        let next = walked.join(part);
        current = match open(root, &next) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => {
                let name = Path::new(part.as_os_str());
                if let Ok(target) = rustix::fs::readlinkat(&current, name, Vec::new()) {
                    // A link whose target is missing: the target is what gets made. The kernel resolves it in the root.
                    let target = Path::new(OsStr::from_bytes(target.as_bytes()));
                    let rest: PathBuf = parts.iter().skip(index + 1).collect();
                    return ensure_parts(root, &walked.join(target).join(rest), make, links + 1);
                }
                let made = if last && make == Make::File {
                    let flags =
                        OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::WRONLY;
                    rustix::fs::openat(&current, name, flags, Mode::from_raw_mode(0o644)).map(drop)
                } else {
                    rustix::fs::mkdirat(&current, name, Mode::from_raw_mode(0o755))
                };
                match made {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(errno) => return Err(Failure::call(fail("make"), errno)),
                }
                let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                rustix::fs::openat(&current, name, flags, Mode::empty()).step(|| fail("open"))?
            }
            Err(errno) => return Err(Failure::call(fail("open"), errno)),
        };
        walked = next;
    }
    Ok(current)
}

/// Whether a handle is of a directory.
pub fn is_dir(fd: BorrowedFd<'_>) -> bool {
    rustix::fs::fstat(fd).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}

/// Removes a file of the root that a link is to replace; a directory or nothing there is left alone.
pub fn remove_file(dir: BorrowedFd<'_>, name: &Path) -> husk_sys::Result<()> {
    match rustix::fs::unlinkat(dir, name, AtFlags::empty()) {
        Err(Errno::NOENT) => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::{Make, OsStr, ensure, open, parent};
    use rustix::fs::{CWD, Mode, OFlags};
    use std::{
        os::fd::AsFd as _,
        os::unix::{ffi::OsStrExt as _, fs::symlink},
        path::Path,
    };

    #[test]
    fn links_stay_in_the_root_and_missing_parts_are_made() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().join("root");
        std::fs::create_dir(&top).unwrap();
        let root = rustix::fs::openat(CWD, &top, OFlags::PATH, Mode::empty()).unwrap();
        let root = root.as_fd();
        symlink("/run", top.join("varrun")).unwrap();
        symlink("../../../../outside", top.join("evil")).unwrap();
        symlink("/loop2", top.join("loop1")).unwrap();
        symlink("/loop1", top.join("loop2")).unwrap();
        ensure(root, Path::new("/varrun/secrets/a"), Make::Directory).unwrap();
        assert!(top.join("run/secrets/a").is_dir());
        ensure(root, Path::new("/evil/x"), Make::File).unwrap();
        assert!(top.join("outside/x").is_file());
        assert!(!dir.path().join("outside").exists());
        let odd = OsStr::from_bytes(b"odd\xff");
        symlink(odd, top.join("toodd")).unwrap();
        ensure(root, Path::new("/toodd"), Make::Directory).unwrap();
        assert!(top.join(odd).is_dir());
        assert!(ensure(root, Path::new("/loop1/x"), Make::File).is_err());
        assert!(open(root, Path::new("/../../etc")).is_err());
        let (_, name) = parent(root, Path::new("/dev/null")).unwrap();
        assert_eq!(name, Path::new("null"));
        assert!(top.join("dev").is_dir());
    }
}
