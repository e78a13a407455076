//! The store: one directory, one process.

pub(crate) mod disk;
mod implied;
mod join;
mod lease;
mod load;
mod open;
pub(crate) mod pull;
mod record;
pub(crate) mod remove;
mod snapshots;
mod state;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Semaphore;

use crate::progress::Trackers;
use crate::registry::Clients;
use crate::{
    Auth, Config, Digest, Error, FsInfo, Image, ImageRef, ProgressFn, Reference, Result, Snapshot,
    SnapshotOptions, Usage,
};
use disk::Disk;
use join::Jobs;
use state::State;

/// All images, layers and snapshots below one directory. Clones are handles of the same store.
#[derive(Debug, Clone)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    config: Arc<Config>,
    disk: Disk,
    state: Mutex<State>,
    /// Held while records change: what is on disk and what is in memory change together.
    changing: Arc<tokio::sync::Mutex<()>>,
    clients: Clients,
    pulls: Jobs<(Reference, Auth), ImageRef>,
    layer_jobs: Jobs<Digest, ()>,
    /// Layers unpacked at the same time.
    slots: Arc<Semaphore>,
    trackers: Trackers,
    boot_id: String,
}

impl Inner {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // A panic while it was held can't have left it half-changed: each change is one insertion or removal.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Runs blocking work that changes records, with nobody else changing any. The work goes on when the caller stops
    /// waiting, and so does its hold on the lock. What it gives back as trash is removed after the lock is released.
    async fn change<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Arc<Inner>, &mut Vec<PathBuf>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let guard = Arc::clone(&self.changing).lock_owned().await;
        let store = Arc::clone(self);
        blocking(move || {
            let mut trash = Vec::new();
            let result = work(&store, &mut trash);
            drop(guard);
            for path in trash {
                disk::remove_tree(&path)?;
            }
            result
        })
        .await
    }
}

/// Runs blocking work without holding up the runtime's threads.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Error::Internal(error.to_string())),
    }
}

impl Store {
    /// Opens or makes the store below `root`, clears what a crash left half-made, and locks it against other processes.
    /// Blocking.
    ///
    /// # Errors
    /// Another process has it open, or the directory can't be used.
    pub fn open(root: &Path, config: Config) -> Result<Store> {
        let inner = Arc::new(open::open(root, config)?);
        record::sync_leftovers(&inner);
        Ok(Store(inner))
    }

    /// Pulls an image. A pull of the same reference with the same credentials that is under way is joined; dropping the
    /// future ends the wait, not the work.
    ///
    /// # Errors
    /// See [`Error`]: each cause has its own kind. Nothing half-made stays.
    pub async fn pull(&self, reference: &str, auth: &Auth, progress: Option<ProgressFn>) -> Result<ImageRef> {
        pull::pull(&self.0, reference, auth, progress).await
    }

    /// Loads all images of an OCI layout directory, an OCI archive or a docker-archive (plain, gzip or zstd).
    ///
    /// # Errors
    /// The archive can't be read, or one of its images is refused; images before it stay loaded.
    pub async fn load_archive(&self, path: &Path) -> Result<Vec<ImageRef>> {
        load::load(&self.0, path).await
    }

    /// All images, by id.
    pub fn list(&self) -> Vec<Arc<Image>> {
        self.0.state().images.values().cloned().collect()
    }

    /// The image of a tag, a digest, an id or the first digits of an id (with or without `sha256:`).
    pub fn status(&self, name: &str) -> Option<Arc<Image>> {
        self.0.state().find(name)
    }

    /// Removes the image that has this name, with all its names. Its layers' space is free when this returns, apart
    /// from layers that other images or containers use. An unknown image is no error.
    ///
    /// # Errors
    /// The record can't be removed.
    pub async fn remove(&self, name: &str) -> Result<()> {
        record::remove(&self.0, name).await
    }

    /// Space that the store takes.
    ///
    /// # Errors
    /// A directory can't be read.
    pub async fn fs_info(&self) -> Result<FsInfo> {
        let inner = Arc::clone(&self.0);
        blocking(move || {
            let mut images = Usage::of_dir_alone(&inner.disk.layers())?;
            for layer in inner.state().layers.values() {
                images += layer.usage;
            }
            for dir in ["images", "ingest", "trash"] {
                images += Usage::of(&inner.disk.root.join(dir))?;
            }
            let snapshots = Usage::of(&inner.disk.snapshots())?;
            Ok(FsInfo { root: inner.disk.root.clone(), images, snapshots })
        })
        .await
    }

    /// Makes a container's snapshot of an image (any name of it); one that exists with the same image is given back.
    ///
    /// # Errors
    /// The image is unknown, the id is taken by a snapshot of another image, or the disk is full.
    pub async fn prepare(
        &self,
        container_id: &str,
        image: &str,
        options: SnapshotOptions,
    ) -> Result<Snapshot> {
        snapshots::prepare(&self.0, container_id, image, options).await
    }

    /// A container's snapshot.
    pub fn snapshot(&self, container_id: &str) -> Option<Snapshot> {
        self.0.state().snapshots.get(container_id).map(|snapshot| Snapshot::clone(snapshot))
    }

    /// Ids of all snapshots.
    pub fn snapshots(&self) -> Vec<String> {
        self.0.state().snapshots.keys().cloned().collect()
    }

    /// Removes a snapshot, and layers that nothing uses any more. An unknown one is no error. It must be unmounted.
    ///
    /// # Errors
    /// A directory can't be removed.
    pub async fn remove_snapshot(&self, container_id: &str) -> Result<()> {
        snapshots::remove(&self.0, container_id).await
    }

    /// Space that a container's own changes take (a walk over its upper directory: cache it).
    ///
    /// # Errors
    /// The snapshot is unknown or can't be read.
    pub async fn snapshot_usage(&self, container_id: &str) -> Result<Usage> {
        let snapshot = self.snapshot(container_id);
        let snapshot =
            snapshot.ok_or_else(|| Error::NotFound { what: "snapshot", name: container_id.into() })?;
        blocking(move || match &snapshot.upper {
            Some((upper, _)) => Usage::of(upper),
            None => Ok(Usage::default()),
        })
        .await
    }
}
