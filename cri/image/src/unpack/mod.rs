//! Unpacks one layer into a directory of its own, in the form that overlayfs wants.
//!
//! Everything is made relative to descriptors of directories that were opened beneath the layer's root without
//! following a symlink, so that no entry can reach outside (CVE-2021-32760, CVE-2025-47290). The layer's own
//! directory is all that is looked at: layers are unpacked in any order, at the same time.

mod file;
mod path;
mod tree;
mod whiteout;

use std::io::Read;
use std::os::fd::OwnedFd;

use rustix::io::Errno;

use crate::tar::{Entry, Kind, Reader, TarError, show};
use tree::Tree;

/// Bounds against bombs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub bytes: u64,
    pub entries: u64,
}

/// What unpacking found.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Unpacked {
    /// The layer has an entry for `/` itself.
    pub has_root: bool,
    /// Directories without an entry of their own, made because something lies in them: theirs are the attributes
    /// of the same directory in a lower layer.
    pub implied: Vec<Vec<u8>>,
}

/// Why a layer was not unpacked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnpackError {
    #[error("{0}")]
    Tar(#[from] TarError),
    #[error("entry {path:?} {reason}")]
    Refused { path: String, reason: &'static str },
    #[error("it has more than {limit} {what}")]
    TooMuch { limit: u64, what: &'static str },
    #[error("{call} {path:?}: {errno}")]
    Call { call: &'static str, path: String, errno: Errno },
}

impl UnpackError {
    fn refused(path: &[u8], reason: &'static str) -> UnpackError {
        UnpackError::Refused { path: show(path), reason }
    }

    fn call(call: &'static str, path: &[u8]) -> impl FnOnce(Errno) -> UnpackError {
        let path = show(path);
        move |errno| UnpackError::Call { call, path, errno }
    }
}

/// Unpacks the whole stream below `root`, an empty directory.
pub(crate) fn unpack(stream: impl Read, root: OwnedFd, limits: Limits) -> Result<Unpacked, UnpackError> {
    let mut reader = Reader::new(stream);
    let mut tree = Tree::new(root);
    let (mut entries, mut bytes) = (0, 0_u64);
    while let Some(entry) = reader.next_entry()? {
        entries += 1;
        if entries > limits.entries {
            return Err(UnpackError::TooMuch { limit: limits.entries, what: "entries" });
        }
        bytes = bytes.saturating_add(match &entry.sparse {
            Some(pieces) => pieces.iter().map(|(_, length)| length).sum(),
            None => entry.size,
        });
        if bytes > limits.bytes {
            return Err(UnpackError::TooMuch { limit: limits.bytes, what: "bytes" });
        }
        one(&mut tree, &mut reader, &entry)?;
    }
    tree.finish()
}

fn one<R: Read>(tree: &mut Tree, reader: &mut Reader<R>, entry: &Entry) -> Result<(), UnpackError> {
    let path = path::clean(&entry.path).map_err(|reason| UnpackError::refused(&entry.path, reason))?;
    if path.is_empty() {
        return match entry.kind {
            Kind::Directory => tree.root_entry(entry),
            _ => Err(UnpackError::refused(&entry.path, "is the root, but no directory")),
        };
    }
    let (parent, name) = path::split(&path);
    if let Some(mark) = whiteout::Mark::of(name) {
        return whiteout::apply(tree, mark, parent, &path);
    }
    match entry.kind {
        Kind::Directory => tree.directory(&path, entry),
        Kind::File => file::write(tree, reader, &path, entry),
        Kind::HardLink => tree.hard_link(&path, entry),
        Kind::Symlink => tree.symlink(&path, entry),
        Kind::CharDevice | Kind::BlockDevice | Kind::Fifo => tree.node(&path, entry),
    }
}
