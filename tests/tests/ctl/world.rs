//! A node of a test's own: a network and a mount namespace, a registry with one image, husk-cri.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use husk_tests::cgroup::Group;
use husk_tests::image::{self, Compression, Image, Layer};
use husk_tests::registry::Registry;
use husk_tests::{Done, bin, run, temp_dir, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::json;

/// The node. Everything of it goes with the value.
pub struct World {
    /// Holds the namespaces.
    holder: Child,
    daemon: Child,
    _registry: Registry,
    /// Reference of the busybox image.
    pub image: String,
    dir: tempfile::TempDir,
    _group: Group,
}

impl World {
    pub fn new() -> Self {
        let own = std::fs::read_link("/proc/thread-self/ns/net").unwrap();
        let holder = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "unshare", "--net", "--mount", "--propagation", "private"])
            .args(["sleep", "100000"])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let of_holder = |what: &str| PathBuf::from(format!("/proc/{}/{what}", holder.id()));
        wait_until("the namespaces", || {
            let sleeps = std::fs::read_to_string(of_holder("comm")).is_ok_and(|c| c.trim() == "sleep");
            sleeps && std::fs::read_link(of_holder("ns/net")).is_ok_and(|ns| ns != own)
        });
        // This thread's children are in the namespace, too.
        let net = File::open(of_holder("ns/net")).unwrap();
        move_into_link_name_space(net.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
        run(Command::new("ip").args(["link", "set", "lo", "up"])).ok();
        let registry = Registry::start();
        let busybox = Image::new(
            vec![Layer::new(image::busybox(), Compression::Gzip)],
            &json!({"Env": ["PATH=/bin"], "Cmd": ["sh"]}),
        );
        let image = registry.push(&busybox, "test/busybox", "1");
        let (dir, group) = (temp_dir(), Group::reserve("ctl"));
        let config = configured(dir.path(), &group.path);
        let log = File::create(dir.path().join("cri.log")).unwrap();
        let daemon = Command::new("nsenter")
            .arg(format!("--mount=/proc/{}/ns/mnt", holder.id()))
            .arg(bin("husk-cri"))
            .args(["--log", "debug", "--config"])
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let world = Self { holder, daemon, _registry: registry, image, dir, _group: group };
        wait_until("husk-cri answers", || world.ctl(&["version"]).code == 0);
        world
    }

    /// huskctl with arguments, ready to run.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--mount=/proc/{}/ns/mnt", self.holder.id()))
            .arg(bin("huskctl"))
            .args(args)
            .env("CONTAINER_RUNTIME_ENDPOINT", format!("unix://{}", self.path("cri.sock").display()))
            .env("HUSKCTL_DATA", self.path("data"))
            .env("DOCKER_CONFIG", self.path("no-docker"));
        command
    }

    /// Runs huskctl to its end.
    #[track_caller]
    pub fn ctl(&self, args: &[&str]) -> Done {
        run(&mut self.command(args))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a manifest of pod `name`; `IMAGE` in it stands for the image.
    pub fn manifest(&self, name: &str, spec: &str) -> String {
        let text = format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n{spec}");
        let path = self.path(&format!("{name}.yaml"));
        std::fs::write(&path, text.replace("IMAGE", &self.image)).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Runs a pod to its end.
    #[track_caller]
    pub fn run_pod(&self, name: &str, spec: &str) -> Done {
        let file = self.manifest(name, spec);
        self.ctl(&["run", &file])
    }

    /// Ids of what is listed.
    #[track_caller]
    pub fn ids(&self, args: &[&str]) -> Vec<String> {
        self.ctl(args).ok().stdout.lines().map(str::to_owned).collect()
    }

    /// Mounts below this node's folder, as its programs see them.
    pub fn mounts(&self) -> Vec<String> {
        let all = std::fs::read_to_string(format!("/proc/{}/mountinfo", self.holder.id())).unwrap();
        let points = all.lines().filter_map(|l| l.split(' ').nth(4));
        let ours = self.dir.path().to_str().unwrap();
        points.filter(|p| p.starts_with(ours)).map(str::to_owned).collect()
    }

    /// huskctl's folders of pods.
    pub fn kept(&self) -> usize {
        std::fs::read_dir(self.path("data/pods")).map_or(0, Iterator::count)
    }

    fn processes(&self) -> Vec<Pid> {
        let ours = self.dir.path().to_str().unwrap().as_bytes().to_vec();
        let all = std::fs::read_dir("/proc").unwrap().flatten();
        let pids = all.filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok());
        let mine = pids.filter(|pid| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.windows(ours.len()).any(|w| w == ours)
        });
        mine.filter_map(Pid::from_raw).collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.path("cri.log")).unwrap_or_default();
            let lines: Vec<_> = log.lines().collect();
            eprintln!("--- husk-cri's last words\n{}", lines[lines.len().saturating_sub(40)..].join("\n"));
        }
        let removed = run(&mut self.command(&["rm", "--all", "--force"]));
        if let Some(pid) = i32::try_from(self.daemon.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let _ = self.daemon.wait();
        // Where removal failed, shims and their containers are still there.
        let left = self.processes();
        for pid in &left {
            let _ = kill_process(*pid, Signal::KILL);
        }
        let _ = self.holder.kill();
        let _ = self.holder.wait();
        if !std::thread::panicking() {
            removed.ok();
            assert!(left.is_empty(), "processes are left: {left:?}");
        }
    }
}

fn configured(dir: &Path, group: &str) -> PathBuf {
    let at = |name: &str| dir.join(name).display().to_string();
    let net = dir.join("net.d");
    std::fs::create_dir(&net).unwrap();
    let ipam = json!({
        "type": "host-local", "dataDir": at("ipam"), "ranges": [[{"subnet": "10.99.0.0/24"}]],
    });
    let plugins = json!([{"type": "bridge", "bridge": "husk0", "isGateway": true, "ipam": ipam}]);
    let list = json!({"cniVersion": "1.0.0", "name": "test", "plugins": plugins});
    std::fs::write(net.join("10-test.conflist"), list.to_string()).unwrap();
    let text = format!(
        "root = {:?}\nstate = {:?}\nlisten = {:?}\n[cgroup]\nparent = {group:?}\n\
         ignore_missing_controllers = true\n[network]\nconf_dir = {:?}\n",
        at("root"),
        at("state"),
        at("cri.sock"),
        at("net.d")
    );
    let path = dir.join("husk-cri.toml");
    std::fs::write(&path, text).unwrap();
    path
}
