//! Files that are replaced as a whole: a reader sees the old content or the new, never half of one.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::Error;

/// Writes a file under a temporary name beside `path`, then renames it over `path`. With `durable` its content is on the disk
/// before that; the name is once the directory has been synchronized.
///
/// What is there under the temporary name is removed and never written to: the folder may be one of other users', who could
/// put a link there.
pub fn replace(path: &Path, content: &[u8], mode: u32, durable: bool) -> Result<(), Error> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".tmp-{}", std::process::id()));
    let temporary = PathBuf::from(name);
    let create = || OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary);
    let written = create()
        .or_else(|error| match error.kind() {
            ErrorKind::AlreadyExists => fs::remove_file(&temporary).and_then(|()| create()),
            _ => Err(error),
        })
        .and_then(|mut file| {
            file.write_all(content)?;
            if durable { file.sync_data() } else { Ok(()) }
        })
        .and_then(|()| fs::rename(&temporary, path));
    written.map_err(|error| {
        let _ = fs::remove_file(&temporary);
        Error::io("write", path, error)
    })
}

#[cfg(test)]
mod tests {
    use super::replace;

    #[test]
    fn a_link_under_the_temporary_name_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (file, other) = (dir.path().join("pid"), dir.path().join("other"));
        std::fs::write(&other, "theirs").unwrap();
        let temporary = dir.path().join(format!("pid.tmp-{}", std::process::id()));
        std::os::unix::fs::symlink(&other, &temporary).unwrap();
        replace(&file, b"1", 0o644, false).unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"1");
        assert_eq!(std::fs::read(&other).unwrap(), b"theirs");
        assert!(!file.is_symlink() && !temporary.exists());
    }

    #[test]
    fn what_fails_leaves_nothing_and_names_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("folder");
        std::fs::create_dir(&file).unwrap();
        let error = replace(&file, b"1", 0o600, true).unwrap_err().to_string();
        assert!(error.starts_with(&format!("write {}: ", file.display())), "{error}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
