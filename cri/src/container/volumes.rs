//! Image volumes: an image's files, read-only, at a path of the container.

use std::path::PathBuf;
use std::sync::Arc;

use husk_image::SnapshotOptions;
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};

use crate::error::{Context, Error, Result};
use crate::node::Node;
use crate::store::{ContainerRecord, blocking};

/// Id of the snapshot of a container's mount number `index`.
pub fn snapshot_id(container: &str, index: usize) -> String {
    format!("{container}-volume-{index}")
}

/// Mounts all image volumes of a container; the result has an entry for each mount of its config.
pub async fn prepare(node: &Arc<Node>, record: &ContainerRecord) -> Result<Vec<Option<PathBuf>>> {
    let mut all = Vec::new();
    for (index, mount) in record.config.mounts.iter().enumerate() {
        let Some(wanted) = mount.image.as_ref().filter(|image| !image.image.is_empty()) else {
            all.push(None);
            continue;
        };
        let field = format!("config.mounts[{index}]");
        if !mount.host_path.is_empty() {
            return Err(Error::invalid(format!("{field}.host_path"), "and image exclude each other"));
        }
        let id = snapshot_id(&record.id, index);
        let none = || Error::NotFound { kind: "image", id: wanted.image.clone() };
        let image = node.images.status(&wanted.image).ok_or_else(none)?;
        let options = SnapshotOptions { read_only: true };
        let snapshot = node.images.prepare(&id, &image.id.to_string(), options).await;
        let snapshot = snapshot.on("prepare", format!("a snapshot of {}", wanted.image))?;
        let target = node.paths.bundle(&record.id).join("volumes").join(index.to_string());
        let sub = mount.image_sub_path.clone();
        let source = blocking(move || {
            crate::node::private(&target)?;
            snapshot.mount(&target).on("mount", target.display().to_string())?;
            inside(&target, &sub, &format!("{field}.image_sub_path"))
        })
        .await?;
        all.push(Some(source));
    }
    Ok(all)
}

/// The path of `sub` in the mounted image, with its links resolved inside (CVE-2021-43816).
fn inside(root: &std::path::Path, sub: &str, field: &str) -> Result<PathBuf> {
    if sub.is_empty() {
        return Ok(root.to_owned());
    }
    let bad = |why: String| Error::invalid(field, format!("{sub:?} {why}"));
    let path = std::path::Path::new(sub);
    if path.is_absolute() || path.components().any(|part| matches!(part, std::path::Component::ParentDir)) {
        return Err(bad("is not a relative path without \"..\"".into()));
    }
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let handle = rustix::fs::open(root, flags, Mode::empty()).on("open", root.display().to_string())?;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let found = openat2(&handle, path, flags, Mode::empty(), resolve)
        .map_err(|error| bad(format!("can't be found in the image: {error}")))?;
    let link = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&found));
    // The image is read-only: what it resolves to now, it does always.
    std::fs::read_link(&link).on("resolve", sub)
}
