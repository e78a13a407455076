//! Freeze, kill, list and remove: what every cgroup2 can do, whatever its controllers.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use crate::{Cgroup, Error, GroupEvents, Hierarchy, Result, path, read};

/// How long freezing and removing may take before it is an error. Processes in uninterruptible sleep are the cause.
const PATIENCE: Duration = Duration::from_secs(10);

const SIGKILL: i32 = 9;

impl Cgroup {
    /// Stops all processes of the group and its descendants, and waits until they have stopped.
    ///
    /// If they do not stop in ten seconds they are let go again, so that no half-frozen container is left.
    pub fn freeze(&self) -> Result<()> {
        self.write_freeze("1")?;
        let stopped = self.wait_events("frozen", |events| events.frozen);
        if stopped.is_err() {
            self.write_freeze("0")?;
        }
        stopped
    }

    /// Lets the processes run again.
    pub fn thaw(&self) -> Result<()> {
        self.write_freeze("0")
    }

    /// Whether the group was frozen by [`Self::freeze`]; false if it is gone.
    pub fn is_frozen(&self) -> Result<bool> {
        Ok(read::optional(&self.path().join("cgroup.freeze"))?.is_some_and(|text| text.trim() == "1"))
    }

    fn write_freeze(&self, value: &str) -> Result<()> {
        let path = self.path().join("cgroup.freeze");
        read::write(&path, value).map_err(|errno| Error::call("write", &path, errno))
    }

