//! What the store knows, in memory: every question is answered from here.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Digest, Image, Reference, Snapshot, Usage};

/// A whole layer. Also the record on disk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Layer {
    /// Of the unpacked tar stream.
    pub diff_id: Digest,
    /// Space of its directory.
    pub usage: Usage,
    /// The layer says what its root directory is like.
    pub has_root: bool,
    /// See [`crate::unpack::Unpacked::implied`]; paths that are no UTF-8 are kept byte by byte.
    pub implied: Vec<Vec<u8>>,
    /// Boot in which it was unpacked. Until it is synced it is only good in that boot.
    pub boot_id: String,
    /// All of it is on the disk, not in the page cache alone.
    pub synced: bool,
}

/// Images, layers and snapshots that are whole.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub images: BTreeMap<Digest, Arc<Image>>,
    pub layers: HashMap<Digest, Arc<Layer>>,
    pub snapshots: BTreeMap<String, Arc<Snapshot>>,
    /// Layers that pulls under way count on, with how many do.
    pub leases: HashMap<Digest, usize>,
}

impl State {
    /// By full id, tag, digest, or the start of the id.
    pub fn find(&self, name: &str) -> Option<Arc<Image>> {
        if let Ok(id) = name.parse::<Digest>()
            && let Some(image) = self.images.get(&id)
        {
            return Some(Arc::clone(image));
        }
        if let Some(image) = self.find_short(name) {
            return Some(image);
        }
        let reference: Reference = name.parse().ok()?;
        let by = |names: fn(&Image) -> &[String], name: &str| {
            self.images.values().find(|image| names(image).iter().any(|known| known == name)).cloned()
        };
        match &reference.digest {
            Some(digest) => by(|image| &image.digests, &format!("{}@{digest}", reference.name())),
            None => by(|image| &image.tags, &reference.tagged()?),
        }
    }

    /// At least four digits that start exactly one id.
    fn find_short(&self, name: &str) -> Option<Arc<Image>> {
        let hex = name.strip_prefix("sha256:").unwrap_or(name);
        if hex.len() < 4 || hex.len() > 64 || !hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return None;
        }
        let mut matching = self.images.values().filter(|image| image.id.hex().starts_with(hex));
        match (matching.next(), matching.next()) {
            (Some(image), None) => Some(Arc::clone(image)),
            _ => None,
        }
    }

    /// Layers that no image, snapshot or pull needs.
    pub fn unused_layers(&self) -> Vec<Digest> {
        let mut used: BTreeSet<&Digest> = self.leases.keys().collect();
        used.extend(self.images.values().flat_map(|image| &image.layers));
        used.extend(self.snapshots.values().flat_map(|snapshot| &snapshot.layers));
        self.layers.keys().filter(|layer| !used.contains(layer)).cloned().collect()
    }
}
