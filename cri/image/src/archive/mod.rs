//! Images from files: an OCI layout directory, or an archive of one, or what `docker save` writes.

mod docker;
mod members;
mod oci;

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use crate::layer::{Feed, Sink};
use crate::manifest::{Descriptor, Manifest};
use crate::store::pull::{Names, Source};
use crate::{Digest, Error, Result};

pub(crate) use members::Members;

/// Bytes per message to the unpacking stages.
const CHUNK: usize = 256 * 1024;

/// One image of an archive.
pub(crate) struct Found {
    pub manifest: Manifest,
    pub config: Vec<u8>,
    pub names: Names,
    /// Digest of the manifest or index; docker-archives have none.
    pub digest: Option<Digest>,
}

/// Where each blob lies in the archive.
pub(crate) struct Archive {
    members: Members,
    /// Blobs that don't lie at `blobs/sha256/HEX`.
    places: HashMap<Digest, String>,
}

/// Finds all images of an archive. Blocking.
pub(crate) fn open(path: &Path, scratch: &Path, most: u64) -> Result<(Archive, Vec<Found>)> {
    let members = Members::open(path, scratch, most)?;
    let bad = |reason: &str| Error::BadArchive { path: path.into(), reason: reason.into() };
    let mut archive = Archive { members, places: HashMap::new() };
    let found = if archive.members.has("index.json") {
        oci::images(&archive, path)?
    } else if archive.members.has("manifest.json") {
        docker::images(&mut archive, path)?
    } else {
        return Err(bad("it has neither index.json (OCI) nor manifest.json (docker)"));
    };
    if found.is_empty() {
        return Err(bad("it has no image"));
    }
    Ok((archive, found))
}

impl Archive {
    fn place(&self, digest: &Digest) -> String {
        self.places.get(digest).cloned().unwrap_or_else(|| format!("blobs/sha256/{}", digest.hex()))
    }

    /// A small blob, checked.
    fn blob(&self, digest: &Digest, what: &'static str, most: u64) -> Result<Vec<u8>> {
        let bytes = self.members.read(&self.place(digest), most)?;
        let actual = Digest::of(&bytes);
        if actual != *digest {
            let (expected, actual) = (digest.to_string(), actual.to_string());
            return Err(Error::WrongDigest { what, expected, actual });
        }
        Ok(bytes)
    }
}

impl Feed for Archive {
    async fn feed(&self, blob: &Descriptor, sink: &mut Sink) -> Result<()> {
        let mut reader = self.members.open_member(&self.place(&blob.digest))?;
        loop {
            let (back, chunk) = tokio::task::spawn_blocking(move || {
                let mut chunk = vec![0; CHUNK];
                let got = io::Read::read(&mut reader, &mut chunk);
                chunk.truncate(*got.as_ref().unwrap_or(&0));
                (reader, got.map(|_| chunk))
            })
            .await
            .map_err(|error| Error::Internal(error.to_string()))?;
            reader = back;
            let chunk = chunk.map_err(|error| Error::io("read", self.members.path(), error))?;
            if chunk.is_empty() {
                return Ok(());
            }
            sink.push(Bytes::from(chunk), blob).await?;
        }
    }
}

impl Source for Archive {
    fn fallback(&self) -> Option<Arc<Archive>> {
        None
    }
}
