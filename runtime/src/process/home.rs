//! HOME, which programs expect and config.json mostly leaves out: the user's entry in the container's /etc/passwd says it.

use rustix::fs::{CWD, FileType, Mode, OFlags, Stat};
use std::{
    ffi::CString,
    io::{BufRead as _, BufReader, Read as _},
};

/// More than any real file has; whoever made the image may have made anything of it.
const MAX: u64 = 1 << 20;

/// `HOME=…` where `env` has none. Runs in the container.
pub fn missing(env: &[CString], uid: u32) -> Option<CString> {
    let there =
        env.iter().any(|entry| entry.as_bytes().strip_prefix(b"HOME=").is_some_and(|home| !home.is_empty()));
    if there {
        return None;
    }
    let home = of_user(uid).filter(|home| !home.is_empty()).unwrap_or_else(|| b"/".to_vec());
    CString::new([b"HOME=".as_slice(), &home].concat()).ok()
}

fn of_user(uid: u32) -> Option<Vec<u8>> {
    let is_file = |stat: &Stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    // Before, since a device may act on being opened; and after, as a process of the container may have put one there since.
    rustix::fs::stat("/etc/passwd").ok().filter(is_file)?;
    // A FIFO in its place must not hold husk up.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let fd = rustix::fs::openat(CWD, "/etc/passwd", flags, Mode::empty()).ok()?;
    rustix::fs::fstat(&fd).ok().filter(is_file)?;
    let lines = BufReader::new(std::fs::File::from(fd).take(MAX)).split(b'\n');
    lines.map_while(Result::ok).find_map(|line| of_line(&line, uid))
}

/// The sixth field of a line of passwd(5) whose third is `uid`.
fn of_line(line: &[u8], uid: u32) -> Option<Vec<u8>> {
    let mut fields = line.split(|byte| *byte == b':');
    let number = std::str::from_utf8(fields.nth(2)?).ok()?;
    (number.parse::<u32>() == Ok(uid)).then(|| fields.nth(2).map(<[u8]>::to_vec))?
}

#[cfg(test)]
mod tests {
    use super::{missing, of_line};

    #[test]
    fn lines_of_passwd() {
        assert_eq!(of_line(b"root:x:0:0:root:/root:/bin/sh", 0).as_deref(), Some(b"/root".as_slice()));
        assert_eq!(of_line(b"root:x:0:0:root:/root:/bin/sh", 1), None);
        for odd in [b"".as_slice(), b"a:b", b"a:b:c", b"a:x:0", b"a:x:0:0:gecos", b"\xff:\xff:\xff"] {
            assert_eq!(of_line(odd, 0), None, "{odd:?}");
        }
    }

    #[test]
    fn what_is_set_stays() {
        assert_eq!(missing(&[c"HOME=/x".into()], 0), None);
        assert!(missing(&[c"HOME=".into()], 0).is_some());
        // No line has this id.
        assert_eq!(missing(&[c"HOMER=/x".into()], 4_294_967_290).as_deref(), Some(c"HOME=/"));
    }
}
