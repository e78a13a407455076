//! The state directory of a container: made, found, locked, removed.

use super::{State, VERSION, id};
use anyhow::{Context as _, bail};
use rustix::fs::{FlockOperation, Mode, OFlags};
use std::{
    fs,
    io::ErrorKind,
    os::{fd::OwnedFd, unix::fs::DirBuilderExt as _},
    path::{Path, PathBuf},
};

/// What a state directory holds as a rule. The state goes last: whoever is killed before that leaves a container.
const FILES: [&str; 5] = ["config.json", "signals.jsonl", "exit.json", "exec.fifo", "state.json"];

/// State directory of one container.
#[derive(Clone, Debug)]
pub struct Dir {
    path: PathBuf,
}

/// The directory's lock; released when dropped.
#[derive(Debug)]
pub struct Lock {
    fd: OwnedFd,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Explicit, because a child that is just being cloned may still have a copy of the descriptor.
        let _ = rustix::fs::flock(&self.fd, FlockOperation::Unlock);
    }
}

impl Dir {
    /// Makes the directory for a new container, and locks it. Fails when the id is taken.
    pub fn create(root: &Path, id: &str) -> anyhow::Result<(Self, Lock)> {
        id::check(id)?;
        // 0700 (CVE-2024-25621): what is in it concerns the owner alone.
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o711)
            .create(root)
            .map_err(|error| match error.kind() {
                ErrorKind::AlreadyExists => std::io::Error::from(ErrorKind::NotADirectory),
                _ => error,
            })
            .with_context(|| format!("make state directory {}", root.display()))?;
        let root = root.canonicalize().with_context(|| format!("resolve {}", root.display()))?;
        let path = root.join(id);
        match fs::DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                bail!("container {id:?} exists already: choose another id, or delete it first")
            }
            Err(error) => return Err(error).with_context(|| format!("make {}", path.display())),
        }
        let dir = Self { path };
        // It may be the descriptor for the lock that there is none left of; a directory that others have put something in by
        // now is not removed so.
        let lock = dir.lock().inspect_err(|_| drop(fs::remove_dir(&dir.path)))?;
        Ok((dir, lock))
    }

    /// The directory of a container that exists.
    pub fn open(root: &Path, id: &str) -> anyhow::Result<Self> {
        id::check(id)?;
        match Self::find(root, id)? {
            Some(dir) => Ok(dir),
            None => bail!("container {id:?} does not exist (looked in {})", root.display()),
        }
    }

    /// The directory of a container, if it exists.
    pub fn find(root: &Path, id: &str) -> anyhow::Result<Option<Self>> {
        id::check(id)?;
        let path = root.join(id);
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_dir() => match path.canonicalize() {
                Ok(path) => Ok(Some(Self { path })),
                // A delete that runs beside this one was quicker.
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error).with_context(|| format!("resolve {}", path.display())),
            },
            Ok(_) => bail!("{} is not a directory", path.display()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("look at {}", path.display())),
        }
    }

    /// Where the directory is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Waits for the directory's lock. Fails when the container is deleted meanwhile.
    pub fn lock(&self) -> anyhow::Result<Lock> {
        let fail = || format!("lock {}", self.path.display());
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let fd = rustix::fs::open(&self.path, flags, Mode::empty()).with_context(fail)?;
        loop {
            match rustix::fs::flock(&fd, FlockOperation::LockExclusive) {
                Ok(()) => break,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error).with_context(fail),
            }
        }
        let lock = Lock { fd };
        // Who held the lock before may have removed the directory, and another container may have its name now.
        let held = rustix::fs::fstat(&lock.fd).with_context(fail)?;
        match rustix::fs::lstat(&self.path) {
            Ok(there) if there.st_ino == held.st_ino && there.st_dev == held.st_dev => Ok(lock),
            _ => bail!("container {:?} was deleted meanwhile", self.path.file_name().unwrap_or_default()),
        }
    }

    /// Reads `state.json`.
    pub fn load(&self) -> anyhow::Result<State> {
        let path = self.path.join("state.json");
        let text = match fs::read(&path) {
            // `create` has just begun or was killed then, or `delete` is about to be done.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let id = self.path.file_name().unwrap_or_default();
                bail!(
                    "container {id:?} does not exist: it is not created completely (delete --force removes the rest)"
                )
            }
            result => result.with_context(|| format!("read {}", path.display()))?,
        };
        let state: State =
            serde_json::from_slice(&text).with_context(|| format!("parse {}", path.display()))?;
        if state.version > VERSION {
            bail!(
                "{} has version {}, this husk knows {VERSION}: use the husk that made the container",
                path.display(),
                state.version
            );
        }
        Ok(state)
    }

    /// Replaces `state.json`.
    pub fn save(&self, state: &State) -> anyhow::Result<()> {
        let text = serde_json::to_vec(state).context("render state.json")?;
        self.write("state.json", &text)
    }

    /// Replaces a file of the directory as a whole: a reader sees the old content or the new.
    pub fn write(&self, name: &str, content: &[u8]) -> anyhow::Result<()> {
        Ok(husk_exit::replace(&self.path.join(name), content, 0o600, false)?)
    }

    /// Path of the fifo at which init waits for `start`, and by which it tells why the program could not be executed.
    pub fn fifo(&self) -> PathBuf {
        self.path.join("exec.fifo")
    }

    /// Whether init still waits for `start`.
    pub fn has_fifo(&self) -> bool {
        fs::symlink_metadata(self.fifo()).is_ok()
    }

    /// Removes the directory and all that is in it; gone already is fine.
    pub fn remove(&self) -> anyhow::Result<()> {
        // By name first: that takes no descriptor, of which there may be none left.
        for name in FILES {
            let _ = fs::remove_file(self.path.join(name));
        }
        if fs::remove_dir(&self.path).is_ok() {
            return Ok(());
        }
        match fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).with_context(|| format!("remove {}", self.path.display()))
            }
            _ => Ok(()),
        }
    }
}

