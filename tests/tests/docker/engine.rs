//! dockerd with its containerd, in a view of the machine of its own.

use husk_tests::cgroup::Group;
use husk_tests::terminal::in_terminal;
use husk_tests::view::View;
use husk_tests::{Bundle, Done, run, temp_dir, wait_until};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::Command;

/// In a PID namespace, so that nothing of dockerd's outlives the test; docker-init reaps what its shims leave.
const DAEMON: &str = r#"
echo ready
exec /usr/bin/docker-init -- dockerd --config-file "$1/daemon.json" >"$1/log" 2>&1
"#;

/// With systemd there is no PID namespace, as systemd has to find processes by their ids: [`Docker`] ends dockerd itself.
const SYSTEMDS_DAEMON: &str = r#"
echo ready
exec dockerd --config-file "$1/daemon.json" >"$1/log" 2>&1
"#;

/// An engine of its own, with one image named `busybox`. It and what it runs end with the value.
pub struct Docker {
    view: View,
    dir: tempfile::TempDir,
    by_systemd: bool,
    _group: Group,
}

impl Docker {
    /// dockerd with husk as its default runtime, or with the runtime that `$RUNTIME` names by its path.
    pub fn new() -> Self {
        Self::build(false)
    }

    /// The same with systemd as its cgroup driver, as Debian sets it up.
    pub fn by_systemd() -> Self {
        Self::build(true)
    }

    fn build(by_systemd: bool) -> Self {
        let runtime = match std::env::var_os("RUNTIME") {
            Some(path) if Path::new(&path).is_absolute() => PathBuf::from(path),
            _ => husk_tests::bin("husk"),
        };
        let dir = temp_dir();
        let at = |name: &str| dir.path().join(name);
        let group = Group::reserve("docker");
        let config = json!({
            "runtimes": {"tested": {"path": runtime}},
            "default-runtime": "tested",
            "data-root": at("data"),
            "exec-root": "/run/docker",
            "pidfile": "/run/docker.pid",
            "hosts": ["unix:///run/docker.sock"],
            "deprecated-key-path": at("key.json"),
            "cgroup-parent": if by_systemd { "husktest.slice" } else { &group.path },
            "exec-opts": [format!("native.cgroupdriver={}", if by_systemd { "systemd" } else { "cgroupfs" })],
            "experimental": true,
            "storage-driver": "vfs",
            "bridge": "none",
            "iptables": false,
            "ip6tables": false,
            "ip-forward": false,
        });
        std::fs::write(at("daemon.json"), config.to_string()).unwrap();
        let view = if by_systemd {
            View::with_systemd(dir.path(), SYSTEMDS_DAEMON)
        } else {
            View::new(dir.path(), DAEMON, true)
        };
        let docker = Self { view, dir, by_systemd, _group: group };
        wait_until("dockerd answers", || docker.docker(&["version"]).code == 0);
        docker.import();
        docker
    }

    fn import(&self) {
        let bundle = Bundle::new(&["true"]);
        let tar = self.path().join("image.tar");
        run(Command::new("tar").arg("-C").arg(bundle.rootfs()).arg("-cf").arg(&tar).arg(".")).ok();
        let tar = tar.to_str().unwrap();
        self.docker(&["import", "-c", "ENV PATH=/bin:/usr/bin", "-c", "CMD [\"sh\"]", tar, "busybox"]).ok();
    }

    /// Files of the test's own, seen by dockerd at the same place.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// What dockerd has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path().join("log")).unwrap_or_default()
    }

    /// The command line of docker.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.view.command("/usr/bin/docker");
        command.args(args).env("HOME", self.path()).env("DOCKER_HOST", "unix:///run/docker.sock");
        command
    }

    /// docker, to its end.
    #[track_caller]
    pub fn docker(&self, args: &[&str]) -> Done {
        run(&mut self.command(args))
    }

    /// `docker run` without a network; `args` are further flags, image and command.
    #[track_caller]
    pub fn run(&self, args: &[&str]) -> Done {
        self.docker(&[&["run", "--network=none", "--pull=never"], args].concat())
    }

    /// A container with a name that runs in the background.
    #[track_caller]
    pub fn start(&self, name: &str, args: &[&str]) {
        self.run(&[&["-d", "--name", name], args].concat()).ok();
    }

    /// [`start`](Self::start) with 64 MiB of memory and no swap, 20 processes and half a CPU.
    #[track_caller]
    pub fn start_limited(&self, name: &str) {
        let flags = ["--memory=64m", "--memory-swap=64m", "--pids-limit=20", "--cpus=0.5"];
        self.start(name, &[&flags[..], &["busybox", "sleep", "1000"]].concat());
    }

    /// What a container's cgroup says of memory, processes and CPU time, a line each.
    #[track_caller]
    pub fn limits(&self, name: &str) -> String {
        let script = "cd /sys/fs/cgroup; cat memory.max pids.max cpu.max";
        self.docker(&["exec", name, "sh", "-c", script]).ok().text().to_owned()
    }

    /// docker with the terminal that script(1) makes.
    #[track_caller]
    pub fn with_terminal(&self, args: &[&str]) -> Done {
        in_terminal(&self.command(args))
    }

    /// A program beside dockerd.
    #[track_caller]
    pub fn host(&self, line: &[&str]) -> Done {
        run(self.view.command(line[0]).args(&line[1..]))
    }

    /// A value of `docker inspect`, by Go template.
    #[track_caller]
    pub fn inspect(&self, name: &str, template: &str) -> String {
        self.docker(&["inspect", "--format", template, name]).ok().text().to_owned()
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        let list = self.docker(&["ps", "-aq"]);
        let mut args = vec!["rm", "--force", "--volumes"];
        args.extend(list.stdout.lines());
        if args.len() > 3 {
            let _ = self.docker(&args);
        }
        if self.by_systemd {
            let script =
                "pid=$(cat /run/docker.pid); kill $pid; while [ -e /proc/$pid/exe ]; do sleep 0.1; done";
            let _ = self.host(&["timeout", "100", "sh", "-c", script]);
        }
        if std::thread::panicking() {
            let log = self.log();
            let from = log.lines().count().saturating_sub(15);
            eprintln!("dockerd's log ends with:");
            log.lines().skip(from).for_each(|line| eprintln!("  {line}"));
        }
    }
}
