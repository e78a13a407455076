//! Records of images: made, given further names, removed.

use std::path::PathBuf;
use std::sync::Arc;

use super::Inner;
use super::disk::{self, Durable};
use super::state::Layer;
use crate::{Digest, Image, Result, Usage};

/// Adds an image, or further names to one that is there. Tags move here from the images that had them.
pub(super) async fn add(inner: &Arc<Inner>, image: Image) -> Result<()> {
    inner.change(move |store, _| write(store, image)).await
}

fn write(store: &Inner, mut image: Image) -> Result<()> {
    let mut changed = Vec::new();
    {
        let state = store.state();
        for other in state.images.values().filter(|other| other.id != image.id) {
            if other.tags.iter().any(|tag| image.tags.contains(tag)) {
                let mut other = Image::clone(other);
                other.tags.retain(|tag| !image.tags.contains(tag));
                changed.push(other);
            }
        }
        if let Some(known) = state.images.get(&image.id) {
            image.tags.extend(known.tags.iter().cloned());
            image.digests.extend(known.digests.iter().cloned());
        }
    }
    for names in [&mut image.tags, &mut image.digests] {
        names.sort();
        names.dedup();
    }
    // The new owner first: a tag that two records claim after a crash is better than a lost one.
    changed.insert(0, image);
    for mut image in changed {
        image.pinned = image.tags.iter().any(|tag| store.config.pins(tag));
        disk::write_record(&store.disk.image(&image.id), &image, Durable::Yes)?;
        store.state().images.insert(image.id.clone(), Arc::new(image));
    }
    Ok(())
}

/// Removes an image with all its names, and layers that nothing else uses.
pub(super) async fn remove(inner: &Arc<Inner>, name: &str) -> Result<()> {
    let name = name.to_owned();
    let work = move |store: &Arc<Inner>, trash: &mut Vec<PathBuf>| {
        let Some(image) = store.state().find(&name) else { return Ok(()) };
        let path = store.disk.image(&image.id);
        // Needs no space, so it works on a full disk.
        disk::remove_tree(&path)?;
        store.state().images.remove(&image.id);
        collect(store, trash)?;
        disk::sync_parent(&path)
    };
    inner.change(work).await
}

/// Takes unused layers out of their places. Called while nobody else changes records.
pub(super) fn collect(inner: &Inner, trash: &mut Vec<PathBuf>) -> Result<()> {
    // The state stays locked over the renames: a pull that takes its lease now must see which layers are left.
    let mut state = inner.state();
    for diff_id in state.unused_layers() {
        trash.extend(inner.disk.discard(&inner.disk.layer(&diff_id))?);
        state.layers.remove(&diff_id);
    }
    Ok(())
}

/// Drops layers that nothing uses.
pub(super) async fn collect_now(inner: &Arc<Inner>) -> Result<()> {
    inner.change(|store, trash| collect(store, trash)).await
}

/// Brings layers of a fresh pull onto the disk for good, behind the pull's back: until then they are good in this boot
/// only. Waiting for it would double a pull's time.
pub(super) fn sync_later(inner: &Arc<Inner>, layers: Vec<Digest>) {
    let store = Arc::clone(inner);
    tokio::task::spawn_blocking(move || {
        if let Err(error) = sync(&store, &layers) {
            tracing::warn!(%error, "layers are not synced; they would not outlive a power cut");
        }
    });
}

/// The same for layers of a process that ended before it came to that.
pub(super) fn sync_leftovers(inner: &Arc<Inner>) {
    let layers: Vec<Digest> = inner
        .state()
        .layers
        .values()
        .filter(|layer| !layer.synced)
        .map(|layer| layer.diff_id.clone())
        .collect();
    if layers.is_empty() {
        return;
    }
    let store = Arc::clone(inner);
    std::thread::spawn(move || {
        if let Err(error) = sync(&store, &layers) {
            tracing::warn!(%error, "layers are not synced; they would not outlive a power cut");
        }
    });
}

fn sync(inner: &Inner, layers: &[Digest]) -> Result<()> {
    let root = std::fs::File::open(&inner.disk.root)
        .map_err(|error| crate::Error::io("open", &inner.disk.root, error))?;
    rustix::fs::syncfs(&root).map_err(|errno| crate::Error::io("syncfs", &inner.disk.root, errno))?;
    for diff_id in layers {
        let Some(layer) = inner.state().layers.get(diff_id).cloned() else { continue };
        if layer.synced {
            continue;
        }
        let dir = inner.disk.layer(diff_id);
        // Blocks are final now that they are allocated.
        let layer = Layer { synced: true, usage: Usage::of(&dir)?, ..Layer::clone(&layer) };
        match disk::write_record(&dir.join("layer.json"), &layer, Durable::Yes) {
            Ok(()) => {}
            // Removed meanwhile.
            Err(_) if !dir.exists() => continue,
            Err(error) => return Err(error),
        }
        if let Some(known) = inner.state().layers.get_mut(diff_id) {
            *known = Arc::new(layer);
        }
    }
    Ok(())
}
