//! What an operator can set about images; every key has a default.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Image settings, a table of husk-cri's configuration file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Registry host (as in the reference, with its port) → how to reach it.
    pub hosts: BTreeMap<String, HostConfig>,
    /// Directory with one directory per registry host, whose `*.crt` files are trusted for that host.
    pub certs_dir: PathBuf,
    /// Seconds for a connection to come about.
    pub connect_timeout_s: u64,
    /// Seconds without a byte after which a transfer counts as dead.
    pub idle_timeout_s: u64,
    /// How often a broken transfer is resumed without any progress in between.
    pub retries: u32,
    /// Layers of one store that are downloaded and unpacked at the same time.
    pub parallel_layers: usize,
    /// Most bytes that one layer may have when unpacked.
    pub max_layer_bytes: u64,
    /// Most entries that one layer may have.
    pub max_layer_entries: u64,
    /// Images (by reference or glob-free prefix ending in `*`) that must not be collected as garbage.
    pub pinned: Vec<String>,
}

/// How one registry is reached.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HostConfig {
    /// Mirrors, tried in order before the registry itself: `http[s]://host[:port][/prefix]`.
    pub mirrors: Vec<String>,
    /// The registry itself is not asked when the mirrors fail.
    pub mirrors_only: bool,
    /// Further certificate authorities for this host, as a PEM file.
    pub ca_file: Option<PathBuf>,
    /// Speak http instead of https. Loopback addresses get http without being asked for it.
    pub plain_http: Option<bool>,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            hosts: BTreeMap::new(),
            certs_dir: PathBuf::from("/etc/husk/certs.d"),
            connect_timeout_s: 30,
            idle_timeout_s: 60,
            retries: 5,
            parallel_layers: 6,
            max_layer_bytes: 64 << 30,
            max_layer_entries: 4_000_000,
            pinned: Vec::new(),
        }
    }
}

impl Config {
    /// Whether an image of this name is pinned.
    pub(crate) fn pins(&self, name: &str) -> bool {
        self.pinned.iter().any(|pin| match pin.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => name == pin,
        })
    }
}
