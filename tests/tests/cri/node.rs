//! A node of a test's own: network and mount namespace, folders, cgroup, and the real husk-cri in them.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use husk_cri_api::image_service_client::ImageServiceClient;
use husk_cri_api::runtime_service_client::RuntimeServiceClient;
use husk_tests::cgroup::Group;
use husk_tests::image::{Compression, Image, Layer, busybox};
use husk_tests::{bin, temp_dir, wait_until};
use serde_json::json;
use tonic::transport::{Channel, Endpoint};

/// The image that every node has.
pub const IMAGE: &str = "localhost/busybox:test";

/// A node. It and all that runs on it go with the value.
pub struct Node {
    daemon: Option<Child>,
    holder: Child,
    group: Group,
    dir: tempfile::TempDir,
    reactor: tokio::runtime::Runtime,
    /// RuntimeService.
    pub runtime: RuntimeServiceClient<Channel>,
    /// ImageService.
    pub images: ImageServiceClient<Channel>,
}

impl Node {
    /// Starts husk-cri with the test's image loaded.
    pub fn start() -> Self {
        Self::configured("")
    }

    /// The same with more lines at the end of the configuration.
    pub fn configured(more: &str) -> Self {
        let dir = temp_dir();
        let holder = hold();
        let group = Group::reserve("cri");
        let text = configuration(dir.path(), &group.path, more);
        std::fs::write(dir.path().join("cri.toml"), text).expect("cri.toml");
        networks(dir.path());
        let reactor = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("tokio");
        let (runtime, images) = clients(&reactor, dir.path());
        let mut node = Self { daemon: None, holder, group, dir, reactor, runtime, images };
        node.load(&image(), IMAGE);
        node.up();
        node
    }

    /// A folder of the test's own.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A command in the node's namespaces.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--target={}", self.holder.id())).args(["--net", "--mount", "--"]).arg(program);
        command.stdin(Stdio::null());
        command
    }

    /// Loads an image while the daemon is down.
    pub fn load(&self, image: &Image, name: &str) {
        let layout = self.path().join("layout");
        image.write_layout(&layout, Some(name));
        let mut command = self.command(bin("husk-cri"));
        command.arg("--config").arg(self.path().join("cri.toml")).args(["image", "load"]).arg(&layout);
        husk_tests::run(&mut command).ok();
        std::fs::remove_dir_all(&layout).expect("remove the layout");
    }

    /// Starts the daemon and waits until it answers.
    pub fn up(&mut self) {
        let log = std::fs::File::options().create(true).append(true).open(self.path().join("daemon.log"));
        let mut command = self.command(bin("husk-cri"));
        command.arg("--config").arg(self.path().join("cri.toml"));
        command.env("RUST_BACKTRACE", "1").stdout(Stdio::null()).stderr(log.expect("daemon.log"));
        let mut daemon = command.process_group(0).spawn().expect("husk-cri");
        let socket = self.path().join("state/cri.sock");
        wait_until("husk-cri's socket", || {
            let ended = daemon.try_wait().expect("wait");
            assert!(ended.is_none(), "husk-cri ended: {}", self.log());
            std::os::unix::net::UnixStream::connect(&socket).is_ok()
        });
        self.daemon = Some(daemon);
        (self.runtime, self.images) = clients(&self.reactor, self.dir.path());
    }

    /// SIGKILL for the daemon.
    pub fn kill(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.kill().expect("kill");
            daemon.wait().expect("wait");
        }
    }

    /// What the daemon has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path().join("daemon.log")).unwrap_or_default()
    }

    /// Waits for a call's end.
    pub fn wait<T>(&self, call: impl Future<Output = T>) -> T {
        self.reactor.block_on(call)
    }

    /// Runs a call beside the test.
    pub fn spawn<T: Send + 'static>(
        &self,
        call: impl Future<Output = T> + Send + 'static,
    ) -> tokio::task::JoinHandle<T> {
        self.reactor.spawn(call)
    }

    /// Pid whose namespaces are the node's.
    pub fn pid(&self) -> u32 {
        self.holder.id()
    }

    /// The node's cgroup.
    pub fn group(&self) -> PathBuf {
        self.group.dir()
    }

    /// All processes and mounts of pods end, and the state folder is empty: what a power cut leaves.
    pub fn power_off(&self) {
        std::fs::write(self.group.dir().join("cgroup.kill"), "1").expect("cgroup.kill");
        wait_until("the group to be empty", || {
            let events = std::fs::read_to_string(self.group.dir().join("cgroup.events")).unwrap_or_default();
            events.contains("populated 0")
        });
        let state = self.path().join("state");
        let points = "awk -v s=\"$1/\" 'index($5, s) == 1 { print $5 }' /proc/self/mountinfo";
        let script = format!("{points} | tac | xargs -r -n 1 umount -l");
        husk_tests::run(self.command("sh").args(["-c", &script, "sh"]).arg(&state)).ok();
        std::fs::remove_dir_all(&state).expect("remove the state");
    }

    /// What is left of pods: files below state, mounts, groups, shims, addresses. Empty once all pods are removed.
    pub fn leftovers(&self) -> Vec<String> {
        let mut left = Vec::new();
        for dir in
            ["state/sandboxes", "state/containers", "root/sandboxes", "root/containers", "state/runtime"]
        {
            let items = std::fs::read_dir(self.path().join(dir)).into_iter().flatten().flatten();
            let paths = items.map(|item| item.path());
            // The runtime keeps the exit records of its last containers, a bounded number.
            let real = paths.filter(|path| !path.ends_with("@exits"));
            left.extend(real.map(|path| path.display().to_string()));
        }
        let snapshots =
            std::fs::read_dir(self.path().join("root/images/snapshots")).into_iter().flatten().flatten();
        left.extend(snapshots.map(|item| item.path().display().to_string()));
        let mounts = std::fs::read_to_string(format!("/proc/{}/mountinfo", self.pid())).unwrap_or_default();
        let state = self.path().join("state").display().to_string();
        left.extend(mounts.lines().filter(|line| line.contains(&state)).map(str::to_owned));
        let groups = std::fs::read_dir(self.group.dir()).into_iter().flatten().flatten();
        left.extend(groups.filter(|item| item.path().is_dir()).map(|item| item.path().display().to_string()));
        let leases = std::fs::read_dir(self.path().join("ipam/test")).into_iter().flatten().flatten();
        let names = leases.map(|item| item.file_name().to_string_lossy().into_owned());
        left.extend(names.filter(|name| name.starts_with("10.")));
        left
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(60).collect();
            let text: Vec<&str> = tail.into_iter().rev().collect();
            let _ = writeln!(std::io::stdout(), "husk-cri's log:\n{}", text.join("\n"));
        }
        self.kill();
        // The containers and shims are in the group and go with it; then the namespaces have nobody left.
        let _ = std::fs::write(self.group.dir().join("cgroup.kill"), "1");
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// A process that holds the namespaces. It dies with the test, so that nothing stays even where that is killed.
fn hold() -> Child {
    let own = std::fs::read_link("/proc/self/ns/net").expect("own network namespace");
    let script = "mount --make-rshared / && ip link set lo up && exec sleep 3600";
    let mut command = Command::new("setpriv");
    command.args([
        "--pdeathsig",
        "KILL",
        "unshare",
        "--net",
        "--mount",
        "--propagation=private",
        "sh",
        "-c",
        script,
    ]);
    let holder = command.stdin(Stdio::null()).spawn().expect("setpriv, unshare");
    wait_until("the node's namespaces", || {
        let moved = std::fs::read_link(format!("/proc/{}/ns/net", holder.id())).is_ok_and(|link| link != own);
        let name = std::fs::read_to_string(format!("/proc/{}/comm", holder.id())).unwrap_or_default();
        moved && name.trim() == "sleep"
    });
    holder
}

