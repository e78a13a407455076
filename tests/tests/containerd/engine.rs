//! containerd with its runc shim, in a view of the machine of its own.

use husk_tests::view::View;
use husk_tests::{Bundle, Done, cgroup, run, temp_dir, wait_until};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// containerd is the process that holds the view.
const DAEMON: &str = r#"
echo ready
exec containerd --config "$1/config.toml" >"$1/log" 2>&1
"#;

/// containerd's plugins that a test does not need, or that want programs which are not here.
const DISABLED: &[&str] = &[
    "io.containerd.grpc.v1.cri",
    "io.containerd.internal.v1.restart",
    "io.containerd.snapshotter.v1.aufs",
    "io.containerd.snapshotter.v1.btrfs",
    "io.containerd.snapshotter.v1.devmapper",
    "io.containerd.snapshotter.v1.zfs",
];

/// A containerd of its own. It and what it runs end with the value.
pub struct Containerd {
    dir: tempfile::TempDir,
    view: View,
    runtime: PathBuf,
    group: String,
}

impl Containerd {
    /// containerd whose shims call husk, or the runtime that `$RUNTIME` names by its path.
    pub fn new() -> Self {
        let runtime = match std::env::var_os("RUNTIME") {
            Some(path) if Path::new(&path).is_absolute() => PathBuf::from(path),
            _ => husk_tests::bin("husk"),
        };
        let dir = temp_dir();
        let root = dir.path().join("root");
        let config = format!(
            "version = 2\nroot = {root:?}\nstate = \"/run/containerd\"\ndisabled_plugins = {DISABLED:?}\n\
             [grpc]\naddress = \"/run/containerd/containerd.sock\"\n"
        );
        std::fs::write(dir.path().join("config.toml"), config).unwrap();
        let view = View::new(dir.path(), DAEMON, false);
        let containerd = Self { dir, view, runtime, group: format!("/{}", husk_tests::unique("ctr")) };
        wait_until("containerd answers", || containerd.ctr(&["version"]).code == 0);
        containerd
    }

    /// `ctr`, to its end.
    #[track_caller]
    pub fn ctr(&self, args: &[&str]) -> Done {
        run(&mut self.command(args))
    }

    /// A command line of `ctr`.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.view.command("ctr");
        command.args(["--address", "/run/containerd/containerd.sock", "--namespace", "husk"]).args(args);
        command
    }

    /// `ctr run` of a bundle, with further flags.
    #[track_caller]
    pub fn run(&self, id: &str, bundle: &mut Bundle, flags: &[&str]) -> Done {
        run(&mut self.run_command(id, bundle, flags))
    }

    /// The command line of [`Containerd::run`].
    pub fn run_command(&self, id: &str, bundle: &mut Bundle, flags: &[&str]) -> Command {
        let group = format!("{}/{id}", self.group);
        bundle.set("/linux/cgroupsPath", group);
        bundle.set("/root/path", bundle.rootfs().to_str().unwrap());
        bundle.write();
        let config = bundle.path().join("config.json");
        let mut args = vec!["run", "--runc-binary", self.runtime.to_str().unwrap()];
        args.extend(flags);
        args.extend(["--config", config.to_str().unwrap(), id]);
        self.command(&args)
    }

    /// `ctr run` of an image.
    #[track_caller]
    pub fn run_image(&self, id: &str, image: &str, flags: &[&str], command: &[&str]) -> Done {
        let runtime = self.runtime.to_str().unwrap();
        let group = format!("{}/{id}", self.group);
        let args = [&["run", "--runc-binary", runtime, "--cgroup", &group], flags, &[image, id], command];
        self.ctr(&args.concat())
    }

    /// Files of the test's own, seen by containerd at the same place.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// What containerd tells from now on.
    pub fn events(&self) -> Events {
        let file = self.dir.path().join("events");
        let to = std::fs::File::create(&file).unwrap();
        let child = self.command(&["events"]).stdin(Stdio::null()).stdout(to).spawn().unwrap();
        let events = Events { child, file };
        // Nothing says that it listens, so something is done until it hears of it.
        wait_until("ctr listens", || {
            self.ctr(&["namespace", "label", "husk", "listening=yes"]).ok();
            events.has("/namespaces/update", "")
        });
        events
    }

    /// Status of a task as `ctr task ls` has it; empty where there is none.
    pub fn status(&self, id: &str) -> String {
        let list = self.ctr(&["task", "ls"]).ok();
        let line = list.stdout.lines().find(|line| line.split_whitespace().next() == Some(id));
        line.and_then(|line| line.split_whitespace().last()).unwrap_or_default().to_owned()
    }
}

/// `ctr events`, which writes a line per event: time, namespace, topic, JSON.
pub struct Events {
    child: Child,
    file: PathBuf,
}

impl Events {
    fn lines(&self) -> Vec<(String, String)> {
        let text = std::fs::read_to_string(&self.file).unwrap();
        let parts = text.lines().filter_map(|line| line.split_once(" husk "));
        parts
            .filter_map(|(_, rest)| rest.split_once(' '))
            .map(|(topic, json)| (topic.into(), json.into()))
            .collect()
    }

    /// The topics below one, in order.
    pub fn topics(&self, below: &str) -> Vec<String> {
        self.lines().iter().filter_map(|(topic, _)| topic.strip_prefix(below)).map(str::to_owned).collect()
    }

    /// Whether an event of the topic has the text.
    pub fn has(&self, topic: &str, text: &str) -> bool {
        self.lines().iter().any(|(own, json)| own == topic && json.contains(text))
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        let tasks = run(&mut self.command(&["task", "ls", "--quiet"]));
        for id in tasks.stdout.lines() {
            let _ = run(&mut self.command(&["task", "rm", "--force", id]));
        }
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            let from = log.lines().count().saturating_sub(15);
            eprintln!("containerd's log ends with:");
            log.lines().skip(from).for_each(|line| eprintln!("  {line}"));
        }
        self.view.end();
        // The group of containerd's namespace is left empty by its shims.
        for root in [cgroup::root().join(&self.group[1..]), cgroup::root().join("husk")] {
            let _ = run(Command::new("find")
                .arg(&root)
                .args(["-depth", "-type", "d", "-exec", "rmdir", "{}", ";"]));
        }
    }
}
