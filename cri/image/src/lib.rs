//! Images: registry, content store, unpacking, overlayfs snapshots.
