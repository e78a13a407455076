//! Disk usage of trees.

use std::path::PathBuf;

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
