//! A container's root filesystem: an image's layers below a directory of its own.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{Digest, Result};

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
    pub fn mount(&self, _target: &Path) -> Result<()> {
        Err(crate::Error::Internal("mount is not there yet".into()))
    }

    /// Takes the root filesystem's mount off a directory; it is no error if nothing is mounted there.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn unmount(_target: &Path) -> Result<()> {
        Err(crate::Error::Internal("unmount is not there yet".into()))
    }
}
