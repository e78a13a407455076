//! The one thing that husk-cri itself makes in a root filesystem.

use std::path::{Component, Path};

use rustix::fs::{Mode, OFlags, ResolveFlags, mkdirat, openat2};
use rustix::io::Errno;
use serde_json::Value;

use crate::error::{Context, Error, Result};

/// Makes the working directory where the image lacks it, as the field's other runtimes do. Each step is resolved in
/// the root (CVE-2024-5154). Below a mount it is the runtime's to make, in what is mounted there.
pub fn working_dir(rootfs: &Path, config: &Value) -> Result<()> {
    let cwd = Path::new(config["process"]["cwd"].as_str().unwrap_or("/"));
    let mounts = config["mounts"].as_array().into_iter().flatten();
    let mut points = mounts.filter_map(|mount| mount["destination"].as_str());
    if points.any(|point| cwd.starts_with(point)) {
        return Ok(());
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open(rootfs, flags, Mode::empty()).on("open", rootfs.display().to_string())?;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let mut done = std::path::PathBuf::from("/");
    for part in cwd.components() {
        let Component::Normal(name) = part else { continue };
        let shown = |path: &Path| format!("{} in the container's root", path.display());
        let parent = openat2(&root, &done, flags, Mode::empty(), resolve).on("open", shown(&done))?;
        done.push(name);
        match openat2(&root, &done, flags, Mode::empty(), resolve) {
            Ok(_) => continue,
            Err(Errno::NOENT) => {}
            Err(Errno::NOTDIR) => {
                let why = format!("{} is no directory in the image", done.display());
                return Err(Error::invalid("config.working_dir", why));
            }
            Err(error) => return Err(error).on("open", shown(&done)),
        }
        mkdirat(&parent, name, Mode::from_raw_mode(0o755)).on("create", shown(&done))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn with(cwd: &str) -> Value {
        json!({"process": {"cwd": cwd}, "mounts": [{"destination": "/vol"}]})
    }

    #[test]
    fn it_is_made_inside_only() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        std::fs::create_dir(&root).unwrap();
        working_dir(&root, &with("/a/b")).unwrap();
        assert!(root.join("a/b").is_dir());
        std::os::unix::fs::symlink("../../..", root.join("out")).unwrap();
        working_dir(&root, &with("/out/x")).unwrap();
        assert!(root.join("x").is_dir() && !dir.path().join("x").exists());
        working_dir(&root, &with("/vol/x")).unwrap();
        assert!(!root.join("vol").exists());
    }

    #[test]
    fn a_file_in_the_way_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("f"), "").unwrap();
        let error = working_dir(dir.path(), &with("/f/x")).unwrap_err().to_string();
        assert!(error.contains("config.working_dir"), "{error}");
    }
}
