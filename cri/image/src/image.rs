//! An image in the store, and what its config says about running it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Digest;

/// What a pull or load gives back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageRef {
    /// Image id: digest of the image's config.
    pub id: Digest,
    /// Digest of the manifest or index that was asked for; none for a docker-archive.
    pub digest: Option<Digest>,
}

/// An image in the store. Also the record on disk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Image {
    /// Digest of the config.
    pub id: Digest,
    /// Full names with tag, sorted.
    pub tags: Vec<String>,
    /// Full names with digest, sorted.
    pub digests: Vec<String>,
    /// Bytes of config and layers as the manifest gives them (compressed if the registry has them so).
    pub size: u64,
    /// Diff ids, lowest layer first.
    pub layers: Vec<Digest>,
    /// Must not be collected as garbage.
    #[serde(skip)]
    pub pinned: bool,
    /// What the image says about running it.
    pub config: ImageConfig,
}

/// The parts of an OCI image config that a runtime needs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// `user`, `uid`, `user:group`, `uid:gid` or a mixture; empty is root.
    pub user: String,
    /// `NAME=value`.
    pub env: Vec<String>,
    /// Program and first arguments.
    pub entrypoint: Vec<String>,
    /// Further arguments, or program and arguments where there is no entrypoint.
    pub cmd: Vec<String>,
    /// Working directory; empty is `/`.
    pub working_dir: String,
    /// Paths that want a volume of their own.
    pub volumes: Vec<String>,
    /// Signal that asks the program to stop, by name or number.
    pub stop_signal: Option<String>,
    /// Free labels.
    pub labels: BTreeMap<String, String>,
    /// For example `amd64`.
    pub architecture: String,
    /// For example `linux`.
    pub os: String,
    /// RFC 3339, as the builder wrote it.
    pub created: Option<String>,
}

impl ImageConfig {
    /// The user as a number, where the image gives one: `1000` or `1000:50`.
    pub fn uid(&self) -> Option<u32> {
        self.user_part().parse().ok()
    }

    /// The user as a name, where the image gives one.
    pub fn username(&self) -> Option<&str> {
        let user = self.user_part();
        (!user.is_empty() && !user.bytes().all(|b| b.is_ascii_digit())).then_some(user)
    }

    fn user_part(&self) -> &str {
        self.user.split_once(':').map_or(self.user.as_str(), |(user, _)| user)
    }
}
