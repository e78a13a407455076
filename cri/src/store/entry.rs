//! One object's record.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use serde::Serialize;

use crate::error::{Context, Result};

/// A record in memory and its file. Readers get the last state that is on disk and never wait for a disk.
pub struct Entry<R> {
    path: PathBuf,
    current: RwLock<Arc<R>>,
    writer: Mutex<()>,
}

impl<R: Clone + Serialize + Send + Sync + 'static> Entry<R> {
    /// A record that is on disk at `path` already.
    pub fn loaded(path: PathBuf, record: R) -> Self {
        Self { path, current: RwLock::new(Arc::new(record)), writer: Mutex::default() }
    }

    /// Writes a new record to `path`, whose folder exists.
    pub async fn create(path: PathBuf, record: R) -> Result<Self> {
        let entry = Self::loaded(path, record);
        blocking(move || {
            write(&entry.path, entry.get().as_ref())?;
            Ok(entry)
        })
        .await
    }

    /// The record.
    pub fn get(&self) -> Arc<R> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes the record on disk, then in memory.
    pub fn update_now(&self, change: impl FnOnce(&mut R)) -> Result<()> {
        let _writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let mut record = self.get().as_ref().clone();
        change(&mut record);
        write(&self.path, &record)?;
        self.set(record);
        Ok(())
    }

    /// Changes the record in memory, and on disk where that is possible: for what has happened whether or not there is
    /// room to write it down (an exit, a stop).
    pub fn note_now(&self, change: impl FnOnce(&mut R)) {
        let _writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let mut record = self.get().as_ref().clone();
        change(&mut record);
        if let Err(error) = write(&self.path, &record) {
            tracing::warn!(%error, "a change of state is in memory only");
        }
        self.set(record);
    }

    fn set(&self, record: R) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(record);
    }
}

/// Runs what may wait for a disk off the reactor's threads.
pub async fn blocking<T: Send + 'static>(job: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(job).await.on("run", "a blocking step")?
}

/// Replaces `path` by `record` as JSON.
pub fn write<R: Serialize>(path: &Path, record: &R) -> Result<()> {
    let shown = || path.display().to_string();
    let text = serde_json::to_vec(record).on("encode", shown())?;
    let fresh = path.with_extension("new");
    let mut file = File::create(&fresh).on("create", fresh.display().to_string())?;
    let written = file.write_all(&text).and_then(|()| file.sync_data());
    if let Err(error) = written {
        let _ = std::fs::remove_file(&fresh);
        return Err(error).on("write", fresh.display().to_string());
    }
    std::fs::rename(&fresh, path).on("rename to", shown())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_change_is_on_disk_and_in_memory() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r.json");
        let entry = Entry::create(path.clone(), vec![1]).await.unwrap();
        entry.update_now(|r| r.push(2)).unwrap();
        assert_eq!(*entry.get(), [1, 2]);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "[1,2]");
    }

    #[tokio::test]
    async fn what_can_not_be_written_did_not_change_unless_it_is_a_fact() {
        let dir = tempfile::tempdir().unwrap();
        let entry = Entry::loaded(dir.path().join("missing/r.json"), vec![1]);
        assert!(entry.update_now(|r| r.push(2)).is_err());
        assert_eq!(*entry.get(), [1]);
        entry.note_now(|r| r.push(3));
        assert_eq!(*entry.get(), [1, 3]);
    }
}
