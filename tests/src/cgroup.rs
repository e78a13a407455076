//! The cgroup v2 tree of the machine or VM that the tests run on.

use std::path::PathBuf;

/// Where cgroup2 is mounted: `/sys/fs/cgroup`, or `/sys/fs/cgroup/unified` beside version 1.
pub fn root() -> PathBuf {
    let unified = PathBuf::from("/sys/fs/cgroup/unified");
    if unified.join("cgroup.controllers").exists() { unified } else { PathBuf::from("/sys/fs/cgroup") }
}

/// Names of the controllers that version 2 has here.
pub fn controllers() -> Vec<String> {
    let text = std::fs::read_to_string(root().join("cgroup.controllers")).unwrap_or_default();
    text.split_whitespace().map(str::to_owned).collect()
}

/// Whether version 2 has the controller here; skips the test where it has not, so that the caller returns:
/// `if !cgroup::needs("memory") { return; }`.
#[must_use]
pub fn needs(controller: &str) -> bool {
    let there = controllers().iter().any(|c| c == controller);
    if !there {
        crate::skip(&format!("cgroup v2 has no {controller} controller here"));
    }
    there
}

/// The group of a process, as a folder.
pub fn of_process(pid: u32) -> PathBuf {
    let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("the cgroup of a process");
    let path = text.lines().find_map(|line| line.strip_prefix("0::")).expect("a line of version 2");
    root().join(path.trim_start_matches('/'))
}

/// A group of the test's own at the top of the tree, removed with everything under it when dropped.
#[derive(Debug)]
pub struct Group {
    /// Path from the tree's root, as `linux.cgroupsPath` has it.
    pub path: String,
}

impl Group {
    /// A name that no other test uses; the group itself is made by whoever uses it first.
    pub fn reserve(prefix: &str) -> Self {
        Self { path: format!("/{}", crate::unique(prefix)) }
    }

    /// The folder.
    pub fn dir(&self) -> PathBuf {
        root().join(self.path.trim_start_matches('/'))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let dir = self.dir();
        if !dir.exists() {
            return;
        }
        let _ = std::fs::write(dir.join("cgroup.kill"), "1");
        for _ in 0..500 {
            remove(&dir);
            if !dir.exists() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}

fn remove(dir: &std::path::Path) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            remove(&entry.path());
        }
    }
    let _ = std::fs::remove_dir(dir);
}
