//! Directories that a layer implies without saying what they are like.
//!
//! Layers are unpacked apart from each other, so `usr/bin/tool` in a layer that has no entry for `usr/bin` makes a
//! directory with attributes of nobody's choice, and overlayfs shows a directory as the topmost layer has it: `/tmp`
//! would lose its sticky bit to an upper layer that only has a file in it. So each snapshot gets those directories
//! in its own topmost directory, with the attributes that the highest layer gives which does say something.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{self, AtFlags, Gid, Mode, OFlags, ResolveFlags, Stat, Timespec, Timestamps, Uid};
use rustix::io::Errno;

use super::disk::Disk;
use super::state::Layer;
use crate::{Error, Result};

/// More than any builder's layer has; each costs a look into each layer at each prepare.
const MAX: usize = 10_000;

/// Makes the directories in `top`, parents first. `layers` has the lowest first.
pub(super) fn restore(disk: &Disk, layers: &[Arc<Layer>], top: &Path) -> Result<()> {
    let stack: Vec<(PathBuf, &Layer)> =
        layers.iter().rev().map(|layer| (disk.layer(&layer.diff_id).join("fs"), &**layer)).collect();
    let mut wanted = BTreeMap::new();
    for dir in layers.iter().flat_map(|layer| &layer.implied).take(MAX) {
        let Some(found) = attributes(&stack, dir)? else { continue };
        if found.right() {
            continue;
        }
        // Its parents come with it, and must look as they do now.
        for (end, _) in dir.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
            if let Some(parent) = attributes(&stack, &dir[..end])? {
                wanted.insert(dir[..end].to_vec(), parent.stated);
            }
        }
        wanted.insert(dir.clone(), found.stated);
    }
    for (dir, stat) in &wanted {
        let path = top.join(OsStr::from_bytes(dir));
        make(&path, stat).map_err(|errno| Error::io("mkdir", &path, errno))?;
    }
    Ok(())
}

/// A directory that the mount will show.
struct Found {
    /// As the topmost layer that has it.
    shown: Stat,
    /// As the topmost layer that says what it is like; else as shown.
    stated: Stat,
}

impl Found {
    fn right(&self) -> bool {
        let key = |stat: &Stat| (stat.st_mode, stat.st_uid, stat.st_gid);
        key(&self.shown) == key(&self.stated)
    }
}

/// Looks through the layers, topmost first.
fn attributes(stack: &[(PathBuf, &Layer)], dir: &[u8]) -> Result<Option<Found>> {
    let mut shown = None;
    for (root, layer) in stack {
        match look(root, dir)? {
            Seen::Nothing => {}
            Seen::Hidden => break,
            Seen::Directory { stat, opaque } => {
                let shown = *shown.get_or_insert(stat);
                let implied = layer.implied.binary_search_by(|known| known.as_slice().cmp(dir)).is_ok();
                if !implied {
                    return Ok(Some(Found { shown, stated: stat }));
                }
                // Nothing of lower layers shows in it: it is new here.
                if opaque {
                    break;
                }
            }
        }
    }
    Ok(shown.map(|shown| Found { shown, stated: shown }))
}

enum Seen {
    /// The layer says nothing about it.
    Nothing,
    /// The name, or a parent, is something else there, or a parent hides all that is below.
    Hidden,
    /// It is there; it or a parent may hide all lower layers.
    Directory { stat: Stat, opaque: bool },
}

/// What one layer says about a directory.
fn look(root: &Path, dir: &[u8]) -> Result<Seen> {
    let to_error = |errno| Error::io("look", root, errno);
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut at = fs::open(root, flags, Mode::empty()).map_err(to_error)?;
    let mut opaque = false;
    for name in dir.split(|byte| *byte == b'/') {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        at = match fs::openat2(&at, name, flags | OFlags::NOFOLLOW, Mode::empty(), resolve) {
            Ok(inner) => inner,
            Err(Errno::NOENT) if opaque => return Ok(Seen::Hidden),
            Err(Errno::NOENT) => return Ok(Seen::Nothing),
            Err(Errno::NOTDIR | Errno::LOOP) => return Ok(Seen::Hidden),
            Err(errno) => return Err(to_error(errno)),
        };
        let mut value = [0; 1];
        opaque |= fs::fgetxattr(&at, "trusted.overlay.opaque", &mut value[..]).is_ok();
    }
    let stat = fs::fstat(&at).map_err(to_error)?;
    Ok(Seen::Directory { stat, opaque })
}

fn make(path: &Path, stat: &Stat) -> Result<(), Errno> {
    fs::mkdir(path, Mode::RWXU)?;
    let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    fs::chown(path, Some(uid), Some(gid))?;
    fs::chmod(path, Mode::from_raw_mode(stat.st_mode & 0o7777))?;
    let nanos = i64::try_from(stat.st_mtime_nsec).unwrap_or(0);
    let time = Timespec { tv_sec: stat.st_mtime, tv_nsec: nanos };
    let times = Timestamps { last_access: time, last_modification: time };
    fs::utimensat(fs::CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)
}
