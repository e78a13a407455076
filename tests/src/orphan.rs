//! Processes that `exec --detach` leaves behind.

use crate::runtime::Container;
use rustix::process::{Pid, Signal, WaitOptions};
use std::path::Path;

/// Such a process. The kernel ends a container only after its last process was reaped, and the machine's init may not care
/// for orphans (as PID 1 of a container that CI runs in): so the test does.
#[derive(Debug)]
pub struct Orphan(Pid);

impl Orphan {
    /// To be called before the process is made: from then on orphans come to this process.
    #[track_caller]
    pub fn adopt() {
        let own = i32::try_from(std::process::id()).ok().and_then(Pid::from_raw);
        rustix::process::set_child_subreaper(own).expect("PR_SET_CHILD_SUBREAPER");
    }

    /// The process that wrote this pid file.
    #[track_caller]
    pub fn of(pid_file: &Path) -> Self {
        let text = std::fs::read_to_string(pid_file).expect("the pid file");
        Self(text.parse().ok().and_then(Pid::from_raw).expect("a pid"))
    }

    /// `exec --detach` of a program, with further flags.
    #[track_caller]
    pub fn exec(container: &Container<'_>, flags: &[&str], program: &[&str]) -> Self {
        let dir = crate::temp_dir();
        let file = dir.path().join("pid");
        Self::adopt();
        let own = ["--detach", "--pid-file", file.to_str().expect("UTF-8")];
        container.call_with("exec", &[&own, flags].concat(), program).ok();
        Self::of(&file)
    }

    /// Its number on the host.
    pub fn pid(&self) -> u32 {
        self.0.as_raw_nonzero().get().unsigned_abs()
    }
}

impl Drop for Orphan {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = rustix::process::kill_process(self.0, Signal::KILL);
        let _ = rustix::process::waitpid(Some(self.0), WaitOptions::empty());
    }
}
