//! One group: made, found, joined.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::hierarchy::controllers;
use crate::{Error, Hierarchy, Result, read};

/// A directory of the cgroup2 hierarchy. It says nothing about whether the group (still) exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cgroup {
    path: PathBuf,
}

impl Cgroup {
    /// The group at an absolute path, for example from the state file. Nothing is read or made.
    pub fn open(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Makes a container's group and its missing ancestors, and enables in the ancestors every controller that can be
    /// enabled. A group of that name which has processes or is frozen is an error; an idle one is taken over.
    ///
    /// A controller that could not be enabled is not an error here: [`Self::apply`] tells if a limit needs it.
    pub fn create(path: &Path) -> Result<Self> {
        let group = Self::ensure(path)?;
        group.check_unused()?;
        let freeze = path.join("cgroup.freeze");
        if read::optional(&freeze)?.is_some_and(|text| text.trim() == "1") {
            return Err(Error::Frozen { path: path.to_path_buf() });
        }
        let kind = read::optional(&path.join("cgroup.type"))?.unwrap_or_default();
        if kind.trim() == "domain invalid" || kind.trim() == "threaded" {
            // Left in place if it was there before: rmdir of an empty group that husk did not make helps nobody.
            return Err(Error::Type { path: path.to_path_buf(), kind: kind.trim().to_string() });
        }
        Ok(group)
    }

    /// Fails if there is a process in the group or below it. No error where there is no such group.
    pub fn check_unused(&self) -> Result<()> {
        let pids = self.pids()?;
        match pids.first() {
            Some(first) => Err(Error::NotEmpty { path: self.path.clone(), count: pids.len(), first: *first }),
            None => Ok(()),
        }
    }

    /// As [`Self::create`], but the group may have processes and children: for a pod's parent group.
    pub fn ensure(path: &Path) -> Result<Self> {
        let hierarchy = Hierarchy::detect()?;
        let Ok(inner) = path.strip_prefix(hierarchy.root()) else {
            let value = path.to_string_lossy().into_owned();
            return Err(Error::Path { value, reason: "is outside the mounted cgroup2 hierarchy" });
        };
        // Another husk may remove the common parent between our mkdirs, when its last container goes: begin again.
        let mut tries = 0;
        loop {
            match make(hierarchy.root(), inner) {
                Err(err) if err.errno() == Some(Errno::NOENT.raw_os_error()) && tries < 20 => tries += 1,
                Err(err) => return Err(err),
                Ok(()) => return Ok(Self { path: path.to_path_buf() }),
            }
        }
    }

    /// The directory, absolute.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A descriptor of the directory, for `CLONE_INTO_CGROUP` and for attaching BPF programs.
    pub fn dir(&self) -> Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::open(&self.path, flags, Mode::empty())
            .map_err(|errno| Error::call("open", &self.path, errno))
    }

    /// A group below this one. The name must be a relative path without `..`.
    pub fn child(&self, name: &Path) -> Result<Self> {
        use std::path::Component;
        if name.as_os_str().is_empty() || name.components().any(|c| !matches!(c, Component::Normal(_))) {
            let value = name.to_string_lossy().into_owned();
            return Err(Error::Path {
                value,
                reason: "is not the relative path of a group below the container's",
            });
        }
        Ok(Self { path: self.path.join(name) })
    }

    /// Whether the directory exists.
    pub fn exists(&self) -> bool {
        self.path.join("cgroup.procs").exists()
    }

