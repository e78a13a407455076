//! Where cgroup2 is mounted, and where the controllers are that it lacks.

use std::path::{Path, PathBuf};

use husk_sys::mountinfo;
use rustix::fs::statfs;

use crate::{Error, Result, read};

/// `CGROUP2_SUPER_MAGIC` of linux/magic.h.
const CGROUP2_MAGIC: u64 = 0x6367_7270;
/// Pure v2 hosts and private views have cgroup2 at the first, hybrid hosts (systemd's convention) at the second.
const USUAL: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];

/// The cgroup2 hierarchy as this mount namespace sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    root: PathBuf,
}

impl Hierarchy {
    /// Finds the mounted hierarchy.
    ///
    /// The usual places are asked with statfs first, because reading /proc/self/mountinfo takes milliseconds on a
    /// host with thousands of mounts.
    pub fn detect() -> Result<Self> {
        if let Some(root) = USUAL.iter().map(Path::new).find(|path| is_cgroup2(path)) {
            return Ok(Self { root: root.to_path_buf() });
        }
        let file = Path::new("/proc/self/mountinfo");
        let text = std::fs::read(file).map_err(|errno| Error::call("read", file, errno))?;
        let found = Mounts::parse(&text).v2.into_iter().find(|path| is_cgroup2(path));
        found.map(|root| Self { root }).ok_or(Error::NoHierarchy)
    }

    /// The mount point.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The directory of a group, from its path as /proc/PID/cgroup has it.
    pub fn group(&self, path: &str) -> PathBuf {
        self.root().join(path.trim_start_matches('/'))
    }

    /// The controllers that the hierarchy has at its root.
    pub fn controllers(&self) -> Result<Vec<String>> {
        controllers(&self.root)
    }

    /// Whether controllers are bound to cgroup v1 on this host.
    pub fn is_hybrid(&self) -> bool {
        !v1_controllers().is_empty()
    }

    /// Why the root has no such controller, as the end of a sentence.
    pub(crate) fn why_absent(controller: &str) -> String {
        // The io controller is called blkio on v1.
        let v1_name = if controller == "io" { "blkio" } else { controller };
        if !v1_controllers().iter().any(|name| name == v1_name) {
            return match read::text(Path::new("/proc/cgroups")) {
                Ok(table) if table.lines().any(|l| l.split_whitespace().next() == Some(v1_name)) => {
                    "the kernel has it, but it was disabled at boot or is not available to this group"
                        .to_string()
                }
                _ => "the kernel has no such controller".to_string(),
            };
        }
        let mounts = Mounts::parse(&std::fs::read("/proc/self/mountinfo").unwrap_or_default());
        match mounts.v1.iter().find(|(names, _)| names.iter().any(|name| name == v1_name)) {
            Some((_, path)) => {
                format!(
                    "on this hybrid host it is bound to cgroup v1 at {}, which husk does not use",
                    path.display()
                )
            }
            None => "on this hybrid host it is bound to cgroup v1, which husk does not use".to_string(),
        }
    }
}

fn is_cgroup2(path: &Path) -> bool {
    // The field's type differs between architectures.
    statfs(path).is_ok_and(|fs| fs.f_type as u64 & 0xffff_ffff == CGROUP2_MAGIC)
}

/// Contents of a group's `cgroup.controllers`: what it may limit.
pub(crate) fn controllers(dir: &Path) -> Result<Vec<String>> {
    let path = dir.join("cgroup.controllers");
    let text = read::text(&path).map_err(|errno| Error::call("read", &path, errno))?;
    Ok(text.split_whitespace().map(str::to_string).collect())
}

/// The controllers bound to a v1 hierarchy: those with a hierarchy number in /proc/cgroups.
fn v1_controllers() -> Vec<String> {
    let table = read::text(Path::new("/proc/cgroups")).unwrap_or_default();
    v1_bound(&table)
}

fn v1_bound(table: &str) -> Vec<String> {
    let rows = table.lines().filter(|line| !line.starts_with('#'));
    rows.filter_map(|line| {
        let mut columns = line.split_whitespace();
        let name = columns.next()?;
        (columns.next()? != "0").then(|| name.to_string())
    })
    .collect()
}

/// The cgroup mounts of a mountinfo text.
#[derive(Debug, Default, PartialEq, Eq)]
struct Mounts {
    v2: Vec<PathBuf>,
    /// Controllers and mount point of each v1 mount.
    v1: Vec<(Vec<String>, PathBuf)>,
}

impl Mounts {
    fn parse(text: &[u8]) -> Self {
        let mut mounts = Self::default();
        for mount in mountinfo::parse(text) {
            match mount.kind.as_str() {
                "cgroup2" => mounts.v2.push(mount.point),
                "cgroup" => {
                    mounts.v1.push((mount.options.split(',').map(str::to_string).collect(), mount.point));
                }
                _ => {}
            }
        }
        mounts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_of_a_hybrid_host() {
        let text = b"25 1 0:22 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
            26 25 0:23 / /sys/fs/cgroup/cpu rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct\n\
            27 25 0:24 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n\
            28 25 0:25 / /mnt/a\\040b rw - cgroup2 none rw\n\
            broken line\n";
        let mounts = Mounts::parse(text);
        assert_eq!(mounts.v2, [PathBuf::from("/sys/fs/cgroup/unified"), PathBuf::from("/mnt/a b")]);
        assert_eq!(mounts.v1.len(), 1);
        assert_eq!(mounts.v1[0].1, Path::new("/sys/fs/cgroup/cpu"));
        assert!(mounts.v1[0].0.iter().any(|name| name == "cpuacct"));
    }

    #[test]
    fn bound_controllers_have_a_hierarchy_number() {
        let table = "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpuset\t3\t1\t1\nhugetlb\t0\t1\t1\n";
        assert_eq!(v1_bound(table), ["cpuset"]);
    }
}
