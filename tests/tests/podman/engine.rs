//! podman with storage, configuration and a view of the machine of its own.

use husk_tests::terminal::in_terminal;
use husk_tests::view::View;
use husk_tests::{Bundle, Done, run, temp_dir};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What podman needs beside the usual view. The id ranges are for `--userns=auto`.
const VIEW: &str = r#"
mkdir -p /var/lib/containers
mount -t tmpfs tmpfs /var/lib/containers
for file in subuid subgid; do
    echo containers:200000:262144 >"$1/$file"
    [ -e /etc/$file ] && mount --bind "$1/$file" /etc/$file
done
echo ready
exec sleep 1000000
"#;

/// What podman of an ordinary user needs: an account with ids of its own to map, and a runtime directory. Its processes end
/// with the PID namespace, and what is orphaned in it is reaped.
const USERS_VIEW: &str = r#"
cd "$1"
chmod 1777 /dev/shm
for file in passwd group subuid subgid; do
    cp /etc/$file $file
done
echo "podder:x:54321:54321::$1/home:/bin/sh" >>passwd
echo podder:x:54321: >>group
echo podder:200000:65536 >>subuid
echo podder:200000:65536 >>subgid
for file in passwd group subuid subgid; do
    mount --bind $file /etc/$file
done
[ -e /dev/net/tun ] || modprobe tun || true
if [ -e /dev/net/tun ]; then
    mknod tun c 10 200
    chmod 666 tun
    mount --bind tun /dev/net/tun
fi
mkdir -p /run/user/54321 home
chown 54321:54321 /run/user/54321 home
chmod 700 /run/user/54321
echo ready
exec docker-init -s -- sleep 1000000
"#;

/// The account of [`USERS_VIEW`].
const USER: u32 = 54321;

/// The account that the VM with systemd has, which systemd starts a manager for; its ranges of ids are 300000 and on.
const USER_OF_SYSTEMD: u32 = 12345;

/// podman with systemd needs nothing else; of a user, a folder of his own.
const SYSTEMDS_VIEW: &str = r#"
cd "$1"
chmod 1777 /dev/shm
mkdir home
chown 12345:12345 home
mkdir -p /var/lib/containers
mount -t tmpfs tmpfs /var/lib/containers
echo ready
exec sleep 1000000
"#;

/// An engine of its own, with one image named `busybox`. Its containers and cgroups go away with it.
pub struct Podman {
    dir: tempfile::TempDir,
    view: View,
    parent: String,
    user: Option<u32>,
    by_systemd: bool,
}

impl Podman {
    /// podman on husk, or on the runtime that `$RUNTIME` names by its path.
    pub fn new() -> Self {
        let podman = Self::build(None, false);
        podman.import();
        podman
    }

    /// podman with systemd as its cgroup manager, of root or of an ordinary user.
    pub fn by_systemd(rootless: bool) -> Self {
        if rootless {
            run(Command::new("systemctl").args(["start", &format!("user@{USER_OF_SYSTEMD}.service")])).ok();
        }
        let podman = Self::build(rootless.then_some(USER_OF_SYSTEMD), true);
        podman.import();
        podman
    }

    /// podman of an ordinary user; none where the machine lets nobody map further ids, which husk has no part in.
    pub fn of_a_user() -> Option<Self> {
        let podman = Self::build(Some(USER), false);
        let done = podman.podman(&["unshare", "true"]);
        if done.code != 0 {
            husk_tests::skip(&format!("podman unshare: {}", done.stderr.trim()));
            return None;
        }
        podman.import();
        Some(podman)
    }

    fn build(user: Option<u32>, by_systemd: bool) -> Self {
        let rootless = user.is_some();
        let runtime = match std::env::var_os("RUNTIME") {
            Some(path) if Path::new(&path).is_absolute() => PathBuf::from(path),
            _ => husk_tests::bin("husk"),
        };
        let dir = temp_dir();
        // The build may lie where the user can't go.
        let runtime = if rootless {
            let copy = dir.path().join("runtime");
            std::fs::copy(runtime, &copy).unwrap();
            copy
        } else {
            runtime
        };
        // The machine's root lacks CAP_SYS_RESOURCE, so hard limits can't be raised; and without a pids controller
        // podman's own limit of 2048 can't be set.
        let pids = if husk_tests::cgroup::controllers().iter().any(|name| name == "pids") { 2048 } else { 0 };
        let manager = if by_systemd { "systemd" } else { "cgroupfs" };
        std::fs::write(
            dir.path().join("containers.conf"),
            format!(
                "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\npids_limit = {pids}\n\
                 init_path = \"/usr/bin/docker-init\"\n\
                 [engine]\ncgroup_manager = \"{manager}\"\nevents_logger = \"file\"\nruntime = \"tested\"\n\
                 runtime_supports_json = [\"tested\"]\n\
                 [engine.runtimes]\ntested = [{runtime:?}]\n"
            ),
        )
        .unwrap();
        let view = match (by_systemd, rootless) {
            (true, _) => View::with_systemd(dir.path(), SYSTEMDS_VIEW),
            (false, true) => View::new(dir.path(), USERS_VIEW, true),
            (false, false) => View::new(dir.path(), VIEW, false),
        };
        Self { dir, view, parent: format!("/{}", husk_tests::unique("podman")), user, by_systemd }
    }

