//! Records of containers that were deleted, so that they can still be explained. The newest few hundred are kept.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// How many records are kept at least.
const KEEP: usize = 256;
/// By how many more than [`KEEP`] there may be before the oldest are removed: looking for them costs a stat of each.
const SLACK: usize = 64;

/// Longest id whose record is named after it as it is: with its ending it has to be a file name (255 bytes).
const NAME: usize = 250;

/// The directory of kept records under a root of state directories.
#[derive(Clone, Debug)]
pub struct Kept {
    dir: PathBuf,
}

impl Kept {
    /// That of the state root `root`. Nothing is made yet.
    pub fn new(root: &Path) -> Kept {
        // No container can have this name: `@` is not allowed in ids.
        Kept { dir: root.join("@exits") }
    }

    /// Whether there is one.
    pub fn exists(&self) -> bool {
        self.dir.is_dir()
    }

    /// Path of the record of container `id`, whether it is there or not.
    pub fn path(&self, id: &str) -> PathBuf {
        if id.len() <= NAME {
            return self.dir.join(format!("{id}.json"));
        }
        // FNV-1a, 64 bits: ids that long differ, if at all, anywhere.
        let hash = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let begin: String = id.chars().take(NAME - 20).collect();
        self.dir.join(format!("{begin}@{hash:016x}.json"))
    }

    /// The ids of all containers whose records are here.
    pub fn ids(&self) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(&self.dir) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let id = |entry: io::Result<fs::DirEntry>| {
            let entry = entry.ok()?;
            let name = entry.file_name().into_string().ok()?;
            match name.strip_suffix(".json")? {
                // The name of a long id is cut: its record has the whole of it.
                cut if cut.contains('@') => match crate::read(&entry.path()) {
                    Ok(crate::Found::Record(record)) => Some(record.id),
                    _ => None,
                },
                id => Some(id.to_string()),
            }
        };
        Ok(entries.filter_map(id).collect())
    }

    /// Moves the record at `record` here. One that is not there is no error: then nothing was recorded.
    pub fn keep(&self, id: &str, record: &Path) -> io::Result<()> {
        let target = self.path(id);
        match fs::rename(record, &target) {
            Err(e) if e.kind() == io::ErrorKind::NotFound && record.exists() => {
                fs::DirBuilder::new().mode(0o700).recursive(true).create(&self.dir)?;
                fs::rename(record, &target)?;
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            result => result?,
        }
        self.trim()
    }

    /// Forgets container `id`: a new one of that name was made.
    pub fn forget(&self, id: &str) {
        let _ = fs::remove_file(self.path(id));
    }

    fn trim(&self) -> io::Result<()> {
        let entries: Vec<PathBuf> = fs::read_dir(&self.dir)?.filter_map(|e| Some(e.ok()?.path())).collect();
        if entries.len() <= KEEP + SLACK {
            return Ok(());
        }
        let age =
            |path: &PathBuf| fs::metadata(path).and_then(|m| m.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
        let mut by_age: Vec<(SystemTime, PathBuf)> =
            entries.into_iter().map(|path| (age(&path), path)).collect();
        by_age.sort();
        for (_, path) in by_age.iter().take(by_age.len() - KEEP) {
            // Another delete may be trimming too.
            let _ = fs::remove_file(path);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ExitRecord, Found, read, write};

    #[test]
    fn kept_and_found_again() {
        let root = tempfile::tempdir().unwrap();
        let kept = Kept::new(root.path());
        let record = root.path().join("exit.json");
        kept.keep("c", &record).unwrap();
        assert_eq!(read(&kept.path("c")).unwrap(), Found::Nothing);
        write(&record, &ExitRecord::new("c")).unwrap();
        kept.keep("c", &record).unwrap();
        assert_eq!(read(&kept.path("c")).unwrap(), Found::Record(ExitRecord::new("c")));
        assert!(!record.exists());
        kept.forget("c");
        assert_eq!(read(&kept.path("c")).unwrap(), Found::Nothing);
    }

    #[test]
    fn the_oldest_go() {
        let root = tempfile::tempdir().unwrap();
        let kept = Kept::new(root.path());
        let record = root.path().join("exit.json");
        for i in 0..=KEEP + SLACK {
            fs::write(&record, "x").unwrap();
            let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1000 + i as u64);
            fs::File::options().write(true).open(&record).unwrap().set_modified(time).unwrap();
            kept.keep(&i.to_string(), &record).unwrap();
        }
        assert_eq!(fs::read_dir(root.path().join("@exits")).unwrap().count(), KEEP);
        assert!(!kept.path("0").exists());
        assert!(kept.path(&(KEEP + SLACK).to_string()).exists());
    }
}
