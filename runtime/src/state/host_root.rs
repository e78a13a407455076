//! The root filesystem of a container without a mount namespace: a mount in its creator's, which husk must take away again.

use anyhow::{Context as _, anyhow, bail};
use husk_sys::{
    clone::unshare,
    mount::{Attributes, set_attributes},
    mountinfo,
};
use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags, StatxFlags},
    mount::{MountPropagationFlags, UnmountFlags},
    thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space},
};
use serde::{Deserialize, Serialize};
use std::{
    os::fd::{AsFd as _, OwnedFd},
    path::{Path, PathBuf},
    thread,
};

/// `STATX_MNT_ID_UNIQUE` (Linux 6.8): a number that no other mount gets while the machine is up.
const UNIQUE: StatxFlags = StatxFlags::from_bits_retain(0x4000);

/// Which mount it is. Written down before it is mounted, so that a killed husk leaves nothing that nobody knows of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostRoot {
    /// Where it is mounted.
    path: PathBuf,
    /// The mount's number, which another may get once it has gone.
    id: u64,
    /// The number that no other gets, where the kernel has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    unique: Option<u64>,
    /// The mount namespace that it is in, by its inode.
    #[serde(default)]
    namespace: u64,
}

impl HostRoot {
    /// A detached mount that is going to be mounted at `path`.
    pub fn of(path: &Path, tree: &OwnedFd) -> anyhow::Result<Self> {
        let path = path.canonicalize().with_context(|| format!("root.path {}", path.display()))?;
        if path == Path::new("/") {
            bail!(
                "config.json: root.path: is the host's own root, which a container without a mount namespace in \
                 linux.namespaces would change"
            );
        }
        let (id, unique) = numbers(tree).context("look at the root filesystem: statx")?;
        let namespace = inode(OWN_NAMESPACE).context("stat /proc/thread-self/ns/mnt")?;
        Ok(Self { path, id, unique, namespace })
    }

    /// Takes it away with all that is mounted below it, and nothing else: neither what was there before, nor what others
    /// have mounted on the same place since. Fine if it has gone, also with its mount namespace.
    pub fn remove(&self) -> anyhow::Result<()> {
        if inode(OWN_NAMESPACE) == Some(self.namespace) {
            return self.remove_here();
        }
        let Some(namespace) = self.find_namespace()? else { return Ok(()) };
        let there = || -> anyhow::Result<()> {
            let fail = || format!("enter the mount namespace {} of {}", self.namespace, self.path.display());
            // The rest of husk stays where it is.
            unshare(UnshareFlags::FS).with_context(fail)?;
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Mount))
                .with_context(fail)?;
            self.remove_here()
        };
        thread::scope(|scope| scope.spawn(there).join()).map_err(|_| anyhow!("unmount the root: a panic"))?
    }

    /// The namespace, by any process that is in it. None where there is none: then it has gone, unless someone holds it open
    /// for nobody.
    fn find_namespace(&self) -> anyhow::Result<Option<OwnedFd>> {
        for process in std::fs::read_dir("/proc").context("list /proc")?.flatten() {
            let link = process.path().join("ns/mnt");
            if inode(&link) != Some(self.namespace) {
                continue;
            }
            match rustix::fs::open(&link, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
                // It has ended meanwhile, and another may have its number.
                Ok(found) if rustix::fs::fstat(&found).is_ok_and(|stat| stat.st_ino == self.namespace) => {
                    return Ok(Some(found));
                }
                _ => {}
            }
        }
        Ok(None)
    }

    fn remove_here(&self) -> anyhow::Result<()> {
        let path = self.path.display();
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let Ok(top) = rustix::fs::openat(CWD, &self.path, flags, Mode::empty()) else { return Ok(()) };
        let (id, unique) = numbers(&top).with_context(|| format!("look at {path}: statx"))?;
        if (id, unique) != (self.id, self.unique) {
            if self.is_covered() {
                bail!(
                    "the container's root filesystem at {path} lies under another mount: unmount that first"
                );
            }
            return Ok(());
        }
        // What was bound from the host may be shared with it: the host must not lose its mounts by this.
        let apart =
            Attributes { propagation: MountPropagationFlags::PRIVATE.bits().into(), ..Attributes::default() };
        set_attributes(top.as_fd(), apart, true).with_context(|| format!("make {path} private"))?;
        drop(top);
        let flags = UnmountFlags::DETACH | UnmountFlags::NOFOLLOW;
        rustix::mount::unmount(&self.path, flags).with_context(|| format!("unmount {path}"))
    }

    /// Whether it is mounted still, though not in reach.
    fn is_covered(&self) -> bool {
        let text = std::fs::read("/proc/thread-self/mountinfo").unwrap_or_default();
        mountinfo::parse(&text).any(|mount| mount.id == self.id && mount.point == self.path)
    }
}

/// The namespace of the calling thread.
const OWN_NAMESPACE: &str = "/proc/thread-self/ns/mnt";

fn inode(path: impl rustix::path::Arg) -> Option<u64> {
    rustix::fs::stat(path).ok().map(|stat| stat.st_ino)
}

/// The two numbers of the mount that a handle is on.
fn numbers(fd: &OwnedFd) -> husk_sys::Result<(u64, Option<u64>)> {
    let ask = |what| rustix::fs::statx(fd, "", AtFlags::EMPTY_PATH, what);
    let unique = ask(UNIQUE)?;
    let has = unique.stx_mask & UNIQUE.bits() != 0;
    Ok((ask(StatxFlags::MNT_ID)?.stx_mnt_id, has.then_some(unique.stx_mnt_id)))
}
