//! A view of the machine of a container engine's own.

use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Own network and mounts, cgroup v2 alone, and a /run and a /dev/shm that go away. What `$2` names below /run stays.
const VIEW: &str = r#"
set -e
for kept in $2; do
    mkdir -p "$1/kept/$kept"
    mount --bind "/run/$kept" "$1/kept/$kept"
done
mount -t tmpfs tmpfs /run
for kept in $2; do
    mkdir -p "/run/$kept"
    mount --move "$1/kept/$kept" "/run/$kept"
done
mount -t tmpfs tmpfs /dev/shm
if [ -d /sys/fs/cgroup/unified ]; then
    umount -R -l /sys/fs/cgroup
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
fi
ip link set lo up
"#;

/// The namespaces of an engine, held by a process of the test's.
#[derive(Debug)]
pub struct View {
    holder: Child,
    pids: bool,
}

impl View {
    /// The view, with what `script` changes and starts in it: `$1` is `dir`; it has to write `ready` and to go on running.
    /// Where `pids` is set there is a PID namespace as well, so that all that was started in the view ends with it.
    pub fn new(dir: &Path, script: &str, pids: bool) -> Self {
        Self::build(dir, script, pids, "")
    }

    /// A view in which the sockets of the machine's systemd and of its users' stay, and all processes, as systemd has to find
    /// them by their ids. Whoever makes it ends what runs in it.
    pub fn with_systemd(dir: &Path, script: &str) -> Self {
        Self::build(dir, script, false, "systemd dbus user")
    }

    fn build(dir: &Path, script: &str, pids: bool, kept: &str) -> Self {
        let mut command = Command::new("unshare");
        command.args(["--net", "--mount", "--propagation", "private"]);
        if pids {
            command.args(["--pid", "--fork", "--kill-child", "--mount-proc"]);
        }
        let mut holder = command
            .args(["sh", "-c", &format!("{VIEW}{script}"), "sh"])
            .arg(dir)
            .arg(kept)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = [0; 5];
        holder.stdout.as_mut().unwrap().read_exact(&mut ready).expect("a view of the machine");
        Self { holder, pids }
    }

    /// A command that runs in the view's namespaces.
    pub fn command(&self, program: &str) -> Command {
        let holder = self.holder.id();
        let mut command = Command::new("nsenter");
        command.args(["--target", &holder.to_string(), "--net", "--mount"]);
        if self.pids {
            let file = format!("--pid=/proc/{holder}/ns/pid_for_children");
            command.arg(file);
        }
        command.arg(program);
        command
    }

    /// Ends the process that holds the view, which dropping does as well.
    pub fn end(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

impl Drop for View {
    fn drop(&mut self) {
        self.end();
    }
}
