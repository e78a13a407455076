//! The machine's systemd, and a runtime that uses it.

pub use husk_tests::has_systemd;
use husk_tests::{Bundle, Container, Done, Runtime, run};
use std::path::{Path, PathBuf};
use std::process::Command;

/// husk with `--systemd-cgroup`.
pub struct Systemd {
    /// Without the flag, which commands after `create` don't need.
    pub runtime: Runtime,
}

impl Systemd {
    pub fn new() -> Self {
        Self { runtime: Runtime::husk() }
    }

    /// The command line up to the command.
    pub fn command(&self) -> Command {
        let mut command = self.runtime.command();
        command.arg("--systemd-cgroup");
        command
    }

    /// `run --detach`, however it ends.
    #[track_caller]
    pub fn try_start<'a>(&'a self, bundle: &'a Bundle, id: &str) -> (Container<'a>, Done) {
        bundle.write();
        let container = Container::named(&self.runtime, id);
        let done = run(self.command().args(["run", "--detach", "--bundle"]).arg(bundle.path()).arg(id));
        (container, done)
    }

    /// `run --detach`, expected to work.
    #[track_caller]
    pub fn start<'a>(&'a self, bundle: &'a Bundle, id: &str) -> Container<'a> {
        let (container, done) = self.try_start(bundle, id);
        done.ok();
        container
    }
}

/// `systemctl WORDS…`
#[track_caller]
pub fn systemctl(words: &[&str]) -> Done {
    run(Command::new("systemctl").args(words))
}

/// One property of a unit.
#[track_caller]
pub fn property(unit: &str, name: &str) -> String {
    systemctl(&["show", unit, "--property", name, "--value"]).ok().text().to_owned()
}

/// Whether systemd knows the unit.
pub fn is_loaded(unit: &str) -> bool {
    property(unit, "LoadState") == "loaded"
}

/// The group that a process is in.
#[track_caller]
pub fn group_of(pid: u32) -> PathBuf {
    let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("the process's cgroup");
    Path::new("/sys/fs/cgroup").join(text.trim().trim_start_matches("0::/"))
}

/// A file of a group.
#[track_caller]
pub fn read(group: &Path, file: &str) -> String {
    let path = group.join(file);
    std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        .trim()
        .to_owned()
}
