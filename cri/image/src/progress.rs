//! How far a pull is.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use crate::{Auth, Digest, Reference};

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

/// One layer's part. Pulls that share a download share its counter.
#[derive(Debug, Default)]
pub(crate) struct Part {
    pub total: u64,
    pub done: Arc<AtomicU64>,
    pub finished: AtomicBool,
}

/// What a pull's waiters look at.
#[derive(Debug, Default)]
pub(crate) struct Tracker {
    parts: OnceLock<Vec<Part>>,
}

impl Tracker {
    /// Called once, when the layers are known.
    pub fn begin(&self, parts: Vec<Part>) -> &[Part] {
        self.parts.get_or_init(|| parts)
    }

    pub fn progress(&self) -> Progress {
        let mut progress = Progress::default();
        for part in self.parts.get().into_iter().flatten() {
            let finished = part.finished.load(Ordering::Relaxed);
            progress.layers += 1;
            progress.layers_done += u32::from(finished);
            progress.bytes += part.total;
            progress.bytes_done +=
                if finished { part.total } else { part.done.load(Ordering::Relaxed).min(part.total) };
        }
        progress
    }
}

/// Trackers and counters of what is under way; they live as long as somebody holds them.
#[derive(Debug, Default)]
pub(crate) struct Trackers {
    pub pulls: Shared<(Reference, Auth), Tracker>,
    pub layers: Shared<Digest, AtomicU64>,
}

#[derive(Debug)]
pub(crate) struct Shared<K, V>(Mutex<HashMap<K, Weak<V>>>);

impl<K, V> Default for Shared<K, V> {
    fn default() -> Shared<K, V> {
        Shared(Mutex::default())
    }
}

impl<K: Eq + Hash, V: Default> Shared<K, V> {
    /// The value of this key that somebody holds, or a new one.
    pub fn get(&self, key: K) -> Arc<V> {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        map.retain(|_, held| held.strong_count() > 0);
        if let Some(held) = map.get(&key).and_then(Weak::upgrade) {
            return held;
        }
        let fresh = Arc::<V>::default();
        map.insert(key, Arc::downgrade(&fresh));
        fresh
    }
}
