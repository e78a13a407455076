//! OCI image layout (image spec, image-layout.md).

use std::collections::HashMap;
use std::path::Path;

use super::{Archive, Found, docker};
use crate::manifest::{self, Descriptor, Document, MAX_CONFIG, MAX_MANIFEST};
use crate::store::pull::Names;
use crate::{Digest, Error, Reference, Result};

/// Annotations that name an image, the one with the full name first.
const NAMES: [&str; 2] = ["io.containerd.image.name", "org.opencontainers.image.ref.name"];

pub(super) fn images(archive: &Archive, path: &Path) -> Result<Vec<Found>> {
    let bytes = archive.members.read("index.json", MAX_MANIFEST)?;
    let bad = |reason: String| Error::BadArchive { path: path.into(), reason };
    let Document::Index(entries) = Document::parse(&bytes, &Digest::of(&bytes))? else {
        return Err(bad("index.json is no index".into()));
    };
    // Newer `docker save` writes both forms; the names are in the old one.
    let docker_names = docker::names_by_config(archive);
    let mut found: Vec<Found> = Vec::new();
    for entry in &entries {
        if let Some(image) = image(archive, entry, path, &docker_names)? {
            found.push(image);
        }
    }
    Ok(found)
}

/// Nothing for what is no image for this machine, if it lies beside others.
fn image(
    archive: &Archive,
    entry: &Descriptor,
    path: &Path,
    docker_names: &HashMap<Digest, Vec<String>>,
) -> Result<Option<Found>> {
    let digest = entry.digest.clone();
    let mut current = entry.clone();
    let manifest = loop {
        let bytes = archive.blob(&current.digest, "manifest", MAX_MANIFEST)?;
        match Document::parse(&bytes, &current.digest)? {
            Document::Manifest(manifest) => break manifest,
            // Digests can't form a cycle, and the archive's size bounds the depth.
            Document::Index(entries) => {
                current = manifest::select(&entries, &path.display().to_string())?.clone();
            }
        }
    };
    if manifest.config.media_type.contains("in-toto") {
        return Ok(None);
    }
    let config = archive.blob(&manifest.config.digest, "config", MAX_CONFIG)?;
    let mut references = Vec::new();
    for name in NAMES.iter().filter_map(|key| entry.annotations.get(*key)) {
        // The second annotation may be a tag alone, which says nothing without a repository.
        if name.contains(['/', ':']) {
            references.push(name.parse::<Reference>()?);
        }
    }
    for name in docker_names.get(&manifest.config.digest).into_iter().flatten() {
        references.push(name.parse::<Reference>()?);
    }
    let names = Names {
        reference: path.display().to_string(),
        tags: references.iter().filter_map(Reference::tagged).collect(),
        digests: references.iter().map(|reference| format!("{}@{digest}", reference.name())).collect(),
    };
    Ok(Some(Found { manifest, config, names, digest: Some(digest) }))
}
