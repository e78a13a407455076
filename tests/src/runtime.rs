//! husk and its peers, called as a person or a container engine calls them.

use crate::bundle::Bundle;
use crate::command::{Done, run};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs crun where only cgroup v2 is mounted: it refuses a machine that has version 1 beside it.
const CRUN_VIEW: &str =
    "umount -R -l /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec \"$0\" \"$@\"";

/// A runtime with a state directory of its own, which goes away with the value.
#[derive(Debug)]
pub struct Runtime {
    /// `husk`, `runc` or `crun`.
    pub name: String,
    program: PathBuf,
    state: tempfile::TempDir,
}

impl Runtime {
    /// husk from the build, or the runtime that `$RUNTIME` names, so that the suites can be tried on others.
    pub fn new() -> Self {
        match std::env::var("RUNTIME") {
            Ok(name) if !name.is_empty() && name != "husk" => {
                Self::peer(&name).unwrap_or_else(|| panic!("RUNTIME={name}: no such program"))
            }
            _ => Self::husk(),
        }
    }

    /// husk from the build.
    pub fn husk() -> Self {
        Self { name: "husk".into(), program: crate::bin("husk"), state: crate::temp_dir() }
    }

    /// runc or crun where it is installed.
    pub fn peer(name: &str) -> Option<Self> {
        let folders = ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"];
        let program = if name.contains('/') {
            Some(PathBuf::from(name))
        } else {
            folders.iter().map(|dir| Path::new(dir).join(name)).find(|path| path.exists())
        }?;
        // `runc-1.5` is runc, too.
        let name = program.file_name()?.to_string_lossy().split('-').next()?.to_owned();
        Some(Self { name, program, state: crate::temp_dir() })
    }

    /// The state directory (`--root`).
    pub fn root(&self) -> PathBuf {
        self.state.path().join("state")
    }

    /// A command line with the global flags; the caller adds the command and its arguments.
    pub fn command(&self) -> Command {
        let mut command = if self.without_groups() {
            let mut command = Command::new("unshare");
            command.args(["--mount", "--propagation", "private", "sh", "-c", CRUN_VIEW]).arg(&self.program);
            command
        } else {
            Command::new(&self.program)
        };
        command.arg("--root").arg(self.root());
        if self.name == "crun" {
            command.env("XDG_RUNTIME_DIR", self.state.path());
        }
        if self.without_groups() {
            command.arg("--cgroup-manager=disabled");
        }
        command
    }

    /// crun makes no cgroups where version 1 is beside version 2.
    fn without_groups(&self) -> bool {
        self.name == "crun" && Path::new("/sys/fs/cgroup/unified").exists()
    }

    /// Whether the runtime can make cgroups here; skips the test where it can't, as [`crate::cgroup::needs`] does.
    #[must_use]
    pub fn needs_groups(&self) -> bool {
        if self.without_groups() {
            crate::skip("crun makes no groups on a machine that has cgroup v1 beside v2");
        }
        !self.without_groups()
    }

    /// Whether the runtime sees the mounts of the test's own namespace; skips the test where it doesn't.
    #[must_use]
    pub fn needs_our_mounts(&self) -> bool {
        if self.without_groups() {
            crate::skip(
                "crun runs in a mount namespace of its own on a machine that has cgroup v1 beside v2",
            );
        }
        !self.without_groups()
    }

    /// `run` to the end of the program, then what `delete --force` finds is removed.
    #[track_caller]
    pub fn run(&self, bundle: &Bundle) -> Done {
        bundle.write();
        let container = Container::named(self, &crate::unique("run"));
        run(self.command().arg("run").arg("--bundle").arg(bundle.path()).arg(&container.id))
    }

    /// `create`, expected to work. The container holds on to its bundle, whose root filesystem it has mounted.
    #[track_caller]
    pub fn create<'a>(&'a self, bundle: &'a Bundle) -> Container<'a> {
        let (container, done) = self.try_create(bundle);
        done.ok();
        container
    }

