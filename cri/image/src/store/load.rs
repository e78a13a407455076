//! Loading an archive.

use std::path::Path;
use std::sync::Arc;

use super::{Inner, blocking, pull};
use crate::archive;
use crate::progress::Tracker;
use crate::{ImageRef, Result};

pub(super) async fn load(inner: &Arc<Inner>, path: &Path) -> Result<Vec<ImageRef>> {
    let (store, path) = (Arc::clone(inner), path.to_owned());
    let (archive, found) =
        blocking(move || archive::open(&path, &store.disk.root.join("ingest"), store.config.max_layer_bytes))
            .await?;
    let source = Arc::new(archive);
    let mut loaded = Vec::new();
    for image in found {
        let tracker = Tracker::default();
        let id = pull::install(inner, &source, image.manifest, &image.config, image.names, &tracker).await?;
        loaded.push(ImageRef { id, digest: image.digest });
    }
    Ok(loaded)
}