    fn import(&self) {
        let bundle = Bundle::new(&["true"]);
        let tar = self.path().join("image.tar");
        run(Command::new("tar").arg("-C").arg(bundle.rootfs()).arg("-cf").arg(&tar).arg(".")).ok();
        let tar = tar.to_str().unwrap();
        self.podman(&["import", "-q", "-c", "ENV PATH=/bin:/usr/bin", "-c", "CMD sh", tar, "busybox"]).ok();
    }

    /// Files of the test's own, seen by podman at the same place.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The command line of podman.
    pub fn command(&self, args: &[&str]) -> Command {
        let at = |name: &str| self.path().join(name);
        let mut command;
        if let Some(user) = self.user {
            command = self.view.command("setpriv");
            command.args([format!("--reuid={user}"), format!("--regid={user}")]);
            command.args(["--clear-groups", "podman"]);
            for name in ["XDG_CONFIG_HOME", "XDG_DATA_HOME", "DBUS_SESSION_BUS_ADDRESS", "TMPDIR"] {
                command.env_remove(name);
            }
            command.env("HOME", at("home")).env("XDG_RUNTIME_DIR", format!("/run/user/{user}"));
            if self.by_systemd {
                command.env("DBUS_SESSION_BUS_ADDRESS", format!("unix:path=/run/user/{user}/bus"));
            }
        } else {
            command = self.view.command("podman");
            command
                .arg("--root")
                .arg(at("root"))
                .arg("--runroot")
                .arg(at("run"))
                .arg("--tmpdir")
                .arg(at("tmp"));
            command.env("HOME", self.path());
        }
        command.args(["--storage-driver", "vfs"]).args(args).env("CONTAINERS_CONF", at("containers.conf"));
        command
    }

    /// `husk explain`, which sees what podman sees; none where another runtime is below podman.
    pub fn explain(&self, id: &str) -> Option<Done> {
        if std::env::var_os("RUNTIME").is_some() {
            return None;
        }
        let husk = husk_tests::bin("husk");
        Some(run(self.view.command(husk.to_str().unwrap()).args(["explain", id])))
    }

    /// podman, to its end.
    #[track_caller]
    pub fn podman(&self, args: &[&str]) -> Done {
        run(&mut self.command(args))
    }

    /// `podman run` without a network, under the test's cgroup; `args` are further flags, image and command.
    #[track_caller]
    pub fn run(&self, args: &[&str]) -> Done {
        let mut all = vec!["run", "--network=none"];
        if self.user.is_none() && !self.by_systemd {
            all.extend(["--cgroup-parent", &self.parent]);
        }
        all.extend(args);
        self.podman(&all)
    }

    /// A container with a name that runs in the background.
    #[track_caller]
    pub fn start(&self, name: &str, args: &[&str]) {
        let mut all = vec!["-d", "--name", name];
        all.extend(args);
        self.run(&all).ok();
    }

    /// podman with the terminal that script(1) makes.
    #[track_caller]
    pub fn with_terminal(&self, args: &[&str]) -> Done {
        in_terminal(&self.command(args))
    }

    /// A program beside podman, in its network.
    #[track_caller]
    pub fn host(&self, line: &[&str]) -> Done {
        run(self.view.command(line[0]).args(&line[1..]))
    }

    /// A value of `podman inspect`, by Go template.
    #[track_caller]
    pub fn inspect(&self, name: &str, template: &str) -> String {
        self.podman(&["inspect", "--format", template, name]).ok().text().to_owned()
    }

    /// The cgroup below which the test's containers are.
    pub fn parent(&self) -> &str {
        &self.parent
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        let _ = run(&mut self.command(&["pod", "rm", "--all", "--force", "--time=0"]));
        let _ = run(&mut self.command(&["rm", "--all", "--force", "--time=0"]));
        self.view.end();
        // podman leaves the empty groups of its containers' parent and of its monitor.
        for root in [
            husk_tests::cgroup::root().join(&self.parent[1..]),
            husk_tests::cgroup::root().join("libpod_parent"),
        ] {
            let _ = run(Command::new("find")
                .arg(&root)
                .args(["-depth", "-type", "d", "-exec", "rmdir", "{}", ";"]));
        }
    }
}
