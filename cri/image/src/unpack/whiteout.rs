//! Whiteouts: from the image spec's marker files (`.wh.NAME`, `.wh..wh..opq`) to overlayfs' own form.

use rustix::fs::{self, AtFlags, FileType, Mode};
use rustix::io::Errno;

use super::tree::Tree;
use super::{UnpackError, path};

/// What a marker file says.
#[derive(Clone, Copy)]
pub(super) enum Mark<'a> {
    /// Nothing of lower layers shows in the directory of the marker.
    Opaque,
    /// The name of lower layers is gone.
    Gone(&'a [u8]),
    /// Another program's bookkeeping (aufs).
    Foreign,
}

impl Mark<'_> {
    pub fn of(name: &[u8]) -> Option<Mark<'_>> {
        let rest = name.strip_prefix(b".wh.")?;
        Some(match rest {
            b".wh..opq" => Mark::Opaque,
            _ if rest.starts_with(b".wh.") => Mark::Foreign,
            _ => Mark::Gone(rest),
        })
    }
}

pub(super) fn apply(tree: &mut Tree, mark: Mark<'_>, parent: &[u8], full: &[u8]) -> Result<(), UnpackError> {
    match mark {
        Mark::Foreign => Ok(()),
        // An opaque root would hide nothing that a mount could show: overlayfs ignores it, so the layer would lie.
        Mark::Opaque if parent.is_empty() => {
            Err(UnpackError::refused(full, "makes the root opaque, which overlayfs can't"))
        }
        Mark::Opaque => tree.make_opaque(parent),
        Mark::Gone(b"" | b"." | b"..") => Err(UnpackError::refused(full, "is a whiteout of no name")),
        Mark::Gone(name) => gone(tree, parent, name, full),
    }
}

fn gone(tree: &mut Tree, parent: &[u8], name: &[u8], full: &[u8]) -> Result<(), UnpackError> {
    let dir = tree.open_dir(parent)?;
    match fs::mknodat(&*dir, name, FileType::CharacterDevice, Mode::empty(), fs::makedev(0, 0)) {
        Ok(()) => Ok(()),
        // A whiteout is about lower layers: what this layer itself has by that name stays.
        Err(Errno::EXIST) => {
            let stat = fs::statat(&*dir, name, AtFlags::SYMLINK_NOFOLLOW)
                .map_err(UnpackError::call("fstatat", full))?;
            if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
                return Ok(());
            }
            let inner = if parent.is_empty() { name.to_vec() } else { [parent, b"/", name].concat() };
            debug_assert!(path::clean(&inner).is_ok());
            tree.make_opaque(&inner)
        }
        Err(errno) => Err(UnpackError::call("mknodat", full)(errno)),
    }
}
