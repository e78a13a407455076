//! A pull, from the reference to the record.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::disk::{self, Durable};
use super::lease::Lease;
use super::state::Layer;
use super::{Inner, blocking, record};
use crate::layer::{self, Feed};
use crate::manifest::{self, Descriptor, Document, Manifest};
use crate::progress::{Part, Tracker};
use crate::registry::Session;
use crate::unpack::Limits;
use crate::{Auth, Digest, Error, Image, ImageRef, ProgressFn, Reference, Result, Usage};

/// Indexes in indexes are allowed by the spec; nobody has more than one level, and a cycle can't be built from digests.
const MAX_INDEXES: u32 = 3;

pub(super) async fn pull(
    inner: &Arc<Inner>,
    reference: &str,
    auth: &Auth,
    report: Option<ProgressFn>,
) -> Result<ImageRef> {
    let reference: Reference = reference.parse()?;
    let key = (reference.clone(), auth.clone());
    let tracker = inner.trackers.pulls.get(key.clone());
    let work = || {
        let (inner, auth, tracker) = (Arc::clone(inner), auth.clone(), Arc::clone(&tracker));
        async move { from_registry(&inner, &reference, &auth, &tracker).await }
    };
    let finished = {
        let inner = Arc::clone(inner);
        move |key: &(Reference, Auth)| inner.pulls.forget(key)
    };
    let mut joined = std::pin::pin!(inner.pulls.join(key, work, finished));
    let Some(report) = report else { return joined.await };
    let mut last = None;
    loop {
        let done = tokio::time::timeout(Duration::from_millis(100), &mut joined).await;
        let now = tracker.progress();
        if last.replace(now) != Some(now) {
            report(now);
        }
        if let Ok(outcome) = done {
            return outcome;
        }
    }
}

async fn from_registry(
    inner: &Arc<Inner>,
    reference: &Reference,
    auth: &Auth,
    tracker: &Tracker,
) -> Result<ImageRef> {
    let session = Session::new(&inner.config, &inner.clients, reference, auth)?;
    let (mut bytes, digest) = session.manifest(&reference.target()).await?;
    let mut manifest_digest = digest.clone();
    let name = format!("{}@{digest}", reference.name());
    if let Some(image) = known(inner, &digest) {
        // It may be removed at this moment; the lease decides.
        let lease = Lease::new(inner, image.layers.clone());
        let whole = image.layers.iter().all(|layer| inner.state().layers.contains_key(layer));
        if whole {
            let image = Image::clone(&image);
            let tags = reference.tagged().into_iter().collect();
            let id = image.id.clone();
            record::add(inner, Image { tags, digests: vec![name], ..image }).await?;
            return Ok(ImageRef { id, digest: Some(digest) });
        }
        drop(lease);
    }
    let mut indexes = 0;
    let manifest = loop {
        match Document::parse(&bytes, &manifest_digest)? {
            Document::Manifest(manifest) => break manifest,
            Document::Index(entries) => {
                indexes += 1;
                if indexes > MAX_INDEXES {
                    let reason = "indexes are nested too deeply".to_owned();
                    return Err(Error::BadManifest { what: "index", digest: digest.to_string(), reason });
                }
                let entry = manifest::select(&entries, &reference.to_string())?;
                (bytes, manifest_digest) = session.manifest(&entry.digest.to_string()).await?;
            }
        }
    };
    let config = session.config(&manifest.config).await?;
    let names = Names {
        reference: reference.to_string(),
        tags: reference.tagged().into_iter().collect(),
        digests: vec![name],
    };
    let session = Arc::new(session);
    let id = install(inner, &session, manifest, &config, names, tracker).await?;
    Ok(ImageRef { id, digest: Some(digest) })
}

/// The image that was pulled by this digest before, from wherever.
fn known(inner: &Inner, digest: &Digest) -> Option<Arc<Image>> {
    let suffix = format!("@{digest}");
    let state = inner.state();
    state.images.values().find(|image| image.digests.iter().any(|name| name.ends_with(&suffix))).cloned()
}

/// What an image is to be called.
pub(crate) struct Names {
    /// For messages.
    pub reference: String,
    pub tags: Vec<String>,
    pub digests: Vec<String>,
}

/// Something that layers come from; a second choice is there for sources that can be wrong.
pub(crate) trait Source: Feed + Send + Sync + 'static {
    /// Where else to look after the content was wrong.
    fn fallback(&self) -> Option<Arc<Self>>;
}

impl Source for Session {
    fn fallback(&self) -> Option<Arc<Session>> {
        self.without_mirrors().map(Arc::new)
    }
}

/// Brings the layers that are missing into the store, all at the same time, and records the image.
pub(crate) async fn install<S: Source>(
    inner: &Arc<Inner>,
    source: &Arc<S>,
    manifest: Manifest,
    config: &[u8],
    names: Names,
    tracker: &Tracker,
) -> Result<Digest> {
    let id = manifest.config.digest.clone();
    let (config, diff_ids) = manifest::parse_config(config, &id, manifest.layers.len())?;
    manifest::check_platform(&config, &names.reference)?;
    let size = manifest.layers.iter().fold(manifest.config.size, |sum, layer| sum.saturating_add(layer.size));

    // From here on what is there stays there.
    let lease = Lease::new(inner, diff_ids.clone());
    if let Err(error) = layers(inner, source, manifest.layers, &diff_ids, tracker).await {
        drop(lease);
        // Layers that came before the error are of no use to anybody.
        record::collect_now(inner).await?;
        return Err(error);
    }
    let Names { tags, digests, .. } = names;
    let image =
        Image { id: id.clone(), tags, digests, size, layers: diff_ids.clone(), pinned: false, config };
    record::add(inner, image).await?;
    drop(lease);
    record::sync_later(inner, diff_ids);
    Ok(id)
}