    /// Waits for a state of `cgroup.events`; the kernel wakes pollers at each change. A vanished group is an error.
    fn wait_events(&self, wanted: &'static str, reached: impl Fn(&GroupEvents) -> bool) -> Result<()> {
        let path = self.path().join("cgroup.events");
        let file = fs::File::open(&path).map_err(|errno| Error::call("open", &path, errno))?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            // Read before the poll: only a change after this read wakes it.
            let text = read_again(&file).map_err(|errno| Error::call("read", &path, errno))?;
            if reached(&GroupEvents::parse(&text)) {
                return Ok(());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(self.timeout(wanted));
            }
            // Woken now and then all the same, in case a notification is merged away.
            let nap = left.min(Duration::from_millis(200));
            let nap = rustix::event::Timespec { tv_sec: 0, tv_nsec: i64::from(nap.subsec_nanos()) };
            match poll(&mut [PollFd::new(&file, PollFlags::PRI)], Some(&nap)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(Error::call("poll", &path, errno)),
            }
        }
    }

    fn timeout(&self, wanted: &'static str) -> Error {
        let pids = self.pids().unwrap_or_default();
        let detail = match pids.as_slice() {
            [] => String::new(),
            [one] => format!(": pid {one} is still in it"),
            [first, ..] => format!(": {} processes are still in it (first: pid {first})", pids.len()),
        };
        Error::Timeout { path: self.path().to_path_buf(), wanted, seconds: PATIENCE.as_secs(), detail }
    }

    /// The processes of the group and all its descendants, each once, in order. Empty if the group is gone.
    pub fn pids(&self) -> Result<Vec<u32>> {
        let mut found = BTreeSet::new();
        for dir in tree(self.path())? {
            found.extend(read::procs(&dir)?);
        }
        Ok(found.into_iter().collect())
    }

    /// Sends SIGKILL to every process of the group and its descendants, also to those being forked right now. Frozen
    /// processes die, too. Nothing is waited for. A group that is gone has no process to kill: no error.
    pub fn kill_all(&self) -> Result<()> {
        let path = self.path().join("cgroup.kill");
        match read::write(&path, "1") {
            Ok(()) => Ok(()),
            Err(errno) if read::is_gone(&errno) && !self.exists() => Ok(()),
            // Before Linux 5.14, and in threaded groups.
            Err(errno)
                if read::is_gone(&errno) || errno.raw_os_error() == Some(Errno::OPNOTSUPP.raw_os_error()) =>
            {
                self.kill_one_by_one()
            }
            Err(errno) => Err(Error::call("write", &path, errno)),
        }
    }

    fn kill_one_by_one(&self) -> Result<()> {
        // Each round may miss children forked during it; a killed parent forks no more, so the rounds converge.
        for _ in 0..100 {
            if !self.signal_all(SIGKILL)? {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Err(self.timeout("empty"))
    }

    /// Sends a signal to every process of the group and its descendants; tells whether there was any.
    ///
    /// The group is frozen meanwhile where that works, so that none escapes by forking.
    pub fn signal_all(&self, signal: i32) -> Result<bool> {
        let was_frozen = self.is_frozen()?;
        let frozen_here = !was_frozen && self.freeze().is_ok();
        let sent = self.pids().and_then(|pids| send_each(&pids, signal));
        if frozen_here {
            match self.thaw() {
                Err(_) if !self.exists() => {}
                other => other?,
            }
        }
        sent
    }

    /// Removes the group and its descendants, waiting for dying processes. Gone already is no error.
    ///
    /// Living processes make it fail after ten seconds: nothing is killed here.
    pub fn delete(&self) -> Result<()> {
        let root = Hierarchy::detect()?;
        // A damaged state file must not make husk remove directories elsewhere.
        if self.path() == root.root() || !self.path().starts_with(root.root()) {
            let value = self.path().to_string_lossy().into_owned();
            return Err(Error::Path { value, reason: "is not a group below the mounted cgroup2 hierarchy" });
        }
        let deadline = Instant::now() + PATIENCE;
        let mut nap = Duration::from_micros(200);
        loop {
            match remove_tree(self.path()) {
                Ok(()) => break,
                // A process holds its group until it has gone through exit, and rmdir answers EBUSY until then.
                Err(Error::Call { errno, .. })
                    if errno.raw_os_error() == Some(Errno::BUSY.raw_os_error()) => {}
                Err(err) => return Err(err),
            }
            if Instant::now() >= deadline {
                return Err(self.timeout("empty"));
            }
            std::thread::sleep(nap);
            nap = (nap * 2).min(Duration::from_millis(50));
        }
        self.remove_default_parent();
        Ok(())
    }

    /// The common parent of containers without a path of their own goes with the last of them.
    fn remove_default_parent(&self) {
        let Some(parent) = self.path().parent() else { return };
        let is_default = parent.file_name().is_some_and(|name| name == path::DEFAULT_PARENT);
        if is_default && Hierarchy::detect().is_ok_and(|h| parent != h.root()) {
            // EBUSY while other containers are there: right so.
            let _ = fs::remove_dir(parent);
        }
    }
}

fn send_each(pids: &[u32], signal: i32) -> Result<bool> {
    let mut any = false;
    // A process of a PID namespace that cannot be seen from here is listed as 0.
    for pid in pids.iter().filter(|pid| **pid != 0) {
        match husk_sys::send::to_pid(*pid, signal) {
            Ok(()) => any = true,
            // Dead between the list and the signal.
            Err(errno) if errno.raw_os_error() == Some(Errno::SRCH.raw_os_error()) => {}
            Err(errno) => return Err(Error::call("kill", Path::new(&pid.to_string()), errno)),
        }
    }
    Ok(any)
}

fn read_again(file: &fs::File) -> io::Result<String> {
    use std::os::unix::fs::FileExt as _;
    let mut buffer = [0; 256];
    let len = file.read_at(&mut buffer, 0)?;
    Ok(String::from_utf8_lossy(&buffer[..len]).into_owned())
}

/// The directory and all below it, parents first; empty if it is gone.
fn tree(top: &Path) -> Result<Vec<PathBuf>> {
    if !top.is_dir() {
        return Ok(Vec::new());
    }
    let mut all = vec![top.to_path_buf()];
    let mut next = 0;
    while let Some(dir) = all.get(next).cloned() {
        next += 1;
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(errno) if read::is_gone(&errno) => continue,
            Err(errno) => return Err(Error::call("open", &dir, errno)),
        };
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                Err(errno) if read::is_gone(&errno) => break,
                Err(errno) => return Err(Error::call("getdents64", &dir, errno)),
            };
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                all.push(entry.path());
            }
        }
    }
    Ok(all)
}

fn remove_tree(top: &Path) -> Result<()> {
    // The usual case: no children.
    match fs::remove_dir(top) {
        Ok(()) => return Ok(()),
        Err(errno) if errno.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(_) => {}
    }
    for dir in tree(top)?.iter().rev() {
        match fs::remove_dir(dir) {
            Ok(()) => {}
            Err(errno) if errno.kind() == io::ErrorKind::NotFound => {}
            Err(errno) => return Err(Error::call("rmdir", dir, errno)),
        }
    }
    Ok(())
}
