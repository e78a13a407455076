//! Images on one node: pulled from a registry or loaded from an archive, kept as unpacked layers, handed out as
//! overlayfs snapshots.
//!
//! The way of an image: [`Store::pull`] → manifest and config from the registry → each layer streamed, inflated,
//! hashed and unpacked at once into a directory of its own, all layers in parallel → image record →
//! [`Store::prepare`] stacks the layers under a container's own upper directory.

#![forbid(unsafe_code)]

mod archive;
mod auth;
mod config;
mod digest;
mod error;
mod image;
mod layer;
mod manifest;
mod progress;
mod reference;
mod registry;
mod snapshot;
mod store;
mod tar;
mod unpack;
mod usage;

pub use auth::Auth;
pub use config::{Config, HostConfig};
pub use digest::Digest;
pub use error::Error;
pub use image::{Image, ImageConfig, ImageRef};
pub use progress::{Progress, ProgressFn};
pub use reference::Reference;
pub use snapshot::{Snapshot, SnapshotOptions};
pub use store::Store;
pub use usage::{FsInfo, Usage};

/// What this crate's calls return.
pub type Result<T, E = Error> = std::result::Result<T, E>;
