//! How far a pull is.

use std::sync::Arc;

/// A pull's state. Bytes are those of compressed layers that were not in the store yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Layers of the image; 0 until the manifest is known.
    pub layers: u32,
    /// Layers that are unpacked.
    pub layers_done: u32,
    /// Bytes to download.
    pub bytes: u64,
    /// Bytes downloaded.
    pub bytes_done: u64,
}

/// Called now and then while a pull is under way, at most ten times a second, by the task that waits for it.
pub type ProgressFn = Arc<dyn Fn(Progress) + Send + Sync>;
