//! `husk exec` against the real kernel.

mod flags;
mod secrets;
mod status;

use husk_tests::{Bundle, Container, Runtime};
use rustix::process::{Pid, Signal, WaitOptions};
use std::path::Path;

/// A container that does nothing, for a process to join.
fn idle(runtime: &Runtime) -> Container<'_> {
    idle_with(runtime, |_| {})
}

fn idle_with(runtime: &Runtime, change: impl FnOnce(&mut Bundle)) -> Container<'_> {
    let mut bundle = Bundle::new(&["sleep", "100000"]);
    change(&mut bundle);
    runtime.start_owned(bundle)
}

/// A process that `exec --detach` has left behind. The kernel ends a container only after its last process was reaped, and
/// the machine's init may not care for orphans (as PID 1 of a container that CI runs in): so the test does.
struct Orphan(Pid);

impl Orphan {
    /// To be called before the process is made: from then on orphans come to this process.
    fn adopt() {
        let own = i32::try_from(std::process::id()).ok().and_then(Pid::from_raw);
        rustix::process::set_child_subreaper(own).unwrap();
    }

    /// The process that wrote this pid file.
    fn of(pid_file: &Path) -> Self {
        Self(Pid::from_raw(std::fs::read_to_string(pid_file).unwrap().parse().unwrap()).unwrap())
    }
}

impl Drop for Orphan {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = rustix::process::kill_process(self.0, Signal::KILL);
        let _ = rustix::process::waitpid(Some(self.0), WaitOptions::empty());
    }
}
