//! The mounts that husk-cri sees, proc_pid_mountinfo(5).

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use crate::error::{Context, Result};

/// One mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Where.
    pub point: PathBuf,
    /// Member of a peer group.
    pub shared: bool,
    /// Gets what happens in another peer group.
    pub slave: bool,
}

/// All mounts, in the order in which they cover one another.
pub fn all() -> Result<Vec<Mount>> {
    let path = "/proc/self/mountinfo";
    let text = std::fs::read(path).on("read", path)?;
    Ok(text.split(|byte| *byte == b'\n').filter_map(parse).collect())
}

/// The mount that `path` (without links) lies on.
pub fn holding(path: &Path) -> Result<Option<Mount>> {
    let on = all()?.into_iter().filter(|mount| path.starts_with(&mount.point));
    // Of mounts on the same point the last covers the others.
    Ok(on.max_by_key(|mount| mount.point.components().count()))
}

/// Mount points at and below `path`, innermost first.
pub fn below(path: &Path) -> Result<Vec<PathBuf>> {
    let mut points: Vec<PathBuf> =
        all()?.into_iter().map(|m| m.point).filter(|p| p.starts_with(path)).collect();
    points.reverse();
    Ok(points)
}

fn parse(line: &[u8]) -> Option<Mount> {
    let mut words = line.split(|byte| *byte == b' ');
    let point = unescape(words.nth(4)?);
    let tags: Vec<&[u8]> = words.skip(1).take_while(|word| *word != b"-").collect();
    let has = |name: &[u8]| tags.iter().any(|tag| tag.starts_with(name));
    Some(Mount { point, shared: has(b"shared:"), slave: has(b"master:") })
}

/// Blanks, tabs, newlines and backslashes stand as three octal digits.
fn unescape(word: &[u8]) -> PathBuf {
    let (mut out, mut rest) = (Vec::with_capacity(word.len()), word);
    while let Some((&first, tail)) = rest.split_first() {
        let octal = tail
            .get(..3)
            .and_then(|d| std::str::from_utf8(d).ok())
            .and_then(|d| u8::from_str_radix(d, 8).ok());
        match octal.filter(|_| first == b'\\') {
            Some(byte) => {
                out.push(byte);
                rest = &tail[3..];
            }
            None => {
                out.push(first);
                rest = tail;
            }
        }
    }
    OsString::from_vec(out).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read() {
        let line = br"36 35 98:0 /mnt1 /mnt/a\040b rw,noatime shared:1 master:2 - ext3 /dev/root rw";
        let mount = Mount { point: "/mnt/a b".into(), shared: true, slave: true };
        assert_eq!(parse(line), Some(mount));
        let line = br"36 35 98:0 / /mnt rw - ext3 shared:1 rw";
        assert!(!parse(line).unwrap().shared);
    }

    #[test]
    fn the_root_holds_what_nothing_else_does() {
        assert!(holding(Path::new("/nowhere/at/all")).unwrap().is_some());
    }
}
