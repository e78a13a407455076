//! podman with storage, configuration and a view of the machine of its own.

use husk_tests::{Bundle, Done, run, temp_dir};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The machine as podman is to see it: its own network and mounts, cgroup v2 alone, and nothing of /run, /dev/shm (where
/// podman's locks are) or /var/lib that would stay behind or be shared with a podman beside it. The id ranges are for `--userns=auto`.
const VIEW: &str = r#"
set -e
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /dev/shm
mkdir -p /var/lib/containers
mount -t tmpfs tmpfs /var/lib/containers
if [ -d /sys/fs/cgroup/unified ]; then
    umount -R -l /sys/fs/cgroup
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
fi
for file in subuid subgid; do
    echo containers:200000:262144 >"$1/$file"
    [ -e /etc/$file ] && mount --bind "$1/$file" /etc/$file
done
ip link set lo up
echo ready
exec sleep 1000000
"#;

/// An engine of its own, with one image named `busybox`. Its containers and cgroups go away with it.
pub struct Podman {
    dir: tempfile::TempDir,
    holder: Child,
    runtime: PathBuf,
    parent: String,
}

impl Podman {
    /// podman on husk, or on the runtime that `$RUNTIME` names by its path.
    pub fn new() -> Self {
        let runtime = match std::env::var_os("RUNTIME") {
            Some(path) if Path::new(&path).is_absolute() => PathBuf::from(path),
            _ => husk_tests::bin("husk"),
        };
        let dir = temp_dir();
        // The machine's root lacks CAP_SYS_RESOURCE, so hard limits can't be raised; and without a pids controller
        // podman's own limit of 2048 can't be set.
        let pids = if husk_tests::cgroup::controllers().iter().any(|name| name == "pids") { 2048 } else { 0 };
        std::fs::write(
            dir.path().join("containers.conf"),
            format!(
                "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\npids_limit = {pids}\n\
                 [engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n"
            ),
        )
        .unwrap();
        let mut holder = Command::new("unshare")
            .args(["--net", "--mount", "--propagation", "private", "sh", "-c", VIEW, "sh"])
            .arg(dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = [0; 5];
        holder.stdout.as_mut().unwrap().read_exact(&mut ready).expect("podman's view of the machine");
        let podman = Self { dir, holder, runtime, parent: format!("/{}", husk_tests::unique("podman")) };
        podman.import();
        podman
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
        let mut command = Command::new("nsenter");
        let at = |name: &str| self.path().join(name);
        command
            .args(["--target", &self.holder.id().to_string(), "--net", "--mount", "podman"])
            .arg("--root")
            .arg(at("root"))
            .arg("--runroot")
            .arg(at("run"))
            .arg("--tmpdir")
            .arg(at("tmp"))
            .args(["--storage-driver", "vfs", "--runtime"])
            .arg(&self.runtime)
            .args(args)
            .env("CONTAINERS_CONF", at("containers.conf"))
            .env("HOME", self.path());
        command
    }

    /// podman, to its end.
    #[track_caller]
    pub fn podman(&self, args: &[&str]) -> Done {
        run(&mut self.command(args))
    }

    /// `podman run` without a network, under the test's cgroup; `args` are further flags, image and command.
    #[track_caller]
    pub fn run(&self, args: &[&str]) -> Done {
        let mut all = vec!["run", "--network=none", "--cgroup-parent", &self.parent];
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
        let _ = self.holder.kill();
        let _ = self.holder.wait();
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
