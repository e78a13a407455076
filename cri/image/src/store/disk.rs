//! Where everything lies, and how records are written.
//!
//! ```text
//! ROOT/lock                    held by the process that has the store open
//! ROOT/images/HEX.json         image record, by id
//! ROOT/layers/HEX/layer.json   layer record, by diff id; the directory appears by rename when it is whole
//! ROOT/layers/HEX/fs/          the layer's files, as overlayfs wants them
//! ROOT/snapshots/ID/           snapshot.json, upper/, work/ (and fix/ for read-only ones); appears by rename, too
//! ROOT/ingest/N/               half-made layers and snapshots; cleared at start
//! ROOT/trash/N/                what is being removed; cleared at start
//! ```

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{CWD, FlockOperation};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::remove;
use crate::{Digest, Error, Result};

/// Paths of one store.
#[derive(Debug)]
pub(crate) struct Disk {
    pub root: PathBuf,
    /// Held for as long as the store is open.
    _lock: File,
    next: AtomicU64,
}

impl Disk {
    /// Makes the directories and takes the lock.
    pub fn open(root: &Path) -> Result<Disk> {
        make_dir(root)?;
        // Layers have setuid programs of strangers: nobody but root gets near them.
        std::fs::set_permissions(root, Permissions::from_mode(0o700))
            .map_err(|error| Error::io("chmod", root, error))?;
        let root = root.canonicalize().map_err(|error| Error::io("realpath", root, error))?;
        let path = root.join("lock");
        let lock = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|error| Error::io("open", &path, error))?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(Error::Locked(root)),
            Err(errno) => return Err(Error::io("flock", path, errno)),
        }
        let disk = Disk { root, _lock: lock, next: AtomicU64::new(0) };
        for dir in ["images", "layers", "snapshots", "ingest", "trash"] {
            make_dir(&disk.root.join(dir))?;
        }
        Ok(disk)
    }

    pub fn images(&self) -> PathBuf {
        self.root.join("images")
    }

    pub fn image(&self, id: &Digest) -> PathBuf {
        self.images().join(format!("{}.json", id.hex()))
    }

    pub fn layers(&self) -> PathBuf {
        self.root.join("layers")
    }

    pub fn layer(&self, diff_id: &Digest) -> PathBuf {
        self.layers().join(diff_id.hex())
    }

    pub fn snapshots(&self) -> PathBuf {
        self.root.join("snapshots")
    }

    pub fn snapshot(&self, id: &str) -> PathBuf {
        self.snapshots().join(id)
    }

    /// A fresh directory for something half-made. It goes when the guard is dropped, unless it was moved away.
    pub fn ingest(&self) -> Result<Ingest> {
        let path = self.unused("ingest");
        make_dir(&path)?;
        Ok(Ingest { path })
    }

    /// Moves a tree out of sight at once; [`Disk::empty_trash`] takes its time afterwards.
    pub fn discard(&self, path: &Path) -> Result<Option<PathBuf>> {
        let trash = self.unused("trash");
        match std::fs::rename(path, &trash) {
            Ok(()) => Ok(Some(trash)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("rename", path, error)),
        }
    }

    fn unused(&self, dir: &str) -> PathBuf {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.root.join(dir).join(number.to_string())
    }

    /// Removes what an earlier process left in `ingest` and `trash`.
    pub fn clear_leftovers(&self) -> Result<()> {
        for dir in ["ingest", "trash"] {
            for path in list(&self.root.join(dir))? {
                remove_tree(&path)?;
            }
        }
        // Records that were being written.
        for path in list(&self.images())? {
            if path.extension().is_some_and(|extension| extension == "tmp") {
                remove_tree(&path)?;
            }
        }
        Ok(())
    }
}

/// A half-made directory.
#[derive(Debug)]
pub(crate) struct Ingest {
    pub path: PathBuf,
}

impl Ingest {
    /// Moves it to its place. False if something is there already.
    pub fn commit(&self, target: &Path) -> Result<bool> {
        match std::fs::rename(&self.path, target) {
            Ok(()) => Ok(true),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::AlreadyExists | io::ErrorKind::DirectoryNotEmpty
                ) =>
            {
                Ok(false)
            }
            Err(error) => Err(Error::io("rename", target, error)),
        }
    }
}

impl Drop for Ingest {
    fn drop(&mut self) {
        if let Err(error) = remove_tree(&self.path) {
            tracing::warn!(%error, "half-made directory stays until the next start");
        }
    }
}

/// Makes a directory (and its parents) for root alone.
pub(crate) fn make_dir(path: &Path) -> Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(path).map_err(|error| Error::io("mkdir", path, error))
}

/// Removes whatever is there.
pub(crate) fn remove_tree(path: &Path) -> Result<()> {
    use std::os::unix::ffi::OsStrExt;
    remove::tree_at(CWD.as_fd(), path.as_os_str().as_bytes())
        .map_err(|errno| Error::io("remove", path, errno))
}

/// Paths in a directory, sorted.
pub(crate) fn list(dir: &Path) -> Result<Vec<PathBuf>> {
    let to_error = |error| Error::io("readdir", dir, error);
    let mut paths = Vec::new();
    for item in std::fs::read_dir(dir).map_err(to_error)? {
        paths.push(item.map_err(to_error)?.path());
    }
    paths.sort();
    Ok(paths)
}

/// Whether a record must outlive a power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durable {
    Yes,
    /// What it describes is worthless after a reboot, so a torn record may be found and dropped then.
    No,
}

/// Writes a record so that a reader sees the old one or the new one.
pub(crate) fn write_record<T: Serialize>(path: &Path, record: &T, durable: Durable) -> Result<()> {
    let temporary = path.with_extension("tmp");
    let written = write_then_rename(&temporary, path, record, durable);
    if written.is_err() {
        // A full disk must not be filled further by what could not be written.
        drop(std::fs::remove_file(&temporary));
    }
    written
}

fn write_then_rename<T: Serialize>(
    temporary: &Path,
    path: &Path,
    record: &T,
    durable: Durable,
) -> Result<()> {
    let bytes = serde_json::to_vec_pretty(record).map_err(|error| Error::Internal(error.to_string()))?;
    let mut file = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(temporary)
        .map_err(|error| Error::io("open", temporary, error))?;
    file.write_all(&bytes).map_err(|error| Error::io("write", temporary, error))?;
    if durable == Durable::Yes {
        file.sync_all().map_err(|error| Error::io("fsync", temporary, error))?;
    }
    std::fs::rename(temporary, path).map_err(|error| Error::io("rename", path, error))?;
    if durable == Durable::Yes {
        sync_parent(path)?;
    }
    Ok(())
}

/// Makes a change of a directory's names durable.
pub(crate) fn sync_parent(path: &Path) -> Result<()> {
    let Some(dir) = path.parent() else { return Ok(()) };
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(|error| Error::io("fsync", dir, error))
}

/// Reads a record; why it can't be used is an error.
pub(crate) fn read_record<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let bytes = std::fs::read(path).map_err(|error| Error::io("read", path, error))?;
    serde_json::from_slice(&bytes)
        .map_err(|error| Error::io("parse", path, io::Error::new(io::ErrorKind::InvalidData, error)))
}
