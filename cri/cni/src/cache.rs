//! What is attached, on disk: enough to detach it after a crash, a reboot or a change of the configuration.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::attach::Attachment;
use crate::error::Error;

/// One attachment, attempted or confirmed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// What was asked for.
    pub attachment: Attachment,
    /// The list that was used.
    pub list: Value,
    /// The version that was spoken.
    pub version: String,
    /// The last result; absent until the whole chain has answered.
    pub result: Option<Value>,
}

/// The directory of entries: one file per sandbox.
#[derive(Debug)]
pub(crate) struct Cache {
    dir: PathBuf,
}

impl Cache {
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Writes an entry so that after a power cut the old or the new one is there, whole.
    pub(crate) fn write(&self, entry: &Entry) -> Result<(), Error> {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.dir)
            .map_err(|e| Error::io("mkdir", &self.dir, e))?;
        let path = self.path(&entry.attachment.id);
        let draft = self.dir.join(format!(".{}.tmp", entry.attachment.id));
        let bytes =
            serde_json::to_vec(entry).map_err(|e| Error::io("write", &draft, std::io::Error::from(e)))?;
        let written = write_durably(&draft, &bytes, &path, &self.dir);
        if written.is_err() {
            let _ = std::fs::remove_file(&draft);
        }
        written
    }

    /// The entry of sandbox `id`, if there is one.
    pub(crate) fn read(&self, id: &str) -> Result<Option<Entry>, Error> {
        let path = self.path(id);
        match std::fs::read(&path) {
            Ok(bytes) => {
                let entry = serde_json::from_slice(&bytes);
                entry.map(Some).map_err(|e| Error::io("read", &path, std::io::Error::from(e)))
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io("open", &path, e)),
        }
    }

    /// Forgets sandbox `id`.
    pub(crate) fn remove(&self, id: &str) -> Result<(), Error> {
        let path = self.path(id);
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io("unlink", &path, e)),
            _ => Ok(()),
        }
    }

    /// The ids of all entries, in order.
    pub(crate) fn ids(&self) -> Result<Vec<String>, Error> {
        let entries = match std::fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(Error::io("open", &self.dir, e)),
        };
        let mut ids = Vec::new();
        for entry in entries {
            let name = entry.map_err(|e| Error::io("getdents64", &self.dir, e))?.file_name();
            if let Some(id) = name.to_str().and_then(|n| n.strip_suffix(".json")) {
                ids.push(id.to_owned());
            }
        }
        ids.sort();
        Ok(ids)
    }

    fn path(&self, id: &str) -> PathBuf {
        self.dir.join(format!("{id}.json"))
    }
}

fn write_durably(draft: &Path, bytes: &[u8], path: &Path, dir: &Path) -> Result<(), Error> {
    // The list may hold credentials of a plugin: for the owner's eyes.
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(draft);
    let mut file = file.map_err(|e| Error::io("open", draft, e))?;
    file.write_all(bytes).map_err(|e| Error::io("write", draft, e))?;
    file.sync_all().map_err(|e| Error::io("fsync", draft, e))?;
    std::fs::rename(draft, path).map_err(|e| Error::io("rename", path, e))?;
    File::open(dir).and_then(|d| d.sync_all()).map_err(|e| Error::io("fsync", dir, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_found_again_and_drafts_are_not_entries() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::new(dir.path().join("made/on/demand"));
        assert_eq!((cache.ids().unwrap(), cache.read("a").unwrap()), (vec![], None));
        let entry = Entry {
            attachment: Attachment::new("a", "/ns").kubernetes("n", "p", "u"),
            list: serde_json::json!({"name": "net"}),
            version: "1.0.0".into(),
            result: None,
        };
        cache.write(&entry).unwrap();
        std::fs::write(dir.path().join("made/on/demand/.b.tmp"), "half").unwrap();
        assert_eq!(cache.ids().unwrap(), ["a"]);
        assert_eq!(cache.read("a").unwrap().as_ref(), Some(&entry));
        cache.remove("a").unwrap();
        cache.remove("a").unwrap();
        assert_eq!(cache.ids().unwrap(), Vec::<String>::new());
    }
}
