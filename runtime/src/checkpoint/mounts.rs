//! Mounts that are not criu's to save: what comes from the host is found at its place again on restore.
//!
//! criu is told of each as `mnt[KEY]:VALUE`: on dump the mount point and a name, on restore the name and a path of the host.
//! The name is the destination that config.json has, so that links in the root filesystem make no difference.

use crate::{
    init::resolve,
    plan::{
        Plan,
        mounts::{Mount, Source},
        namespaces::Kind,
    },
};
use anyhow::{Context as _, bail};
use husk_sys::mountinfo;
use rustix::fs::{AtFlags, Mode, OFlags, StatxFlags};
use std::{
    os::fd::{AsFd as _, BorrowedFd},
    path::{Path, PathBuf},
};

/// A mount, as criu is told of it.
struct Line {
    id: u64,
    point: String,
}

fn parse(text: &[u8]) -> Vec<Line> {
    let line =
        |mount: mountinfo::Mount| Line { id: mount.id, point: mount.point.to_string_lossy().into_owned() };
    mountinfo::parse(text).map(line).collect()
}

/// Fails where a mount can't be brought back as it is.
pub fn check(plan: &Plan) -> anyhow::Result<()> {
    if plan.shares_mounts() {
        bail!(
            "linux.namespaces has no mount namespace: criu can't tell the container's mounts from the host's"
        );
    }
    if let Some(mount) = plan.mounts.iter().find(|mount| mount.idmap.is_some()) {
        bail!(
            "{} is id-mapped, which criu can't restore: its files would have other owners then",
            mount.place()
        );
    }
    Ok(())
}

/// What criu is told before a dump of process `pid`.
pub fn of_running(plan: &Plan, pid: i32) -> anyhow::Result<Vec<String>> {
    let path = format!("/proc/{pid}/mountinfo");
    let lines = parse(&std::fs::read(&path).with_context(|| format!("read {path}"))?);
    let path = format!("/proc/{pid}/root");
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root =
        rustix::fs::open(path.as_str(), flags, Mode::empty()).with_context(|| format!("open {path}"))?;
    let mut external = Vec::new();
    let mut tell = |point: &str, name: &str| {
        let entry = format!("mnt[{point}]:{name}");
        if point != "/" && !external.contains(&entry) {
            external.push(entry);
        }
    };
    for mount in plan.mounts.iter().filter(|mount| is_external(plan, mount)) {
        let name = mount.destination.to_string_lossy();
        let Some(own) = line_at(root.as_fd(), &mount.destination, &lines) else { continue };
        tell(&own.point, &name);
        // What the host has mounted below a source came along with it.
        for below in lines.iter().filter(|line| is_below(&line.point, &own.point)) {
            let rest = below.point.get(own.point.len()..).unwrap_or_default();
            if !plan.mounts.iter().any(|other| other.destination == Path::new(&below.point)) {
                tell(&below.point, &format!("{name}{rest}"));
            }
        }
    }
    for path in single_files(plan) {
        if let Some(line) = lines.iter().find(|line| Path::new(&line.point) == path)
            && !is_directory(root.as_fd(), path)
        {
            tell(&line.point, &line.point);
        }
    }
    Ok(external)
}

/// What criu is told before a restore. It does not mind names that the images do not have.
pub fn of_host(plan: &Plan, cgroup: Option<&Path>) -> anyhow::Result<Vec<String>> {
    let text = std::fs::read("/proc/self/mountinfo").context("read /proc/self/mountinfo")?;
    let lines = parse(&text);
    let mut external = Vec::new();
    for mount in plan.mounts.iter().filter(|mount| is_external(plan, mount)) {
        let name = mount.destination.to_string_lossy();
        match (&mount.source, cgroup) {
            (Source::Bind { path, recursive }, _) => {
                let source = source(plan, path, mount)?;
                let text = source.to_string_lossy();
                external.push(format!("mnt[{name}]:{text}"));
                for below in lines.iter().filter(|line| *recursive && is_below(&line.point, &text)) {
                    let rest = below.point.get(text.trim_end_matches('/').len()..).unwrap_or_default();
                    external.push(format!("mnt[{name}{rest}]:{}", below.point));
                }
            }
            (_, Some(cgroup)) => external.push(format!("mnt[{name}]:{}", cgroup.display())),
            _ => {}
        }
    }
    let null = Path::new("/dev/null");
    let masked = plan.masked.iter().map(|path| (path.as_path(), null));
    // In images of runc's all masks have this name.
    let of_runc = std::iter::once((null, null));
    let devices = devices(plan).filter(|path| *path != null).map(|path| (path, path));
    for (name, source) in masked.chain(of_runc).chain(devices) {
        external.push(format!("mnt[{}]:{}", name.display(), source.display()));
    }
    Ok(external)
}

