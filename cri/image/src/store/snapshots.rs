//! Snapshots: prepared, removed.

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::disk::{self, Disk, Durable};
use super::state::Layer;
use super::{Inner, implied, record};
use crate::snapshot::check_id;
use crate::{Error, Result, Snapshot, SnapshotOptions};

pub(super) async fn prepare(
    inner: &Arc<Inner>,
    id: &str,
    image: &str,
    options: SnapshotOptions,
) -> Result<Snapshot> {
    check_id(id)?;
    let (id, image) = (id.to_owned(), image.to_owned());
    inner.change(move |store, _| make(store, &id, &image, options)).await
}

fn make(store: &Inner, id: &str, image: &str, options: SnapshotOptions) -> Result<Snapshot> {
    let (snapshot, layers) = {
        let state = store.state();
        let not_found = || Error::NotFound { what: "image", name: image.into() };
        let found = state.find(image).ok_or_else(not_found)?;
        if let Some(existing) = state.snapshots.get(id) {
            if existing.image == found.id && existing.options == options {
                return Ok(Snapshot::clone(existing));
            }
            let reason = "a snapshot of another image has it";
            return Err(Error::BadSnapshotId { id: id.into(), reason });
        }
        let layers: Option<Vec<Arc<Layer>>> =
            found.layers.iter().map(|layer| state.layers.get(layer).cloned()).collect();
        let snapshot = Snapshot {
            id: id.into(),
            image: found.id.clone(),
            layers: found.layers.clone(),
            options,
            lower: Vec::new(),
            upper: None,
        };
        (snapshot, layers.ok_or_else(not_found)?)
    };
    let ingest = store.disk.ingest()?;
    disk::write_record(&ingest.path.join("snapshot.json"), &snapshot, Durable::No)?;
    let top = ingest.path.join(if options.read_only { "fix" } else { "upper" });
    disk::make_dir(&top)?;
    root_attributes(&store.disk, &layers, &top)?;
    implied::restore(&store.disk, &layers, &top)?;
    if !options.read_only {
        disk::make_dir(&ingest.path.join("work"))?;
    }
    ingest.commit(&store.disk.snapshot(&snapshot.id))?;
    let snapshot = with_paths(&store.disk, snapshot);
    store.state().snapshots.insert(snapshot.id.clone(), Arc::new(snapshot.clone()));
    Ok(snapshot)
}

/// The mounted root directory shows the attributes of the topmost directory, which is the container's own: they come
/// from the highest layer that says something about `/`.
fn root_attributes(disk: &Disk, layers: &[Arc<Layer>], top: &Path) -> Result<()> {
    let Some(layer) = layers.iter().rev().find(|layer| layer.has_root) else {
        return set_mode(top, 0o755);
    };
    let from = disk.layer(&layer.diff_id).join("fs");
    let data = std::fs::metadata(&from).map_err(|error| Error::io("stat", &from, error))?;
    std::os::unix::fs::chown(top, Some(data.uid()), Some(data.gid()))
        .map_err(|error| Error::io("chown", top, error))?;
    set_mode(top, data.mode() & 0o7777)
}

fn set_mode(path: &Path, mode: u32) -> Result<()> {
    std::fs::set_permissions(path, Permissions::from_mode(mode))
        .map_err(|error| Error::io("chmod", path, error))
}

/// Fills in where things lie in this store.
pub(super) fn with_paths(disk: &Disk, mut snapshot: Snapshot) -> Snapshot {
    let own = disk.snapshot(&snapshot.id);
    let mut lower: Vec<PathBuf> = Vec::new();
    if snapshot.options.read_only {
        // Overlayfs without an upper directory wants two lower ones at least.
        lower.push(own.join("fix"));
    } else {
        snapshot.upper = Some((own.join("upper"), own.join("work")));
    }
    for diff_id in snapshot.layers.iter().rev() {
        let path = disk.layer(diff_id).join("fs");
        // The same layer twice is an error to overlayfs. The lower one adds nothing: all its files are in the upper one.
        if !lower.contains(&path) {
            lower.push(path);
        }
    }
    snapshot.lower = lower;
    snapshot
}

pub(super) async fn remove(inner: &Arc<Inner>, id: &str) -> Result<()> {
    check_id(id)?;
    let id = id.to_owned();
    let work = move |store: &Arc<Inner>, trash: &mut Vec<PathBuf>| {
        trash.extend(store.disk.discard(&store.disk.snapshot(&id))?);
        store.state().snapshots.remove(&id);
        record::collect(store, trash)
    };
    inner.change(work).await
}