    /// Whether the group is gone, or neither it nor a descendant has a process.
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.events()?.is_none_or(|events| !events.populated))
    }

    /// Moves a process in, with all its threads.
    pub fn add(&self, pid: u32) -> Result<()> {
        let path = self.path.join("cgroup.procs");
        read::write(&path, &pid.to_string()).map_err(|errno| Error::Write {
            field: "process".to_string(),
            value: pid.to_string(),
            hint: self.why_not_joined(&errno),
            path,
            errno,
        })
    }

    fn why_not_joined(&self, errno: &io::Error) -> String {
        match errno.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::BUSY) => {
                ": the group passes controllers on to its children, so it can hold no process".into()
            }
            Some(Errno::OPNOTSUPP) => ": the group is threaded or of an invalid type".into(),
            Some(Errno::ACCESS | Errno::PERM) => {
                ": the caller needs write access to cgroup.procs of this group and of the common ancestor"
                    .into()
            }
            _ => String::new(),
        }
    }

    /// The controllers this group may be limited by.
    pub fn controllers(&self) -> Result<Vec<String>> {
        controllers(&self.path)
    }

    /// Why this group lacks a controller, as the end of a sentence.
    pub(crate) fn why_no_controller(&self, controller: &str) -> String {
        let has = |dir: &Path| controllers(dir).is_ok_and(|list| list.iter().any(|c| c == controller));
        let Ok(hierarchy) = Hierarchy::detect() else { return Error::NoHierarchy.to_string() };
        if !has(hierarchy.root()) {
            return Hierarchy::why_absent(controller);
        }
        // The lowest ancestor that has it is the one that does not pass it on.
        let Some(holder) = self.path.ancestors().skip(1).find(|dir| has(dir)) else {
            return "no ancestor has it".to_string();
        };
        let control = holder.join("cgroup.subtree_control");
        match read::write(&control, &format!("+{controller}")) {
            Ok(()) => format!("{} did not pass it on", holder.display()),
            Err(errno) if errno.raw_os_error() == Some(Errno::BUSY.raw_os_error()) => {
                let pids = read::procs(holder).unwrap_or_default();
                let who = pids.first().map(|pid| format!(" (pid {pid})")).unwrap_or_default();
                format!(
                    "{} has processes of its own{who}, and a cgroup with processes cannot pass controllers on",
                    holder.display()
                )
            }
            Err(errno) => {
                format!("{} does not pass it on, and it cannot be enabled there: {errno}", holder.display())
            }
        }
    }
}

/// Makes each directory from the root down, and enables controllers in each but the last.
fn make(root: &Path, inner: &Path) -> Result<()> {
    let mut dir = root.to_path_buf();
    let mut made = Vec::new();
    let result = (|| {
        for name in inner {
            pass_on(&dir);
            dir.push(name);
            match fs::create_dir(&dir) {
                Ok(()) => made.push(dir.clone()),
                Err(errno) if errno.kind() == io::ErrorKind::AlreadyExists => {}
                Err(errno) => return Err(Error::call("mkdir", &dir, errno)),
            }
        }
        Ok(())
    })();
    if result.is_err() {
        for dir in made.iter().rev() {
            // Best effort: someone else may be in it by now.
            let _ = fs::remove_dir(dir);
        }
    }
    result
}

/// Enables in `cgroup.subtree_control` what is not yet enabled. All that there is: `linux.resources.unified` may name files of
/// controllers that husk knows nothing of, and who runs in the container may pass on no more than it has.
fn pass_on(dir: &Path) {
    let words = |name: &str| read::text(&dir.join(name)).unwrap_or_default();
    let (available, enabled) = (words("cgroup.controllers"), words("cgroup.subtree_control"));
    let missing: Vec<String> = available
        .split_whitespace()
        .filter(|name| !enabled.split_whitespace().any(|e| e == *name))
        .map(|name| format!("+{name}"))
        .collect();
    if missing.is_empty() {
        return;
    }
    let control = dir.join("cgroup.subtree_control");
    // One write is all or nothing: where it fails, each controller for itself. What still fails is no error here, since
    // most containers need no limit of it; `why_no_controller` tells those that do.
    let errno = match read::write(&control, &missing.join(" ")) {
        Ok(()) => return,
        Err(errno) => errno,
    };
    // EBUSY (processes in the group) and EACCES hold for each of them.
    let hopeless = [Errno::BUSY, Errno::ACCESS, Errno::PERM, Errno::ROFS].map(Errno::raw_os_error);
    if errno.raw_os_error().is_some_and(|e| hopeless.contains(&e)) {
        return;
    }
    for one in missing {
        let _ = read::write(&control, &one);
    }
}
