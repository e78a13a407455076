//! Flags that `checkpoint` and `restore` share, and the directories that they name.

use super::rpc::CgroupsMode;
use crate::process::failure::{Result, Step as _};
use anyhow::{Context as _, bail};
use rustix::fs::{Mode, OFlags};
use std::{
    os::{
        fd::{AsRawFd, OwnedFd, RawFd},
        unix::fs::DirBuilderExt as _,
    },
    path::{Path, PathBuf},
};

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Flags of both commands.
#[derive(clap::Args, Debug)]
pub struct Flags {
    /// Directory of the image files (default: checkpoint, in the current directory)
    #[arg(long, value_name = "DIR")]
    pub image_path: Option<PathBuf>,
    /// Directory for criu's log and work files (default: that of the images)
    #[arg(long, value_name = "DIR")]
    pub work_path: Option<PathBuf>,
    /// Allow open TCP connections
    #[arg(long)]
    pub tcp_established: bool,
    /// Allow open TCP connections, which are closed on restore (criu 3.13)
    #[arg(long)]
    pub tcp_close: bool,
    /// Allow external unix sockets
    #[arg(long)]
    pub ext_unix_sk: bool,
    /// Allow a terminal and a session that are not the container's
    #[arg(long)]
    pub shell_job: bool,
    /// Move memory pages lazily (not implemented)
    #[arg(long)]
    pub lazy_pages: bool,
    /// Handle file locks
    #[arg(long)]
    pub file_locks: bool,
    /// What criu does with cgroups
    #[arg(long, value_name = "MODE", default_value = "soft")]
    pub manage_cgroups_mode: CgroupsMode,
    /// Make this namespace without its properties; network alone can be had so
    #[arg(long, value_name = "NAMESPACE")]
    pub empty_ns: Vec<String>,
    /// Deduplicate memory images
    #[arg(long)]
    pub auto_dedup: bool,
}

/// Directories of one call, open.
#[derive(Debug)]
pub struct Dirs {
    /// Absolute path of the images.
    pub images: PathBuf,
    /// The images.
    pub images_fd: OwnedFd,
    /// Work files and logs, where they are elsewhere; both [`Dirs::logs`].
    pub work_fd: Option<OwnedFd>,
    /// Absolute path of the logs.
    pub logs: PathBuf,
}

impl Dirs {
    /// Numbers of the descriptors.
    pub fn numbers(&self) -> Vec<RawFd> {
        [Some(&self.images_fd), self.work_fd.as_ref()].into_iter().flatten().map(AsRawFd::as_raw_fd).collect()
    }

    /// Opens the directories again under the same numbers, in a child that has a mount namespace of its own by now: criu
    /// mounts in its working directory, which must be on a mount of that namespace.
    pub fn open_again(&mut self) -> Result<()> {
        let again = |path: &Path, fd: &mut OwnedFd| {
            rustix::fs::open(path, DIRECTORY, Mode::empty())
                .and_then(|new| rustix::io::dup2(new, fd))
                .step(|| format!("open {}", path.display()))
        };
        again(&self.images, &mut self.images_fd)?;
        self.work_fd.as_mut().map_or(Ok(()), |fd| again(&self.logs, fd))
    }
}

impl Flags {
    /// Opens the directories. That of images is made where `make` says so, that of work files always.
    pub fn dirs(&self, make: bool) -> anyhow::Result<Dirs> {
        let path = self.image_path.as_deref().unwrap_or(Path::new("checkpoint"));
        let (images, images_fd) = open("--image-path", path, make)?;
        let (logs, work_fd) = match &self.work_path {
            Some(path) => open("--work-path", path, true).map(|(path, fd)| (path, Some(fd)))?,
            None => (images.clone(), None),
        };
        Ok(Dirs { images, images_fd, work_fd, logs })
    }

    /// Refuses what is runc's and not done here: pages that criu serves later did not arrive when this was tried.
    pub fn check(&self) -> anyhow::Result<()> {
        if self.lazy_pages {
            bail!("--lazy-pages is not implemented: checkpoint without it, or in steps with --pre-dump");
        }
        Ok(())
    }

    /// Whether the network namespace is to stay empty.
    pub fn empty_network(&self) -> anyhow::Result<bool> {
        match self.empty_ns.iter().find(|kind| *kind != "network") {
            Some(kind) => {
                bail!("--empty-ns {kind:?}: criu can leave the network namespace empty, and no other")
            }
            None => Ok(!self.empty_ns.is_empty()),
        }
    }
}

fn open(flag: &str, path: &Path, make: bool) -> anyhow::Result<(PathBuf, OwnedFd)> {
    let name = || format!("{flag} {}", path.display());
    if make {
        // Memory of the container's processes: nobody else's to read.
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).with_context(name)?;
    }
    let path = path.canonicalize().with_context(name)?;
    let fd = rustix::fs::open(&path, DIRECTORY, Mode::empty()).with_context(name)?;
    Ok((path, fd))
}

/// `--parent-path`, which is relative to the directory of images.
pub fn parent(images: &Path, parent: &Path) -> anyhow::Result<String> {
    let name = || format!("--parent-path {}", parent.display());
    if parent.is_absolute() {
        bail!("{}: must be relative to --image-path", name());
    }
    let found = images.join(parent);
    let stat = std::fs::metadata(&found).with_context(|| format!("{} ({})", name(), found.display()))?;
    if !stat.is_dir() {
        bail!("{} ({}): is not a directory", name(), found.display());
    }
    parent.to_str().map(str::to_owned).with_context(|| format!("{}: is not UTF-8", name()))
}

/// `--page-server`: an address and a port, an IPv6 address in brackets.
pub fn page_server(value: &str) -> anyhow::Result<(String, u16)> {
    let name = || format!("--page-server {value:?} is not ADDRESS:PORT");
    let (address, port) = value.rsplit_once(':').with_context(name)?;
    let address = address.trim_start_matches('[').trim_end_matches(']');
    match port.parse() {
        Ok(port) if port > 0 && !address.is_empty() => Ok((address.to_owned(), port)),
        _ => bail!(name()),
    }
}

#[cfg(test)]
mod tests {
    use super::{page_server, parent};
    use std::path::Path;

    #[test]
    fn addresses_of_page_servers() {
        assert_eq!(page_server("127.0.0.1:27277").unwrap(), ("127.0.0.1".into(), 27277));
        assert_eq!(page_server("[::1]:80").unwrap(), ("::1".into(), 80));
        for value in ["", "host", ":80", "host:0", "host:70000", "host:x"] {
            assert!(page_server(value).unwrap_err().to_string().contains("ADDRESS:PORT"), "{value}");
        }
    }

    #[test]
    fn a_parent_is_relative_and_there() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("first")).unwrap();
        std::fs::create_dir(dir.path().join("second")).unwrap();
        assert_eq!(parent(&dir.path().join("second"), Path::new("../first")).unwrap(), "../first");
        for wrong in ["/first", "../third"] {
            let error = parent(&dir.path().join("second"), Path::new(wrong)).unwrap_err().to_string();
            assert!(error.starts_with("--parent-path"), "{error}");
        }
    }
}
