//! Opening: what is whole is taken up, everything else goes.

use std::path::Path;
use std::sync::{Arc, Mutex};

use tokio::sync::Semaphore;

use super::disk::{self, Disk};
use super::state::{Layer, State};
use super::{Inner, snapshots};
use crate::{Config, Image, Result, Snapshot};

pub(super) fn open(root: &Path, config: Config) -> Result<Inner> {
    let disk = Disk::open(root)?;
    disk.clear_leftovers()?;
    let boot_id = boot_id();
    let mut state = State::default();
    layers(&disk, &boot_id, &mut state)?;
    images(&disk, &config, &mut state)?;
    snapshots(&disk, &mut state)?;
    for diff_id in state.unused_layers() {
        state.layers.remove(&diff_id);
        disk::remove_tree(&disk.layer(&diff_id))?;
    }
    Ok(Inner {
        slots: Arc::new(Semaphore::new(config.parallel_layers.clamp(1, 64))),
        config: Arc::new(config),
        disk,
        state: Mutex::new(state),
        changing: Arc::default(),
        clients: Default::default(),
        pulls: Default::default(),
        layer_jobs: Default::default(),
        trackers: Default::default(),
        boot_id,
    })
}

/// Names this run of the kernel; without it (no /proc) every start counts as a new boot.
fn boot_id() -> String {
    match std::fs::read_to_string("/proc/sys/kernel/random/boot_id") {
        Ok(text) => text.trim().to_owned(),
        Err(_) => format!("{:?}", std::time::SystemTime::now()),
    }
}

fn layers(disk: &Disk, boot_id: &str, state: &mut State) -> Result<()> {
    for path in disk::list(&disk.layers())? {
        let reason = match disk::read_record::<Layer>(&path.join("layer.json")) {
            Err(error) => error.to_string(),
            Ok(layer) if disk.layer(&layer.diff_id) != path => "it is in another layer's place".to_owned(),
            // A power cut may have taken files that were still in the page cache.
            Ok(layer) if !layer.synced && layer.boot_id != boot_id => {
                "the machine went down too soon".to_owned()
            }
            Ok(layer) => {
                state.layers.insert(layer.diff_id.clone(), Arc::new(layer));
                continue;
            }
        };
        tracing::warn!(path = %path.display(), reason, "dropping a layer");
        disk::remove_tree(&path)?;
    }
    Ok(())
}

fn images(disk: &Disk, config: &Config, state: &mut State) -> Result<()> {
    for path in disk::list(&disk.images())? {
        let reason = match disk::read_record::<Image>(&path) {
            Err(error) => error.to_string(),
            Ok(image) if disk.image(&image.id) != path => "it is in another image's place".to_owned(),
            Ok(image) if !image.layers.iter().all(|layer| state.layers.contains_key(layer)) => {
                "one of its layers is missing".to_owned()
            }
            Ok(mut image) => {
                image.pinned = image.tags.iter().any(|tag| config.pins(tag));
                state.images.insert(image.id.clone(), Arc::new(image));
                continue;
            }
        };
        tracing::warn!(path = %path.display(), reason, "dropping an image");
        disk::remove_tree(&path)?;
    }
    Ok(())
}

fn snapshots(disk: &Disk, state: &mut State) -> Result<()> {
    for path in disk::list(&disk.snapshots())? {
        let reason = match disk::read_record::<Snapshot>(&path.join("snapshot.json")) {
            Err(error) => error.to_string(),
            Ok(snapshot) if disk.snapshot(&snapshot.id) != path => {
                "it is in another container's place".to_owned()
            }
            Ok(snapshot) if !snapshot.layers.iter().all(|layer| state.layers.contains_key(layer)) => {
                "one of its layers is missing".to_owned()
            }
            Ok(snapshot) => {
                let snapshot = snapshots::with_paths(disk, snapshot);
                state.snapshots.insert(snapshot.id.clone(), Arc::new(snapshot));
                continue;
            }
        };
        tracing::warn!(path = %path.display(), reason, "dropping a snapshot");
        disk::remove_tree(&path)?;
    }
    Ok(())
}