fn configuration(dir: &Path, group: &str, more: &str) -> String {
    let at = |name: &str| dir.join(name).display().to_string();
    format!(
        "root = {:?}\nstate = {:?}\nlog = \"debug\"\nshim = {:?}\n\
         [runtime.handlers.husk]\npath = {:?}\n\
         [cgroup]\nparent = {group:?}\nignore_missing_controllers = true\n\
         [network]\nconf_dir = {:?}\nbin_dirs = [\"/usr/lib/cni\"]\n{more}",
        at("root"),
        at("state"),
        bin("husk-shim").display().to_string(),
        runtime().display().to_string(),
        at("cni"),
    )
}

fn runtime() -> PathBuf {
    std::env::var_os("HUSK_TEST_RUNTIME").map_or_else(|| bin("husk"), PathBuf::from)
}

fn networks(dir: &Path) {
    let conf = json!({
        "cniVersion": "1.0.0", "name": "test",
        "plugins": [{
            "type": "bridge", "bridge": "husk0", "isGateway": true,
            "ipam": {
                "type": "host-local", "dataDir": dir.join("ipam"),
                "ranges": [[{"subnet": "10.91.0.0/16"}]],
            },
        }],
    });
    std::fs::create_dir(dir.join("cni")).expect("mkdir");
    std::fs::write(dir.join("cni/10-test.conflist"), conf.to_string()).expect("conflist");
}

fn clients(
    reactor: &tokio::runtime::Runtime,
    dir: &Path,
) -> (RuntimeServiceClient<Channel>, ImageServiceClient<Channel>) {
    let uri = format!("unix://{}", dir.join("state/cri.sock").display());
    let _inside = reactor.enter();
    let channel = Endpoint::from_shared(uri).expect("a URI").connect_lazy();
    let most = 64 << 20;
    (
        RuntimeServiceClient::new(channel.clone()).max_decoding_message_size(most),
        ImageServiceClient::new(channel),
    )
}

/// busybox with a program that is none, a user and a stop signal.
pub fn image() -> Image {
    let tar =
        busybox().file("bin/not-a-program", 0o755, b"no program").file("bin/not-executable", 0o644, b"x");
    Image::new(
        vec![Layer::new(tar, Compression::Gzip)],
        &json!({"Env": ["PATH=/bin"], "Cmd": ["sleep", "1000"]}),
    )
}
