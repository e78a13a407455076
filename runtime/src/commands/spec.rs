//! `husk spec`: writes a config.json to begin with.

use crate::cli::Global;
use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use std::{io::Write as _, path::PathBuf, process::ExitCode};

/// Arguments of `husk spec`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Directory to write config.json to (default: the current directory)
    #[arg(long, short, value_name = "DIR")]
    pub bundle: Option<PathBuf>,
    /// Write one that an ordinary user can run: own user namespace, the host's network, no limits
    #[arg(long)]
    pub rootless: bool,
}

/// Writes the file.
pub fn run(_global: &Global, args: &Args) -> anyhow::Result<ExitCode> {
    let path = args.bundle.clone().unwrap_or_default().join("config.json");
    let mut spec = example();
    if args.rootless {
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        make_rootless(&mut spec, uid, gid);
    }
    let mut text = serde_json::to_string_pretty(&spec)?;
    text.push('\n');
    let mut file = match std::fs::File::options().write(true).create_new(true).open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            bail!("{} exists already: remove it first", path.display())
        }
        Err(error) => return Err(error).with_context(|| format!("create {}", path.display())),
    };
    file.write_all(text.as_bytes()).with_context(|| format!("write {}", path.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// A shell in a container of its own, with the rights that containers have as a rule.
pub fn example() -> Value {
    let caps = json!(["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]);
    json!({
        // It has nothing newer in it, and runtimes such as crun before 1.9 refuse what is newer than they are.
        "ociVersion": "1.0.2",
        "process": {
            "terminal": true,
            "user": {"uid": 0, "gid": 0},
            "args": ["sh"],
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
            "cwd": "/",
            "capabilities": {"bounding": caps, "effective": caps, "permitted": caps},
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
            "noNewPrivileges": true
        },
        "root": {"path": "rootfs", "readonly": true},
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
                "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
                "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi"
            ],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
        }
    })
}

/// What an ordinary user may have: an own user namespace, the host's network and so the host's /sys, no limits.
fn make_rootless(spec: &mut Value, uid: u32, gid: u32) {
    if let Some(namespaces) = spec["linux"]["namespaces"].as_array_mut() {
        namespaces.retain(|namespace| namespace["type"] != "network");
        namespaces.push(json!({"type": "user"}));
    }
    spec["linux"]["uidMappings"] = json!([{"containerID": 0, "hostID": uid, "size": 1}]);
    spec["linux"]["gidMappings"] = json!([{"containerID": 0, "hostID": gid, "size": 1}]);
    if let Some(linux) = spec["linux"].as_object_mut() {
        linux.remove("resources");
    }
    if let Some(mounts) = spec["mounts"].as_array_mut() {
        for mount in mounts {
            match mount["destination"].as_str() {
                Some("/sys") => {
                    *mount = json!({"destination": "/sys", "type": "none", "source": "/sys",
                        "options": ["rbind", "nosuid", "noexec", "nodev", "ro"]});
                }
                // The group tty is not mapped.
                Some("/dev/pts") => {
                    mount["options"] =
                        json!(["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]);
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{example, make_rootless};
    use crate::plan;
    use std::path::Path;

    #[test]
    fn both_examples_can_be_planned() {
        let mut spec = example();
        for rootless in [false, true] {
            if rootless {
                make_rootless(&mut spec, 1000, 1001);
            }
            let parsed = serde_json::from_value(spec.clone()).unwrap();
            let plan = plan::plan(&parsed, Path::new("/b")).unwrap();
            assert_eq!(plan.namespaces.maps.uids.len(), usize::from(rootless));
        }
    }
}
