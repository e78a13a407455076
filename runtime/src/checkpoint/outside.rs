//! What belongs to others and not to the images: namespaces that were joined, and standard streams.

use crate::plan::{Plan, namespaces::Kind};
use anyhow::{Context as _, bail};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, StatxFlags};
use std::{
    collections::HashSet,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

/// File among the images that says what descriptors 0, 1 and 2 of init were, as a list of texts; runc and crun have it too.
const DESCRIPTORS: &str = "descriptors.json";

/// Namespaces that criu leaves alone and finds again by a descriptor: their kinds, and criu's and runc's names for them.
const LEFT_ALONE: [(Kind, &str, &str); 2] =
    [(Kind::Network, "net", "extRootNetNS"), (Kind::Pid, "pid", "extRootPidNS")];

/// What criu is told of joined namespaces before a dump.
pub fn namespaces_of(plan: &Plan, pid: i32) -> anyhow::Result<Vec<String>> {
    let mut external = Vec::new();
    for (kind, word, name) in LEFT_ALONE.iter().filter(|(kind, ..)| plan.namespaces.is_joined(*kind)) {
        let path = format!("/proc/{pid}/ns/{word}");
        let stat = rustix::fs::stat(path.as_str()).with_context(|| format!("{path} ({})", kind.word()))?;
        external.push(format!("{word}[{}]:{name}", stat.st_ino));
    }
    Ok(external)
}

/// What a restored container finds from outside.
#[derive(Debug, Default)]
pub struct Joined {
    /// Name in the images and descriptor.
    pub inherit: Vec<(String, OwnedFd)>,
    /// Type and path of namespaces that criu joins by itself.
    pub join: Vec<(&'static str, String)>,
}

/// Opens the namespaces that config.json names.
pub fn join(plan: &Plan) -> anyhow::Result<Joined> {
    let mut joined = Joined::default();
    for (kind, path) in &plan.namespaces.join {
        if let Some((_, _, name)) = LEFT_ALONE.iter().find(|(left, ..)| left == kind) {
            let flags = OFlags::RDONLY | OFlags::CLOEXEC;
            let fd = rustix::fs::open(path, flags, Mode::empty())
                .with_context(|| format!("open the {} namespace {}", kind.word(), path.display()))?;
            joined.inherit.push(((*name).to_owned(), fd));
            continue;
        }
        let word = match kind {
            Kind::Ipc => "ipc",
            Kind::Uts => "uts",
            Kind::Time => "time",
            other => bail!(
                "config.json: linux.namespaces: criu can't restore into the {} namespace {}",
                other.word(),
                path.display()
            ),
        };
        joined.join.push((word, path.display().to_string()));
    }
    Ok(joined)
}

/// The standard streams of init: texts for [`DESCRIPTORS`], and what criu is told of those that the container can't reach
/// by a path. `tty` says whether a terminal of the caller's is husk's to name (without `--shell-job`).
pub fn streams_of(pid: i32, tty: bool) -> anyhow::Result<(Vec<String>, Vec<String>)> {
    let path = format!("/proc/{pid}/mountinfo");
    let text = std::fs::read(&path).with_context(|| format!("read {path}"))?;
    let own: HashSet<u64> = husk_sys::mountinfo::parse(&text).map(|mount| mount.id).collect();
    let (mut texts, mut external) = (Vec::new(), Vec::new());
    for number in 0..3 {
        let path = format!("/proc/{pid}/fd/{number}");
        // A stream may be closed.
        let text = match std::fs::read_link(&path) {
            Ok(target) if target.to_string_lossy().starts_with("pipe:") => {
                target.to_string_lossy().into_owned()
            }
            Ok(target) => match name(&path, &own, tty) {
                Some(name) => {
                    external.push(name.clone());
                    name
                }
                None => target.to_string_lossy().into_owned(),
            },
            Err(_) => String::new(),
        };
        texts.push(text);
    }
    external.dedup();
    Ok((texts, external))
}

/// criu's name for an open file of the host's.
fn name(path: &str, own: &HashSet<u64>, tty: bool) -> Option<String> {
    let wanted = StatxFlags::BASIC_STATS | StatxFlags::MNT_ID;
    let found = rustix::fs::statx(CWD, path, AtFlags::empty(), wanted).ok()?;
    let kind = FileType::from_raw_mode(found.stx_mode.into());
    if own.contains(&found.stx_mnt_id) || !matches!(kind, FileType::RegularFile | FileType::CharacterDevice) {
        return None;
    }
    // /dev/tty, /dev/console and serial lines; the slaves of ptys.
    let is_tty = kind == FileType::CharacterDevice && matches!(found.stx_rdev_major, 4 | 5 | 136..=143);
    if is_tty {
        let rdev = rustix::fs::makedev(found.stx_rdev_major, found.stx_rdev_minor);
        let dev = rustix::fs::makedev(found.stx_dev_major, found.stx_dev_minor);
        return tty.then(|| format!("tty[{rdev:x}:{dev:x}]"));
    }
    Some(format!("file[{:x}:{:x}]", found.stx_mnt_id, found.stx_ino))
}

/// Writes [`DESCRIPTORS`].
pub fn save(images: &Path, texts: &[String]) -> anyhow::Result<()> {
    let path = images.join(DESCRIPTORS);
    let text = serde_json::to_vec(texts).context("render the descriptors")?;
    Ok(husk_exit::replace(&path, &text, 0o600, false)?)
}

/// Names of the streams that husk's own 0, 1 and 2 take the place of. Images of others may have no such file.
pub fn load(images: &Path) -> anyhow::Result<Vec<(String, i32)>> {
    let path: PathBuf = images.join(DESCRIPTORS);
    let text = match std::fs::read(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.with_context(|| format!("read {}", path.display()))?,
    };
    let texts: Vec<String> =
        serde_json::from_slice(&text).with_context(|| format!("parse {}", path.display()))?;
    let named = |text: &String| ["pipe:", "file[", "tty["].iter().any(|kind| text.starts_with(kind));
    Ok(texts.into_iter().take(3).zip(0..).filter(|(text, _)| named(text)).collect())
}

/// Whether a network namespace has more than loopback: criu can't make a device whose other end is elsewhere, so whoever
/// made it (a CNI plugin, an engine's hook) has to make it again.
pub fn has_devices(pid: i32) -> bool {
    // Two lines of headings, then a line per device.
    std::fs::read_to_string(format!("/proc/{pid}/net/dev"))
        .is_ok_and(|text| text.lines().skip(2).any(|line| !line.trim_start().starts_with("lo:")))
}

/// Whether the images have devices of a network namespace.
pub fn images_have_devices(images: &Path) -> bool {
    let is_one = |entry: std::fs::DirEntry| entry.file_name().to_string_lossy().starts_with("netdev-");
    std::fs::read_dir(images).is_ok_and(|entries| entries.flatten().any(is_one))
}

#[cfg(test)]
mod tests {
    use super::{join, load, save};
    use crate::plan::testing::plan_with;
    use serde_json::json;

    #[test]
    fn streams_that_husk_replaces() {
        let dir = tempfile::tempdir().unwrap();
        assert!(load(dir.path()).unwrap().is_empty());
        let texts = ["/dev/null", "pipe:[12]", "file[1a:2b]"].map(str::to_owned);
        save(dir.path(), &texts).unwrap();
        let expected = vec![("pipe:[12]".to_owned(), 1), ("file[1a:2b]".to_owned(), 2)];
        assert_eq!(load(dir.path()).unwrap(), expected);
    }

    #[test]
    fn namespaces_that_criu_can_not_enter_are_refused() {
        let plan = |kind: &str| {
            let list = json!([{"type": "mount"}, {"type": kind, "path": format!("/proc/self/ns/{kind}")}]);
            let name = |config: &mut serde_json::Value| config["linux"]["namespaces"] = list;
            plan_with(name).unwrap()
        };
        assert_eq!(join(&plan("uts")).unwrap().join.len(), 1);
        assert!(join(&plan("cgroup")).unwrap_err().to_string().contains("cgroup namespace"));
    }
}
