//! Mounts of a container: the default ones, the sandbox's files, and the client's.

use std::path::{Component, Path, PathBuf};

use husk_cri_api::{LinuxContainerSecurityContext, Mount, MountPropagation};
use serde_json::{Value, json};

use super::Input;
use super::namespaces::Kind;
use crate::error::{Context, Error, Result};
use crate::mountinfo;

/// The list, and the propagation of the root mount that it needs.
pub struct Mounts {
    pub list: Vec<Value>,
    pub propagation: Option<&'static str>,
}

/// All mounts, parents before children.
pub fn all(input: &Input<'_>, context: &LinuxContainerSecurityContext) -> Result<Mounts> {
    let mut list = Vec::new();
    let taken: Vec<PathBuf> = input.config.mounts.iter().map(|m| normal(&m.container_path)).collect();
    let mut default = |destination: &str, value: Value| {
        if !taken.iter().any(|path| path == Path::new(destination)) {
            list.push(value);
        }
    };
    for (destination, kind, source, options) in kernel(context.privileged, input) {
        default(
            destination,
            json!({"destination": destination, "type": kind, "source": source, "options": options}),
        );
    }
    let shm = input.shm.unwrap_or(Path::new("/dev/shm"));
    default("/dev/shm", bind("/dev/shm", shm, &["rbind", "rprivate", "rw"]));
    for name in ["hostname", "hosts", "resolv.conf"] {
        let destination = format!("/etc/{name}");
        let access = if context.readonly_rootfs { "ro" } else { "rw" };
        default(&destination, bind(&destination, &input.files.join(name), &["rbind", "rprivate", access]));
    }

    let mut propagation = None;
    let mut own = Vec::new();
    for (index, mount) in input.config.mounts.iter().enumerate() {
        let field = format!("config.mounts[{index}]");
        let volume = input.image_volumes.get(index).and_then(Option::as_deref);
        let (value, needs) = client(&field, mount, volume)?;
        propagation = propagation.max(needs);
        own.push((normal(&mount.container_path).components().count(), value));
    }
    // A mount on /a hides what was mounted on /a/b before it.
    own.sort_by_key(|(depth, _)| *depth);
    list.extend(own.into_iter().map(|(_, value)| value));
    let propagation = propagation.map(|needs| match needs {
        Needs::Slave => "rslave",
        Needs::Shared => "rshared",
    });
    Ok(Mounts { list, propagation })
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Needs {
    Slave,
    Shared,
}

type Row = (&'static str, &'static str, &'static str, Vec<&'static str>);

/// Kernel filesystems. The host's /sys is read-only to all but privileged containers.
fn kernel(privileged: bool, input: &Input<'_>) -> Vec<Row> {
    let access = if privileged { "rw" } else { "ro" };
    let guarded = |access: &'static str| vec!["nosuid", "noexec", "nodev", access];
    let mut rows = vec![
        ("/proc", "proc", "proc", vec!["nosuid", "noexec", "nodev"]),
        ("/dev", "tmpfs", "tmpfs", vec!["nosuid", "strictatime", "mode=755", "size=65536k"]),
        (
            "/dev/pts",
            "devpts",
            "devpts",
            vec!["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        ),
    ];
    // A mqueue mount shows the IPC namespace of who mounts it: with the host's, it would be the host's own.
    if input.namespaces.is_own(Kind::Ipc) {
        rows.push(("/dev/mqueue", "mqueue", "mqueue", vec!["nosuid", "noexec", "nodev"]));
    }
    rows.push(("/sys", "sysfs", "sysfs", guarded(access)));
    let mut cgroup = guarded(access);
    cgroup.insert(3, "relatime");
    rows.push(("/sys/fs/cgroup", "cgroup", "cgroup", cgroup));
    rows
}

fn bind(destination: &str, source: &Path, options: &[&str]) -> Value {
    json!({"destination": destination, "type": "bind", "source": source, "options": options})
}

fn normal(path: &str) -> PathBuf {
    Path::new(path).components().filter(|part| !matches!(part, Component::CurDir)).collect()
}

/// A mount of the client.
fn client(field: &str, mount: &Mount, volume: Option<&Path>) -> Result<(Value, Option<Needs>)> {
    let destination = Path::new(&mount.container_path);
    let name = |key: &str| format!("{field}.{key}");
    if !destination.is_absolute() || destination.components().any(|part| matches!(part, Component::ParentDir))
    {
        let why = format!("{:?} is not an absolute path without \"..\"", mount.container_path);
        return Err(Error::invalid(name("container_path"), why));
    }
    if normal(&mount.container_path) == Path::new("/") {
        return Err(Error::invalid(name("container_path"), "the root itself can't be mounted over"));
    }
    if !mount.uid_mappings.is_empty() || !mount.gid_mappings.is_empty() {
        return Err(Error::invalid(name("uidMappings"), "id-mapped mounts are not supported"));
    }
    if !mount.mount_options.is_empty() {
        return Err(Error::invalid(name("mount_options"), "are not supported"));
    }
    let source = match volume {
        Some(path) => path.to_owned(),
        None => host_path(&name("host_path"), &mount.host_path)?,
    };
    let (propagation, needs) = match mount.propagation() {
        MountPropagation::PropagationPrivate => ("rprivate", None),
        MountPropagation::PropagationHostToContainer => ("rslave", Some(Needs::Slave)),
        MountPropagation::PropagationBidirectional => ("rshared", Some(Needs::Shared)),
    };
    if let Some(needs) = needs {
        propagates(&name("propagation"), &source, needs)?;
    }
    let read_only = mount.readonly || volume.is_some();
    let access = match (mount.recursive_read_only, read_only) {
        (true, false) => return Err(Error::invalid(name("recursive_read_only"), "needs readonly")),
        (true, true) if needs.is_some() => {
            return Err(Error::invalid(name("recursive_read_only"), "needs private propagation"));
        }
        (true, true) => "rro",
        (false, true) => "ro",
        (false, false) => "rw",
    };
    Ok((bind(&mount.container_path, &source, &["rbind", propagation, access]), needs))
}

/// The real path of a volume, made where it is missing.
fn host_path(field: &str, path: &str) -> Result<PathBuf> {
    if !Path::new(path).is_absolute() {
        return Err(Error::invalid(field, format!("{path:?} is not an absolute path")));
    }
    match std::fs::canonicalize(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            std::fs::create_dir_all(path).on("create", path)?;
            std::fs::canonicalize(path).on("resolve", path)
        }
        found => found.on("resolve", path),
    }
}

/// Refuses a propagation that the host's mount can't give: the container would silently not see what it waits for.
fn propagates(field: &str, source: &Path, needs: Needs) -> Result<()> {
    let Some(mount) = mountinfo::holding(source)? else {
        return Ok(());
    };
    let fits = mount.shared || (needs == Needs::Slave && mount.slave);
    if fits {
        return Ok(());
    }
    let what = if needs == Needs::Shared { "shared" } else { "shared or slave" };
    let why = format!("{} is on {}, which is not a {what} mount", source.display(), mount.point.display());
    Err(Error::invalid(field, why))
}