/// The source of a bind mount on the host.
pub fn source(plan: &Plan, path: &Path, mount: &Mount) -> anyhow::Result<PathBuf> {
    let path = plan.bundle.join(path);
    path.canonicalize().with_context(|| format!("{}: source {}", mount.place(), path.display()))
}

/// Bind mounts, and the host's cgroups where the container has no view of its own.
fn is_external(plan: &Plan, mount: &Mount) -> bool {
    match mount.source {
        Source::Bind { .. } => true,
        Source::Cgroup => !plan.namespaces.has_own_or_joined(Kind::Cgroup),
        Source::Filesystem { .. } | Source::Remount { .. } => false,
    }
}

/// Files that something of the host's may be mounted on: masks, and devices in a user namespace.
fn single_files(plan: &Plan) -> impl Iterator<Item = &Path> {
    plan.masked.iter().map(PathBuf::as_path).chain(devices(plan))
}

fn devices(plan: &Plan) -> impl Iterator<Item = &Path> {
    plan.devices.iter().map(|device| device.path.as_path())
}

/// The mount that is on a path of the container; nothing where the path is not there.
fn line_at<'a>(root: BorrowedFd<'_>, path: &Path, lines: &'a [Line]) -> Option<&'a Line> {
    let handle = resolve::open(root, path).ok()?;
    let found = rustix::fs::statx(&handle, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID).ok()?;
    lines.iter().find(|line| line.id == found.stx_mnt_id)
}

fn is_directory(root: BorrowedFd<'_>, path: &Path) -> bool {
    resolve::open(root, path).is_ok_and(|handle| resolve::is_dir(handle.as_fd()))
}

fn is_below(path: &str, dir: &str) -> bool {
    path.strip_prefix(dir.trim_end_matches('/')).is_some_and(|rest| rest.len() > 1 && rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::{check, is_below, of_host};
    use crate::plan::testing::plan_with;
    use serde_json::json;

    #[test]
    fn below_is_not_beside() {
        assert!(is_below("/a/b", "/a") && is_below("/a", "/"));
        assert!(!is_below("/ab", "/a") && !is_below("/a", "/a"));
    }

    #[test]
    fn sources_of_the_host_are_named_by_their_destination() {
        let plan = plan_with(|config| {
            config["mounts"] = json!([
                {"destination": "/data", "source": "/usr", "options": ["bind"]},
                {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"}
            ]);
            config["linux"]["maskedPaths"] = json!(["/proc/keys"]);
        });
        let external = of_host(&plan.unwrap(), None).unwrap();
        assert!(external.contains(&"mnt[/data]:/usr".to_owned()), "{external:?}");
        assert!(external.contains(&"mnt[/proc/keys]:/dev/null".to_owned()));
        assert!(!external.iter().any(|entry| entry.contains("/tmp")));
    }

    #[test]
    fn an_idmapped_mount_is_refused_by_its_place() {
        let mapping = json!([{"containerID": 0, "hostID": 1000, "size": 1}]);
        let plan = plan_with(|config| {
            config["mounts"] = json!([{"destination": "/d", "source": "/usr", "options": ["bind"],
                "uidMappings": mapping, "gidMappings": mapping}]);
        });
        assert!(check(&plan.unwrap()).unwrap_err().to_string().starts_with("mounts[0] (/d) is id-mapped"));
    }
}