async fn layers<S: Source>(
    inner: &Arc<Inner>,
    source: &Arc<S>,
    blobs: Vec<Descriptor>,
    diff_ids: &[Digest],
    tracker: &Tracker,
) -> Result<()> {
    let parts = blobs.iter().zip(diff_ids).map(|(blob, diff_id)| {
        let present = inner.state().layers.contains_key(diff_id);
        Part {
            total: if present { 0 } else { blob.size },
            done: inner.trackers.layers.get(diff_id.clone()),
            finished: present.into(),
        }
    });
    let parts = tracker.begin(parts.collect());
    let mut jobs = tokio::task::JoinSet::new();
    for (at, (blob, diff_id)) in blobs.into_iter().zip(diff_ids.iter().cloned()).enumerate() {
        let (inner, source) = (Arc::clone(inner), Arc::clone(source));
        let counter = Arc::clone(&parts[at].done);
        jobs.spawn(async move { ensure(&inner, &source, blob, diff_id, counter).await.map(|_| at) });
    }
    while let Some(done) = jobs.join_next().await {
        // The first error ends the pull.
        let at = done.map_err(|error| Error::Internal(error.to_string()))??;
        parts[at].finished.store(true, Ordering::Relaxed);
    }
    Ok(())
}

/// Waits for a layer; makes it if nobody does.
async fn ensure<S: Source>(
    inner: &Arc<Inner>,
    source: &Arc<S>,
    blob: Descriptor,
    diff_id: Digest,
    counter: Arc<AtomicU64>,
) -> Result<Arc<Layer>> {
    loop {
        if let Some(layer) = inner.state().layers.get(&diff_id) {
            return Ok(Arc::clone(layer));
        }
        let work = {
            let (inner, source, diff_id) = (Arc::clone(inner), Arc::clone(source), diff_id.clone());
            let (blob, counter) = (blob.clone(), Arc::clone(&counter));
            move || async move { work(&inner, &*source, &blob, &diff_id, &counter).await }
        };
        let finished = {
            let inner = Arc::clone(inner);
            move |key: &Digest| inner.layer_jobs.forget(key)
        };
        // A job that began for pulls which failed meanwhile drops its layer: then it is made again.
        inner.layer_jobs.join(diff_id.clone(), work, finished).await?;
    }
}

async fn work<S: Source>(
    inner: &Arc<Inner>,
    source: &S,
    blob: &Descriptor,
    diff_id: &Digest,
    counter: &Arc<AtomicU64>,
) -> Result<()> {
    // It may have come while this was on its way to the table of jobs.
    if inner.state().layers.contains_key(diff_id) {
        return Ok(());
    }
    let slot = Arc::clone(&inner.slots).acquire_owned().await;
    let _slot = slot.map_err(|error| Error::Internal(error.to_string()))?;
    match (make(inner, source, blob, diff_id, counter).await, source.fallback()) {
        (Err(error @ (Error::WrongDigest { .. } | Error::WrongSize { .. })), Some(other)) => {
            tracing::warn!(%error, "a mirror has wrong content, asking the registry itself");
            make(inner, &*other, blob, diff_id, counter).await
        }
        (made, _) => made,
    }
}

async fn make(
    inner: &Arc<Inner>,
    source: &impl Feed,
    blob: &Descriptor,
    diff_id: &Digest,
    counter: &Arc<AtomicU64>,
) -> Result<()> {
    let ingest = {
        let inner = Arc::clone(inner);
        blocking(move || {
            let ingest = inner.disk.ingest()?;
            let dir = ingest.path.join("fs");
            disk::make_dir(&dir)?;
            // What `/` is like if no layer says.
            set_mode(&dir, 0o755)?;
            Ok(ingest)
        })
        .await?
    };
    let limits = Limits { bytes: inner.config.max_layer_bytes, entries: inner.config.max_layer_entries };
    let dir = ingest.path.join("fs");
    let unpacked = layer::materialise(source, blob, diff_id, &dir, limits, Arc::clone(counter)).await;
    let (inner, diff_id) = (Arc::clone(inner), diff_id.clone());
    // Also when it failed: the guard removes what is there, which takes its time.
    blocking(move || {
        let unpacked = unpacked?;
        let mut layer = Layer {
            diff_id: diff_id.clone(),
            usage: Usage::default(),
            has_root: unpacked.has_root,
            implied: unpacked.implied,
            boot_id: inner.boot_id.clone(),
            synced: false,
        };
        disk::write_record(&ingest.path.join("layer.json"), &layer, Durable::No)?;
        layer.usage = Usage::of(&ingest.path)?;
        disk::write_record(&ingest.path.join("layer.json"), &layer, Durable::No)?;
        // State and directory appear together as far as the collector can see.
        let mut state = inner.state();
        // The pulls that wanted it failed meanwhile: nobody would ever collect it.
        if state.leases.contains_key(&diff_id) {
            ingest.commit(&inner.disk.layer(&diff_id))?;
            state.layers.insert(diff_id, Arc::new(layer));
        }
        Ok(())
    })
    .await
}

fn set_mode(path: &Path, mode: u32) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
        .map_err(|error| Error::io("chmod", path, error))
}