/// The ids of all containers under the root, sorted.
pub fn list(root: &Path) -> anyhow::Result<Vec<String>> {
    let entries = match fs::read_dir(root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("list {}", root.display())),
    };
    let mut ids: Vec<String> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let name = entry.file_name().into_string().ok()?;
            (entry.file_type().ok()?.is_dir() && id::check(&name).is_ok()).then_some(name)
        })
        .collect();
    ids.sort();
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use super::{Dir, State, list};

    fn root() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn an_id_can_be_taken_once() {
        let root = root();
        let (dir, lock) = Dir::create(root.path(), "a").unwrap();
        drop(lock);
        let error = Dir::create(root.path(), "a").unwrap_err().to_string();
        assert!(error.contains("exists already"), "{error}");
        dir.remove().unwrap();
        dir.remove().unwrap();
        assert!(Dir::open(root.path(), "a").unwrap_err().to_string().contains("does not exist"));
    }

    #[test]
    fn state_survives_and_a_newer_version_is_refused() {
        let root = root();
        let (dir, _lock) = Dir::create(root.path(), "a").unwrap();
        dir.save(&State { version: 1, id: "a".into(), owner: 7, ..State::default() }).unwrap();
        assert_eq!(dir.load().unwrap().owner, 7);
        dir.save(&State { version: 99, ..State::default() }).unwrap();
        assert!(dir.load().unwrap_err().to_string().contains("version 99"));
    }

    #[test]
    fn a_lock_on_a_deleted_container_fails() {
        let root = root();
        let (dir, lock) = Dir::create(root.path(), "a").unwrap();
        let other = dir.clone();
        let waiter = std::thread::spawn(move || other.lock().map(|_| ()));
        // Only once the waiter has opened the old directory does it wait for the old lock.
        let opened = || {
            let fds = std::fs::read_dir("/proc/self/fd").unwrap();
            fds.filter(|fd| std::fs::read_link(fd.as_ref().unwrap().path()).is_ok_and(|to| to == dir.path()))
                .count()
        };
        while opened() < 2 {
            std::thread::yield_now();
        }
        dir.remove().unwrap();
        let (_again, _lock) = Dir::create(root.path(), "a").unwrap();
        drop(lock);
        assert!(waiter.join().unwrap().is_err());
        assert_eq!(list(root.path()).unwrap(), ["a"]);
    }
}