    /// `create`, however it ends.
    #[track_caller]
    pub fn try_create<'a>(&'a self, bundle: &'a Bundle) -> (Container<'a>, Done) {
        let container = Container::named(self, &crate::unique("c"));
        let done = self.create_as(bundle, &container.id);
        (container, done)
    }

    #[track_caller]
    fn create_as(&self, bundle: &Bundle, id: &str) -> Done {
        bundle.write();
        run(self.command().arg("create").arg("--bundle").arg(bundle.path()).arg(id))
    }

    /// `run --detach`: a container whose program runs in the background.
    #[track_caller]
    pub fn start<'a>(&'a self, bundle: &'a Bundle) -> Container<'a> {
        let container = self.create(bundle);
        container.call("start", &[]).ok();
        container
    }

    /// As [`start`](Self::start), of a bundle that nobody else keeps.
    #[track_caller]
    pub fn start_owned(&self, bundle: Bundle) -> Container<'_> {
        let container = Container::named(self, &crate::unique("c"));
        self.create_as(&bundle, &container.id).ok();
        container.call("start", &[]).ok();
        container.keeping(bundle)
    }
}

impl Default for Runtime {
    fn default() -> Self {
        Self::new()
    }
}

/// A container by its id; dropping it deletes it by force.
#[derive(Debug)]
pub struct Container<'a> {
    runtime: &'a Runtime,
    /// Its id.
    pub id: String,
    bundle: Option<Bundle>,
}

impl<'a> Container<'a> {
    /// A container that the test creates by a command line of its own.
    pub fn named(runtime: &'a Runtime, id: &str) -> Self {
        Self { runtime, id: id.to_owned(), bundle: None }
    }

    /// The same container, with a bundle that nobody else keeps.
    #[must_use]
    pub fn keeping(mut self, bundle: Bundle) -> Self {
        self.bundle = Some(bundle);
        self
    }

    /// The bundle that it keeps ([`Runtime::start_owned`]).
    #[track_caller]
    pub fn bundle(&self) -> &Bundle {
        self.bundle.as_ref().expect("a bundle of its own")
    }

    /// `husk VERB ID ARGUMENTS…`
    #[track_caller]
    pub fn call(&self, verb: &str, arguments: &[&str]) -> Done {
        run(self.runtime.command().arg(verb).arg(&self.id).args(arguments))
    }

    /// `husk VERB FLAGS… ID ARGUMENTS…`
    #[track_caller]
    pub fn call_with(&self, verb: &str, flags: &[&str], arguments: &[&str]) -> Done {
        run(self.runtime.command().arg(verb).args(flags).arg(&self.id).args(arguments))
    }

    /// `exec` of a program.
    #[track_caller]
    pub fn exec(&self, arguments: &[&str]) -> Done {
        self.call("exec", arguments)
    }

    /// `exec` of a shell script.
    #[track_caller]
    pub fn sh(&self, script: &str) -> Done {
        self.exec(&["sh", "-c", script])
    }

    /// What `state` prints.
    #[track_caller]
    pub fn state(&self) -> Value {
        let done = self.call("state", &[]).ok();
        serde_json::from_str(&done.stdout).expect("JSON from state")
    }

    /// `status` of the state.
    #[track_caller]
    pub fn status(&self) -> String {
        self.state()["status"].as_str().unwrap_or_default().to_owned()
    }

    /// The init process as the host sees it.
    #[track_caller]
    pub fn pid(&self) -> u32 {
        self.state()["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).expect("a pid")
    }

    /// Waits until the container has the status.
    #[track_caller]
    pub fn wait_for(&self, status: &str) {
        crate::wait_until(&format!("{} is {status}", self.id), || self.status() == status);
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        // An error means most often that the container is gone, which is what is wanted here.
        let _ = run(self.runtime.command().args(["delete", "--force"]).arg(&self.id));
    }
}
