//! The owner of a group that its container may divide further (config-linux.md, "Cgroup ownership").

use crate::{Cgroup, Error, Result, read};
use rustix::fs::{AtFlags, CWD, Uid, chownat};
use std::path::Path;

/// Where the kernel lists the files of a group that may be given away (cgroups(7)).
const LIST: &str = "/sys/kernel/cgroup/delegate";

/// Those of every kernel.
const FILES: &str = "cgroup.procs\ncgroup.subtree_control\ncgroup.threads";

impl Cgroup {
    /// Gives a user the directory and those of its files with which groups are made and processes moved. The limits stay
    /// whose they are, so the user can't raise them.
    pub fn give(&self, uid: u32) -> Result<()> {
        let list = read::optional(Path::new(LIST))?.unwrap_or_else(|| FILES.to_owned());
        chown(self.path(), uid)?;
        for name in list.split_whitespace() {
            match chown(&self.path().join(name), uid) {
                // Not every group has every file.
                Err(Error::Call { errno, .. }) if read::is_gone(&errno) => {}
                result => result?,
            }
        }
        Ok(())
    }
}

fn chown(path: &Path, uid: u32) -> Result<()> {
    chownat(CWD, path, Some(Uid::from_raw(uid)), None, AtFlags::SYMLINK_NOFOLLOW)
        .map_err(|errno| Error::call("chown", path, errno))
}
