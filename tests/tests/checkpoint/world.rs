//! Containers that are checkpointed and restored, with their images and logs.

pub use husk_tests::criu;
use husk_tests::{Bundle, Container, Done, Runtime, command, run, temp_dir};
use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// A runtime, and the directories for images and logs.
pub struct World {
    pub runtime: Runtime,
    dir: tempfile::TempDir,
}

impl World {
    pub fn new() -> Self {
        Self::of(Runtime::new())
    }

    /// For what other runtimes do not do.
    pub fn husk() -> Self {
        Self::of(Runtime::husk())
    }

    fn of(runtime: Runtime) -> Self {
        Self { runtime, dir: temp_dir() }
    }

    pub fn is_husk(&self) -> bool {
        self.runtime.name == "husk"
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// `run --detach` with /dev/null as standard streams: a checkpoint does not take the test's own files along.
    #[track_caller]
    pub fn start<'a>(&'a self, bundle: &'a Bundle) -> Container<'a> {
        bundle.write();
        let container = Container::named(&self.runtime, &husk_tests::unique("cr"));
        self.quiet(
            self.runtime
                .command()
                .args(["run", "--detach", "--bundle"])
                .arg(bundle.path())
                .arg(&container.id),
        )
        .ok();
        container
    }

    /// `checkpoint` with further flags.
    #[track_caller]
    pub fn checkpoint(&self, container: &Container<'_>, flags: &[&str]) -> Done {
        let mut command = self.runtime.command();
        command.arg("checkpoint").arg("--image-path").arg(self.path("images"));
        command.arg("--work-path").arg(self.path("work")).args(flags).arg(&container.id);
        self.with_log(run(&mut command), "dump.log")
    }

    /// `restore --detach` with further flags.
    #[track_caller]
    pub fn restore(&self, bundle: &Bundle, container: &Container<'_>, flags: &[&str]) -> Done {
        let mut command = self.restore_command(bundle, container);
        command.arg("--detach").args(flags);
        self.with_log(self.quiet(&mut command), "restore.log")
    }

    /// `restore`, to which more flags can be added.
    pub fn restore_command(&self, bundle: &Bundle, container: &Container<'_>) -> Command {
        let mut command = self.runtime.command();
        command.arg("restore").arg("--image-path").arg(self.path("images"));
        command.arg("--work-path").arg(self.path("work")).arg("--bundle").arg(bundle.path());
        // The id may stand anywhere for husk, but must come last for others.
        let id = container.id.clone();
        let mut outer = Command::new("sh");
        outer.args(["-c", "id=$1; shift; exec \"$@\" \"$id\"", "sh", &id]);
        outer.arg(command.get_program()).args(command.get_args());
        outer
    }

    #[track_caller]
    fn quiet(&self, command: &mut Command) -> Done {
        // Of what is written to /dev/null nothing comes back, so errors go to a file that the runtime writes itself.
        let log = self.path("stderr");
        let file = std::fs::File::create(&log).unwrap();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(if self.is_husk() { Stdio::from(file) } else { Stdio::null() })
            .spawn()
            .unwrap();
        let status = child.wait().unwrap();
        Done {
            line: format!("{command:?}"),
            code: command::code_of(status),
            stdout: String::new(),
            stderr: std::fs::read_to_string(log).unwrap_or_default(),
        }
    }

    /// Adds criu's own errors to what a failed test shows.
    fn with_log(&self, mut done: Done, name: &str) -> Done {
        if done.code != 0 && std::env::var_os("TEST_CRIU_LOG").is_some() {
            let log = std::fs::read_to_string(self.path("work").join(name)).unwrap_or_default();
            let from = log.lines().count().saturating_sub(40);
            done.stdout = log.lines().skip(from).collect::<Vec<_>>().join("\n");
        }
        done
    }
}

/// A bundle whose program counts in /tmp/count, ten times a second.
pub fn counter() -> Bundle {
    Bundle::script(
        "i=0; while true; do i=$((i+1)); echo $i >/tmp/new; mv /tmp/new /tmp/count; sleep 0.1; done",
    )
}

/// How far a counter is.
pub fn count(bundle: &Bundle) -> u64 {
    let text = std::fs::read_to_string(bundle.rootfs().join("tmp/count")).unwrap_or_default();
    text.trim().parse().unwrap_or(0)
}

/// Waits until the counter goes on from `from`, and gives where it is then.
#[track_caller]
pub fn counts_on(bundle: &Bundle, from: u64) -> u64 {
    husk_tests::wait_until(&format!("the counter goes on from {from}"), || count(bundle) > from);
    count(bundle)
}

/// The options of the machine's cgroup2, which nobody is to change.
pub fn cgroup_options() -> String {
    let text = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let line = text.lines().find(|line| line.contains(" - cgroup2 ")).unwrap();
    line.rsplit(' ').next().unwrap().to_owned()
}

/// What init's mounts are: point, options, type; without ids, which are new each time.
pub fn mounts(pid: u32) -> Vec<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap();
    let mut lines: Vec<String> = text
        .lines()
        .map(|line| {
            let (front, back) = line.split_once(" - ").unwrap();
            let words: Vec<&str> = front.split(' ').collect();
            let mut options: Vec<&str> = words[5].split(',').filter(|option| *option != "relatime").collect();
            options.sort_unstable();
            format!("{} {} {}", words[4], options.join(","), back.split(' ').next().unwrap())
        })
        .collect();
    lines.sort();
    lines
}

/// Whether a path is somewhere in the mounts of this machine.
pub fn is_mounted_below(dir: &Path) -> bool {
    let text = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    text.lines()
        .any(|line| line.split(' ').nth(4).is_some_and(|point| point.starts_with(dir.to_str().unwrap())))
}
