//! The store: one directory, one process.

use std::path::Path;
use std::sync::Arc;

use crate::{
    Auth, Config, Error, FsInfo, Image, ImageRef, ProgressFn, Result, Snapshot, SnapshotOptions, Usage,
};

/// All images, layers and snapshots below one directory. Clones are handles of the same store.
#[derive(Debug, Clone)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    _config: Config,
}

fn later<T>() -> Result<T> {
    Err(Error::Internal("not there yet".into()))
}

impl Store {
    /// Opens or makes the store below `root`, clears what a crash left half-made, and locks it against other processes.
    /// Blocking; to be called within a tokio runtime.
    ///
    /// # Errors
    /// Another process has it open, or the directory can't be used.
    pub fn open(_root: &Path, config: Config) -> Result<Store> {
        Ok(Store(Arc::new(Inner { _config: config })))
    }

    /// Pulls an image. A pull of the same reference with the same credentials that is under way is joined; dropping the
    /// future ends the wait, not the work.
    ///
    /// # Errors
    /// See [`Error`]: each cause has its own kind. Nothing half-made stays.
    pub async fn pull(
        &self,
        _reference: &str,
        _auth: &Auth,
        _progress: Option<ProgressFn>,
    ) -> Result<ImageRef> {
        later()
    }

    /// Loads all images of an OCI layout directory, an OCI archive or a docker-archive (plain, gzip or zstd).
    ///
    /// # Errors
    /// The archive can't be read, or one of its images is refused; images before it stay loaded.
    pub async fn load_archive(&self, _path: &Path) -> Result<Vec<ImageRef>> {
        later()
    }

    /// All images, by id.
    pub fn list(&self) -> Vec<Arc<Image>> {
        Vec::new()
    }

    /// The image of a tag, a digest, an id or the first digits of an id (with or without `sha256:`).
    pub fn status(&self, _name: &str) -> Option<Arc<Image>> {
        None
    }

    /// Removes the image that has this name, with all its names. Its layers' space is free when this returns, apart
    /// from layers that other images or containers use. An unknown image is no error.
    ///
    /// # Errors
    /// The record can't be removed.
    pub async fn remove(&self, _name: &str) -> Result<()> {
        later()
    }

    /// Space that the store takes.
    ///
    /// # Errors
    /// A directory can't be read.
    pub async fn fs_info(&self) -> Result<FsInfo> {
        later()
    }

    /// Makes a container's snapshot of an image (any name of it); one that exists with the same image is given back.
    ///
    /// # Errors
    /// The image is unknown, the id is taken by a snapshot of another image, or the disk is full.
    pub async fn prepare(
        &self,
        _container_id: &str,
        _image: &str,
        _options: SnapshotOptions,
    ) -> Result<Snapshot> {
        later()
    }

    /// A container's snapshot.
    pub fn snapshot(&self, _container_id: &str) -> Option<Snapshot> {
        None
    }

    /// Ids of all snapshots.
    pub fn snapshots(&self) -> Vec<String> {
        Vec::new()
    }

    /// Removes a snapshot, and layers that nothing uses any more. An unknown one is no error. It must be unmounted.
    ///
    /// # Errors
    /// A directory can't be removed.
    pub async fn remove_snapshot(&self, _container_id: &str) -> Result<()> {
        later()
    }

    /// Space that a container's own changes take (a walk over its upper directory: cache it).
    ///
    /// # Errors
    /// The snapshot is unknown or can't be read.
    pub async fn snapshot_usage(&self, _container_id: &str) -> Result<Usage> {
        later()
    }
}
