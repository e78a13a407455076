//! What huskctl keeps for the pods that it starts, as a kubelet does: `DATA/pods/UID/{logs,volumes}`.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use crate::manifest::pod::Pod;
use crate::manifest::volume::{HostPath, HostPathKind, Medium, Volume};

/// Directories of one pod.
#[derive(Debug)]
pub struct PodData {
    pub uid: String,
    dir: PathBuf,
}

impl PodData {
    /// The directories of pod `uid`; none is made.
    pub fn of(data: &Path, uid: &str) -> anyhow::Result<Self> {
        // The uid may come from the server, and what is below it is removed with all it holds.
        let good = |c: char| c.is_ascii_hexdigit() || c == '-';
        ensure!(uid.len() == 36 && uid.chars().all(good), "{uid:?} is no pod uid of huskctl's");
        Ok(Self { uid: uid.to_owned(), dir: data.join("pods").join(uid) })
    }

    /// A new uid, with the log directory and the emptyDir volumes of `pod` made.
    pub fn create(data: &Path, pod: &Pod) -> anyhow::Result<Self> {
        let new = Self::of(data, &new_uid().context("read /dev/urandom")?)?;
        match new.make(pod) {
            Ok(()) => Ok(new),
            Err(e) => {
                let _ = new.remove();
                Err(e)
            }
        }
    }

    fn make(&self, pod: &Pod) -> anyhow::Result<()> {
        make_dir(&self.logs(), 0o755)?;
        make_dir(&self.dir.join("volumes"), 0o711)?;
        for volume in &pod.spec.volumes {
            let Some(empty) = &volume.empty_dir else { continue };
            let path = self.volume(volume);
            make_dir(&path, 0o777)?;
            if empty.medium == Medium::Memory {
                let size = empty.size_limit.map(|s| format!(",size={}", s.units())).unwrap_or_default();
                let options = std::ffi::CString::new(format!("mode=0777{size}"))?;
                mount("tmpfs", &path, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, options.as_c_str())
                    .with_context(|| format!("mount tmpfs {}", path.display()))?;
            }
            // The umask does not count: any user of the pod may write.
            let group = pod.spec.security_context.fs_group;
            let mode = if group.is_some() { 0o2777 } else { 0o777 };
            if let Some(group) = group {
                std::os::unix::fs::chown(&path, None, Some(group))
                    .with_context(|| format!("chown {}", path.display()))?;
            }
            std::fs::set_permissions(&path, Permissions::from_mode(mode))
                .with_context(|| format!("chmod {}", path.display()))?;
        }
        Ok(())
    }

    /// The pod's log directory.
    pub fn logs(&self) -> PathBuf {
        self.dir.join("logs")
    }

    fn volume(&self, volume: &Volume) -> PathBuf {
        self.dir.join("volumes").join(&volume.name.value)
    }

    /// The node's path behind a mount of `volume`; made where the manifest asks for that.
    pub fn source(&self, volume: &Volume, sub: Option<&str>) -> anyhow::Result<PathBuf> {
        let root = match &volume.host_path {
            Some(host) => {
                check_host_path(host).with_context(|| format!("volume {}", volume.name.value))?;
                PathBuf::from(&host.path.value)
            }
            None => self.volume(volume),
        };
        let Some(sub) = sub.filter(|s| !s.is_empty()) else { return Ok(root) };
        let path = root.join(sub);
        if !path.exists() {
            std::fs::create_dir_all(&path).with_context(|| format!("mkdir {}", path.display()))?;
        }
        // A symbolic link in the volume must not lead out of it.
        let real = path.canonicalize().with_context(|| format!("realpath {}", path.display()))?;
        let inside = root.canonicalize().with_context(|| format!("realpath {}", root.display()))?;
        ensure!(real.starts_with(&inside), "subPath {sub:?} leads out of volume {}", volume.name.value);
        Ok(real)
    }

    /// Unmounts and removes everything of the pod; nothing to remove is fine.
    pub fn remove(&self) -> anyhow::Result<()> {
        let volumes = std::fs::read_dir(self.dir.join("volumes")).into_iter().flatten().flatten();
        for volume in volumes {
            // EINVAL: it is no mount point, but a plain directory.
            match unmount(volume.path(), UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
                Ok(()) | Err(rustix::io::Errno::INVAL) => {}
                Err(e) => bail!("umount {}: {e}", volume.path().display()),
            }
        }
        match std::fs::remove_dir_all(&self.dir) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                Err(e).with_context(|| format!("rm -r {}", self.dir.display()))
            }
            _ => Ok(()),
        }
    }
}

