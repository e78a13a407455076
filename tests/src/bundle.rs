//! OCI bundles with a root filesystem of busybox.

use serde_json::{Value, json};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

/// Programs that a test's root filesystem has, each a link to busybox.
const APPLETS: &[&str] = &[
    "cat", "chmod", "chown", "cp", "cut", "date", "dd", "df", "echo", "env", "expr", "false", "grep", "head",
    "hostname", "httpd", "id", "ifconfig", "ip", "kill", "ln", "ls", "mkdir", "mkfifo", "mknod", "mount",
    "mv", "nc", "od", "printf", "ps", "pwd", "readlink", "rm", "rmdir", "sed", "seq", "sh", "sleep", "sort",
    "stat", "stty", "sync", "tail", "test", "touch", "tr", "true", "tty", "ulimit", "umount", "uname",
    "unshare", "wc", "wget", "whoami", "yes",
];

/// A bundle in a temporary directory: `config.json` is written when a runtime is about to use it.
#[derive(Debug)]
pub struct Bundle {
    dir: tempfile::TempDir,
    /// The content of config.json, to be changed freely before the bundle is used.
    pub spec: Value,
}

impl Bundle {
    /// A bundle that runs `args` as root, without a terminal, under the default spec.
    pub fn new(args: &[&str]) -> Self {
        let bundle = Self::empty(args);
        let root = bundle.rootfs();
        for dir in ["bin", "dev", "etc", "proc", "sys", "tmp", "root", "mnt", "usr", "var"] {
            std::fs::create_dir(root.join(dir)).expect("a folder of the root filesystem");
        }
        // Not by this process: a program that another thread starts at this moment has the new file open for writing until
        // it is executed, and meanwhile nobody can execute the file (ETXTBSY).
        let mut copy = std::process::Command::new(busybox());
        copy.arg("cp").arg(busybox()).arg(root.join("bin/busybox"));
        crate::run(&mut copy).ok();
        for applet in APPLETS {
            symlink("busybox", root.join("bin").join(applet)).expect("a link to busybox");
        }
        std::fs::write(
            root.join("etc/passwd"),
            "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000::/tmp:/bin/sh\n",
        )
        .expect("etc/passwd");
        std::fs::write(root.join("etc/group"), "root:x:0:\nann:x:1000:\nstaff:x:50:ann\n")
            .expect("etc/group");
        bundle
    }

    /// A bundle whose root filesystem is empty.
    pub fn empty(args: &[&str]) -> Self {
        let dir = crate::temp_dir();
        std::fs::create_dir(dir.path().join("rootfs")).expect("rootfs");
        Self { dir, spec: default_spec(args) }
    }

    /// A bundle that runs a shell script.
    pub fn script(script: &str) -> Self {
        Self::new(&["sh", "-c", script])
    }

    /// The bundle's folder.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The root filesystem.
    pub fn rootfs(&self) -> PathBuf {
        self.dir.path().join("rootfs")
    }

    /// Sets the value at a JSON pointer (`/process/user/uid`), with the objects on the way where they are missing.
    #[track_caller]
    pub fn set(&mut self, pointer: &str, value: impl Into<Value>) -> &mut Self {
        put(&mut self.spec, pointer, value.into());
        self
    }

    /// Adds to the list at a JSON pointer.
    #[track_caller]
    pub fn push(&mut self, pointer: &str, value: Value) -> &mut Self {
        if self.spec.pointer(pointer).is_none() {
            self.set(pointer, json!([]));
        }
        let list = self.spec.pointer_mut(pointer).and_then(Value::as_array_mut);
        list.unwrap_or_else(|| panic!("{pointer} is no list")).push(value);
        self
    }

    /// Takes a namespace away (`network`), so that the container stays in the host's.
    pub fn without_namespace(&mut self, kind: &str) -> &mut Self {
        if let Some(list) = self.spec["linux"]["namespaces"].as_array_mut() {
            list.retain(|ns| ns["type"] != kind);
        }
        self
    }

    /// Has the container join a namespace by its file.
    pub fn join_namespace(&mut self, kind: &str, path: &Path) -> &mut Self {
        self.without_namespace(kind);
        self.push("/linux/namespaces", json!({"type": kind, "path": path}))
    }

    /// Adds a mount.
    pub fn mount(&mut self, destination: &str, kind: &str, source: &str, options: &[&str]) -> &mut Self {
        self.push(
            "/mounts",
            json!({"destination": destination, "type": kind, "source": source, "options": options}),
        )
    }

    /// Writes config.json as the spec stands now.
    pub fn write(&self) {
        self.write_with(&[]);
    }

    /// Writes config.json with other values at some JSON pointers, for what a container uses already; the spec itself stays.
    #[track_caller]
    pub fn write_with(&self, values: &[(&str, Value)]) {
        let mut spec = self.spec.clone();
        for (pointer, value) in values {
            put(&mut spec, pointer, value.clone());
        }
        let text = serde_json::to_vec_pretty(&spec).expect("JSON");
        // As a whole: another container may be made of the same bundle at this moment.
        let mode = std::fs::Permissions::from_mode(0o644);
        let file = tempfile::Builder::new().permissions(mode).tempfile_in(self.path()).expect("a file");
        std::fs::write(file.path(), text).expect("config.json");
        file.persist(self.path().join("config.json")).expect("config.json");
    }
}

/// Sets the value at a JSON pointer, with the objects on the way where they are missing.
#[track_caller]
fn put(spec: &mut Value, pointer: &str, value: Value) {
    let mut at = spec;
    for name in pointer.split('/').skip(1) {
        at = match at {
            Value::Array(list) => {
                let index: usize = name.parse().expect("an index");
                list.get_mut(index).expect("an element at the index")
            }
            _ => &mut at[name],
        };
    }
    *at = value;
}

/// Debian's static busybox.
fn busybox() -> &'static Path {
    let path = Path::new("/bin/busybox");
    assert!(path.exists(), "/bin/busybox is missing: run hack/deps test first");
    path
}

/// The spec that `runc spec` writes, for `args`, without a terminal and with a writable root filesystem.
pub fn default_spec(args: &[&str]) -> Value {
    let caps = json!(["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]);
    json!({
        "ociVersion": "1.0.2",
        "process": {
            "terminal": false,
            "user": {"uid": 0, "gid": 0},
            "args": args,
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
            "cwd": "/",
            "capabilities": {"bounding": caps, "effective": caps, "permitted": caps},
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
            "noNewPrivileges": true
        },
        "root": {"path": "rootfs", "readonly": false},
        "hostname": "husk",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
             "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
             "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
            {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
             "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]},
            {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue",
             "options": ["nosuid", "noexec", "nodev"]},
            {"destination": "/sys", "type": "sysfs", "source": "sysfs",
             "options": ["nosuid", "noexec", "nodev", "ro"]},
            {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
             "options": ["nosuid", "noexec", "nodev", "relatime", "ro"]}
        ],
        "linux": {
            "resources": {"devices": [{"allow": false, "access": "rwm"}]},
            "namespaces": [
                {"type": "pid"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"},
                {"type": "cgroup"}
            ],
            "maskedPaths": [
                "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
                "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi"
            ],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
        }
    })
}
