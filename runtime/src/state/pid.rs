//! A process named so that a reused pid is not taken for it: pid and start time. And pid files, which lack that.

use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags},
    process::{Pid, PidfdFlags},
};
use serde::{Deserialize, Serialize};
use std::{
    os::fd::{AsRawFd as _, OwnedFd},
    path::Path,
};

/// Pid and start time of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// Process id in the namespace in which husk runs.
    pub pid: i32,
    /// Start time in clock ticks since boot (proc_pid_stat(5), field 22).
    pub start: u64,
}

/// A clock tick in the kernel's files: USER_HZ is 100 on all machines that husk runs on.
const TICK_NS: u64 = 10_000_000;

/// Where a process stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It is there.
    Alive,
    /// It has ended; its parent has not fetched its status.
    Zombie,
    /// It is gone, or the pid belongs to another process now.
    Gone,
}

impl Identity {
    /// The process with this pid as it is now; nothing when there is none.
    pub fn of(pid: i32) -> Option<Self> {
        Some(Self { pid, start: read_stat(pid)?.1 })
    }

    /// This process.
    pub fn own() -> Option<Self> {
        Self::of(i32::try_from(std::process::id()).ok()?)
    }

    /// Where the process stands.
    pub fn life(&self) -> Life {
        match read_stat(self.pid) {
            Some((_, start)) if start != self.start => Life::Gone,
            Some((b'Z' | b'X', _)) => Life::Zombie,
            Some(_) => Life::Alive,
            None => Life::Gone,
        }
    }

    /// When the process was made, in nanoseconds since the epoch.
    pub fn started_ns(&self) -> u64 {
        let boot = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let since_boot =
            (boot.tv_sec as u64).saturating_mul(1_000_000_000).saturating_add(boot.tv_nsec as u64);
        let age = since_boot.saturating_sub(self.start.saturating_mul(TICK_NS));
        crate::clock::now_ns().saturating_sub(age)
    }

    /// The wait status of a zombie, which its parent alone may fetch but who may trace it can see.
    pub fn zombie_status(&self) -> Option<i32> {
        // Whoever may not trace it is shown a 0, which would read as success. The link asks for the same right.
        std::fs::read_link(format!("/proc/{}/ns/user", self.pid)).ok()?;
        let stat = std::fs::read(format!("/proc/{}/stat", self.pid)).ok()?;
        match parse_stat(&stat)? {
            // Field 52, the last one (proc_pid_stat(5)).
            (b'Z', start) if start == self.start => {
                std::str::from_utf8(&stat).ok()?.trim_end().rsplit(' ').next()?.parse().ok()
            }
            _ => None,
        }
    }

    /// A descriptor of the process, which can't come to mean another one; nothing when it is gone.
    pub fn open(&self) -> Option<OwnedFd> {
        let fd = rustix::process::pidfd_open(Pid::from_raw(self.pid)?, PidfdFlags::empty()).ok()?;
        // Asked after the descriptor is there: if the start time is right now, it was right then.
        (self.life() != Life::Gone).then_some(fd)
    }
}

/// State letter and start time from `/proc/PID/stat`.
fn read_stat(pid: i32) -> Option<(u8, u64)> {
    if pid <= 0 {
        return None;
    }
    parse_stat(&std::fs::read(format!("/proc/{pid}/stat")).ok()?)
}

fn parse_stat(stat: &[u8]) -> Option<(u8, u64)> {
    // The name in field 2 may hold anything, `)` and spaces too: fields are counted after its last `)`.
    let end = stat.iter().rposition(|&byte| byte == b')')?;
    let rest = std::str::from_utf8(stat.get(end + 2..)?).ok()?;
    let mut fields = rest.split(' ');
    let state = *fields.next()?.as_bytes().first()?;
    Some((state, fields.nth(18)?.parse().ok()?))
}

/// Writes a pid file as a whole. Where there is none yet the file gets its name last, so that a husk that is killed leaves
/// nothing beside it; one that is there is replaced by rename.
pub fn write(path: &Path, pid: i32) -> Result<(), husk_exit::Error> {
    let text = pid.to_string();
    // A file that is there, and file systems that know no files without a name.
    link_new(path, text.as_bytes()).or_else(|_| husk_exit::replace(path, text.as_bytes(), 0o644, false))
}

fn link_new(path: &Path, text: &[u8]) -> rustix::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let flags = OFlags::WRONLY | OFlags::TMPFILE | OFlags::CLOEXEC;
    let file = rustix::fs::open(folder, flags, Mode::from_raw_mode(0o644))?;
    if rustix::io::write(&file, text)? != text.len() {
        return Err(rustix::io::Errno::NOSPC);
    }
    let unnamed = format!("/proc/self/fd/{}", file.as_raw_fd());
    rustix::fs::linkat(CWD, unnamed, CWD, path, AtFlags::SYMLINK_FOLLOW)
}

#[cfg(test)]
mod tests {
    use super::{Identity, Life, parse_stat};

    #[test]
    fn a_name_with_parentheses_does_not_confuse() {
        let line = b"42 (a) Z (x) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 98765 20 21\n";
        assert_eq!(parse_stat(line), Some((b'S', 98765)));
        assert_eq!(parse_stat(b""), None);
        assert_eq!(parse_stat(b"42 (a"), None);
    }

    #[test]
    fn a_pid_file_is_new_or_replaced_and_a_link_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (file, other) = (dir.path().join("pid"), dir.path().join("other"));
        let read = |path| std::fs::read_to_string(path).unwrap();
        super::link_new(&file, b"1").unwrap();
        assert_eq!(read(&file), "1");
        super::write(&file, 23).unwrap();
        assert_eq!(read(&file), "23");
        std::fs::write(&other, "theirs").unwrap();
        std::fs::remove_file(&file).unwrap();
        std::os::unix::fs::symlink(&other, &file).unwrap();
        super::write(&file, 4).unwrap();
        assert_eq!((read(&file), read(&other)), ("4".to_owned(), "theirs".to_owned()));
        assert!(!file.is_symlink());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2, "nothing else is left");
    }

    #[test]
    fn a_zombie_tells_its_status() {
        let mut child = std::process::Command::new("sh")
            .args(["-c", "read x; exit 3"])
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let identity = Identity::of(i32::try_from(child.id()).unwrap()).unwrap();
        assert_eq!(identity.zombie_status(), None, "it runs");
        let age = crate::clock::now_ns().saturating_sub(identity.started_ns());
        assert!(age < 600_000_000_000, "{age} ns");
        drop(child.stdin.take());
        while identity.life() != Life::Zombie {
            std::thread::yield_now();
        }
        assert_eq!(identity.zombie_status(), Some(3 << 8));
        child.wait().unwrap();
        assert_eq!(identity.zombie_status(), None, "it is gone");
    }

    #[test]
    fn a_pid_with_another_start_time_is_gone() {
        let me = Identity::own().unwrap();
        assert_eq!(me.life(), Life::Alive);
        assert!(me.open().is_some());
        let other = Identity { start: me.start + 1, ..me };
        assert_eq!(other.life(), Life::Gone);
        assert!(other.open().is_none());
    }
}