fn make_dir(path: &Path, mode: u32) -> anyhow::Result<()> {
    let made = DirBuilder::new().recursive(true).mode(mode).create(path);
    made.with_context(|| format!("mkdir {}", path.display()))
}

fn check_host_path(host: &HostPath) -> anyhow::Result<()> {
    let path = Path::new(&host.path.value);
    match host.kind {
        HostPathKind::DirectoryOrCreate => make_dir(path, 0o755)?,
        HostPathKind::FileOrCreate => {
            let made = OpenOptions::new().append(true).create(true).mode(0o644).open(path);
            made.with_context(|| format!("open {}", path.display()))?;
        }
        _ => {}
    }
    let found = path.metadata().with_context(|| format!("stat {}", path.display()))?.file_type();
    let (right, wanted) = match host.kind {
        HostPathKind::Any => (true, ""),
        HostPathKind::Directory | HostPathKind::DirectoryOrCreate => (found.is_dir(), "directory"),
        HostPathKind::File | HostPathKind::FileOrCreate => (found.is_file(), "regular file"),
        HostPathKind::Socket => (found.is_socket(), "socket"),
        HostPathKind::CharDevice => (found.is_char_device(), "character device"),
        HostPathKind::BlockDevice => (found.is_block_device(), "block device"),
    };
    ensure!(right, "{} is no {wanted}", path.display());
    Ok(())
}

/// A random UUID (RFC 9562, version 4).
fn new_uid() -> io::Result<String> {
    let mut bytes = [0u8; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    Ok([&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(volumes: &str) -> Pod {
        let text = format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: a}}\nspec:\n  containers: [{{name: c, image: x}}]\n  volumes: [{volumes}]\n"
        );
        crate::manifest::parse(&text, "pod.yaml").unwrap()
    }

    #[test]
    fn directories_are_made_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let pod = pod("{name: v, emptyDir: {}}");
        let data = PodData::create(dir.path(), &pod).unwrap();
        let source = data.source(&pod.spec.volumes[0], Some("a/b")).unwrap();
        assert!(source.is_dir() && source.ends_with("volumes/v/a/b") && data.logs().is_dir());
        assert_eq!(
            source.parent().unwrap().parent().unwrap().metadata().unwrap().permissions().mode() & 0o7777,
            0o777
        );
        data.remove().unwrap();
        data.remove().unwrap();
        assert_eq!(std::fs::read_dir(dir.path().join("pods")).unwrap().count(), 0);
    }

    #[test]
    fn a_link_out_of_the_volume_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let pod = pod("{name: v, emptyDir: {}}");
        let data = PodData::create(dir.path(), &pod).unwrap();
        std::os::unix::fs::symlink("/etc", data.dir.join("volumes/v/out")).unwrap();
        let said = data.source(&pod.spec.volumes[0], Some("out")).unwrap_err().to_string();
        assert_eq!(said, "subPath \"out\" leads out of volume v");
    }

    #[test]
    fn host_paths_are_what_the_manifest_says() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x").display().to_string();
        for (kind, found) in [
            ("Directory", false),
            ("File", false),
            ("", false),
            ("DirectoryOrCreate", true),
            ("Directory", true),
        ] {
            let pod = pod(&format!("{{name: v, hostPath: {{path: {path}, type: '{kind}'}}}}"));
            let data = PodData::of(dir.path(), "0a1b2c3d-0000-4000-8000-000000000000").unwrap();
            assert_eq!(data.source(&pod.spec.volumes[0], None).is_ok(), found, "{kind}");
        }
    }

    #[test]
    fn uids_are_no_paths() {
        let uid = new_uid().unwrap();
        assert!(PodData::of(Path::new("/d"), &uid).is_ok() && uid.as_bytes()[14] == b'4', "{uid}");
        for bad in ["", "..", "../../../../../../../../etc/aaaaaaaaa", &uid[1..]] {
            assert!(PodData::of(Path::new("/d"), bad).is_err(), "{bad} passed");
        }
    }
}
