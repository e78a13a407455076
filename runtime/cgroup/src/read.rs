//! Reading and writing the small text files of the cgroup file system.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use crate::{Error, Result};

/// Errors that mean "there is no such group or file (any more)".
pub(crate) fn is_gone(errno: &io::Error) -> bool {
    // A file that was opened before its group was removed answers ENODEV.
    errno.kind() == io::ErrorKind::NotFound
        || errno.raw_os_error() == Some(rustix::io::Errno::NODEV.raw_os_error())
}

/// The whole file as text.
pub(crate) fn text(path: &Path) -> io::Result<String> {
    let mut out = String::new();
    fs::File::open(path)?.read_to_string(&mut out)?;
    Ok(out)
}

/// The file, or None if there is none: its controller is absent, or the kernel is older.
pub(crate) fn optional(path: &Path) -> Result<Option<String>> {
    match text(path) {
        Ok(text) => Ok(Some(text)),
        Err(errno) if is_gone(&errno) => Ok(None),
        // The root group and threaded groups refuse some reads.
        Err(errno) if errno.raw_os_error() == Some(rustix::io::Errno::OPNOTSUPP.raw_os_error()) => Ok(None),
        Err(errno) => Err(Error::call("read", path, errno)),
    }
}

/// A file with one number; `max` reads as None within.
pub(crate) fn number(path: &Path) -> Result<Option<Option<u64>>> {
    let Some(text) = optional(path)? else { return Ok(None) };
    parse_limit(text.trim()).map(Some).ok_or_else(|| Error::Parse {
        path: path.to_path_buf(),
        text,
        wanted: "a number or max",
    })
}

/// `max` is Some(None), a number Some(Some(n)).
pub(crate) fn parse_limit(text: &str) -> Option<Option<u64>> {
    if text == "max" { Some(None) } else { text.parse().ok().map(Some) }
}

/// The lines `key value` of a flat keyed file; lines of another form are left out.
pub(crate) fn flat_keyed(text: &str) -> impl Iterator<Item = (&str, u64)> {
    text.lines().filter_map(|line| {
        let (key, value) = line.split_once(' ')?;
        Some((key, value.trim().parse().ok()?))
    })
}

/// One write of the whole value to an existing file. The cgroup file system takes each write as one command.
pub(crate) fn write(path: &Path, value: &str) -> io::Result<()> {
    // No O_CREAT: in a missing group it would turn ENOENT into EACCES or EPERM.
    let mut file = fs::OpenOptions::new().write(true).open(path)?;
    file.write_all(value.as_bytes())
}

/// Processes of one group, without its children's. A threaded group has none of its own to tell.
pub(crate) fn procs(dir: &Path) -> Result<Vec<u32>> {
    let text = optional(&dir.join("cgroup.procs"))?.unwrap_or_default();
    Ok(text.lines().filter_map(|line| line.parse().ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_and_flat_keys() {
        assert_eq!(parse_limit("max"), Some(None));
        assert_eq!(parse_limit("12"), Some(Some(12)));
        assert_eq!(parse_limit("-1"), None);
        let keys: Vec<_> = flat_keyed("low 0\nmax 3\nodd\nname text\n").collect();
        assert_eq!(keys, [("low", 0), ("max", 3)]);
    }

    #[test]
    fn a_missing_file_is_none_and_is_not_created() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pids.max");
        assert_eq!(number(&path).unwrap(), None);
        assert_eq!(write(&path, "1").unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(!path.exists());
        fs::write(&path, "max\n").unwrap();
        assert_eq!(number(&path).unwrap(), Some(None));
        fs::write(&path, "seven\n").unwrap();
        assert!(number(&path).unwrap_err().to_string().contains("seven"));
    }
}
