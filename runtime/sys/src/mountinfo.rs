//! Lines of mountinfo (proc_pid_mountinfo(5)). Names of mount points are bytes: whoever mounts something on the host, by FUSE
//! an ordinary user, chooses them, and must not keep husk from reading the rest.

use std::{ffi::OsString, os::unix::ffi::OsStringExt as _, path::PathBuf};

/// A mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Its number, which another may get once it has gone.
    pub id: u64,
    /// Where it is, as seen from the process's root.
    pub point: PathBuf,
    /// Type of its file system.
    pub kind: String,
    /// Options of its file system.
    pub options: String,
}

/// The mounts of a text, in its order. What is no such line is passed over.
pub fn parse(text: &[u8]) -> impl Iterator<Item = Mount> {
    text.split(|byte| *byte == b'\n').filter_map(line)
}

/// id, parent, device, root, mount point, options, tags (any number), `-`, type, source, super options.
fn line(line: &[u8]) -> Option<Mount> {
    let mut words = line.split(|byte| *byte == b' ');
    let id = std::str::from_utf8(words.next()?).ok()?.parse().ok()?;
    let point = PathBuf::from(OsString::from_vec(unescaped(words.nth(3)?)));
    let text = |word: &[u8]| String::from_utf8_lossy(word).into_owned();
    let kind = text(words.by_ref().skip_while(|word| *word != b"-").nth(1)?);
    Some(Mount { id, point, kind, options: words.nth(1).map(text).unwrap_or_default() })
}

/// Space, tab, newline and backslash are written as three octal digits.
fn unescaped(mut text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    while let [first, rest @ ..] = text {
        let digits = rest.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        let octal = digits.and_then(|digits| u8::from_str_radix(digits, 8).ok());
        let (byte, after) = match (first, octal) {
            (b'\\', Some(byte)) => (byte, rest.get(3..).unwrap_or_default()),
            _ => (*first, rest),
        };
        out.push(byte);
        text = after;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{parse, unescaped};
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _, path::Path};

    #[test]
    fn lines_of_mountinfo() {
        let text = b"36 35 98:0 /a /mnt\\040b rw,noatime master:1 shared:2 - ext3 /dev/root rw,x\nbroken\n37 1 0:1 / /\xff rw - fuse \xfe rw\n";
        let mounts: Vec<_> = parse(text).collect();
        assert_eq!(mounts.len(), 2);
        assert_eq!((mounts[0].id, mounts[0].point.as_path()), (36, Path::new("/mnt b")));
        assert_eq!((mounts[0].kind.as_str(), mounts[0].options.as_str()), ("ext3", "rw,x"));
        assert_eq!(
            (mounts[1].point.as_os_str(), mounts[1].kind.as_str()),
            (OsStr::from_bytes(b"/\xff"), "fuse")
        );
    }

    #[test]
    fn octal_digits() {
        assert_eq!(unescaped(b"/a\\040b\\134c\\012"), b"/a b\\c\n");
        assert_eq!(unescaped(b"/end\\"), b"/end\\");
        assert_eq!(unescaped(b"\\999\\40"), b"\\999\\40");
    }
}
