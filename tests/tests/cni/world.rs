//! A node and its sandboxes, each a network namespace held by a sleeping process.

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use husk_cni::{Cni, Settings};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::{Value, json};

/// A network namespace that ends with this value.
pub struct Namespace {
    holder: Child,
}

impl Namespace {
    pub fn new() -> Self {
        let mine = std::fs::read_link("/proc/thread-self/ns/net").unwrap();
        // Should this test be killed, the kernel ends the holder.
        let holder = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "unshare", "--net", "sleep", "100000"])
            .spawn()
            .unwrap();
        let namespace = Self { holder };
        let deadline = Instant::now() + Duration::from_secs(60);
        // unshare first is in our namespace, and only the sleep that it becomes is surely in the new one.
        while std::fs::read_link(namespace.path()).is_ok_and(|ns| ns == mine) || !namespace.sleeps() {
            assert!(Instant::now() < deadline, "unshare --net did not get there");
            std::thread::sleep(Duration::from_millis(2));
        }
        namespace
    }

    pub fn path(&self) -> PathBuf {
        format!("/proc/{}/ns/net", self.holder.id()).into()
    }

    fn sleeps(&self) -> bool {
        std::fs::read_to_string(format!("/proc/{}/comm", self.holder.id())).is_ok_and(|c| c.trim() == "sleep")
    }

    /// What a command says inside.
    pub fn run(&self, command: &str) -> String {
        let net = format!("--net={}", self.path().display());
        output(Command::new("nsenter").args([&net, "--", "sh", "-c", command]))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// The node: this thread is in its namespace, with directories of its own.
pub struct Node {
    _namespace: Namespace,
    dir: tempfile::TempDir,
    bin_dirs: Vec<PathBuf>,
    timeout: Duration,
}

impl Node {
    /// A node with the machine's plugins.
    pub fn new() -> Self {
        Self::with(vec!["/opt/cni/bin".into(), "/usr/lib/cni".into()], Duration::from_secs(60))
    }

    /// A node with plugins that are shell scripts.
    pub fn scripted(scripts: &[(&str, &str)], timeout: Duration) -> Self {
        let mut node = Self::with(Vec::new(), timeout);
        node.bin_dirs.push(node.path("bin"));
        std::fs::create_dir(node.path("bin")).unwrap();
        for (name, text) in scripts {
            node.script(name, text);
        }
        node
    }

    fn with(bin_dirs: Vec<PathBuf>, timeout: Duration) -> Self {
        let namespace = Namespace::new();
        let fd = File::open(namespace.path()).unwrap();
        move_into_link_name_space(fd.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("net.d")).unwrap();
        Self { _namespace: namespace, dir, bin_dirs, timeout }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// (Re)writes a plugin; it answers VERSION, then does as the text says.
    pub fn script(&self, name: &str, text: &str) {
        let version = r#"[ "$CNI_COMMAND" != VERSION ] || exec echo '{"cniVersion":"1.1.0","supportedVersions":["0.4.0","1.0.0","1.1.0"]}'"#;
        let path = self.path("bin").join(name);
        let draft = self.path("bin").join(format!(".{name}"));
        std::fs::write(&draft, format!("#!/bin/sh\n{version}\n{text}\n")).unwrap();
        std::fs::set_permissions(&draft, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::rename(draft, path).unwrap();
    }

    /// Writes the node's network list.
    pub fn list(&self, version: &str, plugins: &Value) {
        let list = json!({"cniVersion": version, "name": "husknet", "plugins": plugins});
        std::fs::write(self.path("net.d/10-husk.conflist"), list.to_string()).unwrap();
    }

    /// A bridge `husk0` with addresses of 10.77.0.0/24, recorded in this node's directory.
    pub fn bridge(&self) -> Value {
        let ranges = json!([[{"subnet": "10.77.0.0/24"}]]);
        let ipam = json!({"type": "host-local", "dataDir": self.path("ipam"), "ranges": ranges});
        json!({"type": "bridge", "bridge": "husk0", "isGateway": true, "ipMasq": true, "ipam": ipam})
    }

    /// Addresses that host-local holds.
    pub fn held(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path("ipam/husknet")).into_iter().flatten().flatten();
        let mut names: Vec<_> = entries.filter_map(|e| e.file_name().into_string().ok()).collect();
        names.retain(|n| n.starts_with(|c: char| c.is_ascii_digit()));
        names.sort();
        names
    }

    /// A client, as a daemon that has just started makes one.
    pub fn cni(&self) -> Cni {
        Cni::new(Settings {
            conf_dir: self.path("net.d"),
            bin_dirs: self.bin_dirs.clone(),
            cache_dir: self.path("cache"),
            timeout: self.timeout,
        })
    }

    /// What a command says on the node.
    pub fn run(&self, command: &str) -> String {
        output(Command::new("sh").args(["-c", command]).current_dir(self.dir.path()))
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }
}

fn output(command: &mut Command) -> String {
    let out = command.output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{command:?}: {said}");
    said
}

/// True if a process with this id is there and not a zombie.
pub fn alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid).join("stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}
