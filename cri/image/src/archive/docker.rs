//! What `docker save` writes: `manifest.json` names configs and layers.

use std::collections::HashMap;
use std::io::{self, Read};
use std::path::Path;

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::{Archive, Found};
use crate::layer::Format;
use crate::manifest::{self, Descriptor, MAX_CONFIG, MAX_LAYERS, MAX_MANIFEST, Manifest};
use crate::store::pull::Names;
use crate::{Digest, Error, Reference, Result};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

fn items(archive: &Archive) -> Result<Vec<Item>> {
    let bytes = archive.members.read("manifest.json", MAX_MANIFEST)?;
    serde_json::from_slice(&bytes).map_err(|error| Error::BadArchive {
        path: archive.members.path().into(),
        reason: format!("manifest.json: {error}"),
    })
}

/// Tags by config digest, for archives that are OCI layouts, too. Anything unusual there is no reason to fail.
pub(super) fn names_by_config(archive: &Archive) -> HashMap<Digest, Vec<String>> {
    let mut names = HashMap::new();
    for item in items(archive).unwrap_or_default() {
        let hex = item.config.rsplit('/').next().unwrap_or_default().trim_end_matches(".json");
        if let Ok(digest) = format!("sha256:{hex}").parse() {
            names.insert(digest, item.repo_tags.unwrap_or_default());
        }
    }
    names
}

pub(super) fn images(archive: &mut Archive, path: &Path) -> Result<Vec<Found>> {
    let bad = |reason: String| Error::BadArchive { path: path.into(), reason };
    let mut found = Vec::new();
    for item in items(archive)? {
        let config = archive.members.read(&item.config, MAX_CONFIG)?;
        let id = Digest::of(&config);
        let files = item.layers.unwrap_or_default();
        if files.len() > MAX_LAYERS {
            return Err(bad(format!("an image has {} layers, the most is {MAX_LAYERS}", files.len())));
        }
        let (_, diff_ids) = manifest::parse_config(&config, &id, files.len())?;
        let mut layers = Vec::new();
        for (file, diff_id) in files.into_iter().zip(diff_ids) {
            let (digest, size) = digest_of(archive, &file, &diff_id)?;
            archive.places.insert(digest.clone(), file);
            layers.push(descriptor(digest, size));
        }
        let mut tags = Vec::new();
        for tag in item.repo_tags.unwrap_or_default() {
            tags.extend(tag.parse::<Reference>()?.tagged());
        }
        let config_blob = descriptor(id, config.len() as u64);
        let names = Names { reference: path.display().to_string(), tags, digests: Vec::new() };
        let manifest = Manifest { config: config_blob, layers };
        found.push(Found { manifest, config, names, digest: None });
    }
    Ok(found)
}

fn descriptor(digest: Digest, size: u64) -> Descriptor {
    Descriptor { media_type: String::new(), digest, size, platform: None, annotations: Default::default() }
}

/// Nothing says a layer file's digest. Of a plain one it is the diff id, which is checked when it is unpacked.
fn digest_of(archive: &Archive, file: &str, diff_id: &Digest) -> Result<(Digest, u64)> {
    let to_error = |error: io::Error| Error::io("read", archive.members.path(), error);
    let mut start = Vec::new();
    archive.members.open_member(file)?.take(4).read_to_end(&mut start).map_err(to_error)?;
    let mut member = archive.members.open_member(file)?;
    let size = member.length;
    if Format::of(&start) == Format::Plain {
        return Ok((diff_id.clone(), size));
    }
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        match member.read(&mut buffer).map_err(to_error)? {
            0 => return Ok((Digest::from_hasher(hasher), size)),
            got => hasher.update(&buffer[..got]),
        }
    }
}
