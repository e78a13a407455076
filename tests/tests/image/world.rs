//! What the tests of this suite share.

use std::path::{Path, PathBuf};

use husk_image::{Auth, Config, Error, ImageRef, Store};
use husk_tests::image::{Compression, Image, Layer, Tar};
use serde_json::json;

/// A store of its own, and a runtime to call it in.
pub struct World {
    pub store: Store,
    pub runtime: tokio::runtime::Runtime,
    pub dir: tempfile::TempDir,
}

/// Quick to give up, so that tests of failures are quick.
pub fn config() -> Config {
    Config { retries: 2, idle_timeout_s: 2, connect_timeout_s: 5, ..Config::default() }
}

impl World {
    pub fn new() -> World {
        World::with(config())
    }

    pub fn with(config: Config) -> World {
        let dir = husk_tests::temp_dir();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let store = Store::open(&dir.path().join("store"), config).unwrap();
        World { store, runtime, dir }
    }

    pub fn root(&self) -> PathBuf {
        self.dir.path().join("store")
    }

    pub fn pull(&self, reference: &str) -> Result<ImageRef, Error> {
        self.pull_with(reference, &Auth::Anonymous)
    }

    pub fn pull_with(&self, reference: &str, auth: &Auth) -> Result<ImageRef, Error> {
        self.runtime.block_on(self.store.pull(reference, auth, None))
    }

    /// Loads an image through an OCI layout, without any server.
    pub fn load(&self, image: &Image) -> Result<Vec<ImageRef>, Error> {
        let layout = husk_tests::temp_dir();
        image.write_layout(layout.path(), Some("localhost/test:1"));
        self.runtime.block_on(self.store.load_archive(layout.path()))
    }

    /// Fails unless the store has no image, no layer and nothing half-made.
    #[track_caller]
    pub fn assert_empty(&self) {
        assert!(self.store.list().is_empty());
        assert_nothing_in(&self.root());
    }

    /// Files of a layer.
    pub fn layer(&self, diff_id: &str) -> PathBuf {
        self.root().join("layers").join(&diff_id["sha256:".len()..]).join("fs")
    }
}

/// Opens a store again whose last user may still have a thread that holds it.
pub fn reopen(root: &Path) -> Store {
    let mut store = None;
    husk_tests::wait_until("the store is released", || {
        store = Store::open(root, config()).ok();
        store.is_some()
    });
    store.unwrap()
}

/// Jobs of pulls that failed may take a moment to clear up.
#[track_caller]
pub fn assert_nothing_in(root: &Path) {
    for dir in ["images", "layers", "ingest", "trash", "snapshots"] {
        husk_tests::wait_until(&format!("{dir} is empty"), || {
            std::fs::read_dir(root.join(dir)).unwrap().next().is_none()
        });
    }
}

/// A small image whose content differs by `text`.
pub fn small(text: &str) -> Image {
    let tar = Tar::new().dir("etc/", 0o755).file("etc/text", 0o644, text.as_bytes());
    Image::new(vec![Layer::new(tar, Compression::Gzip)], &json!({ "Cmd": ["sh"] }))
}

/// Bytes that don't compress.
pub fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}
