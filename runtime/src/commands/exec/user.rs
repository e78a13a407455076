//! `--user` and `--additional-gids`: numbers, and nothing but numbers.
//!
//! A number is never looked up as a name, and a name is not looked up at all: what is in the container's /etc/passwd is
//! the container's say (CVE-2024-40635, CVE-2026-30892). Who calls husk with a name resolves it first.

/// The largest id; the one above it means "no id" to the kernel.
const MAX: u32 = u32::MAX - 1;

/// What is wrong with a user or group.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// Empty, a name, a sign, blanks.
    #[error("{0:?} is not a number (ids are numbers here; names are not looked up)")]
    NotNumber(String),
    /// More than 32 bits hold.
    #[error("{0} is no id: the largest one is {MAX}")]
    TooLarge(String),
}

/// `UID` or `UID:GID`.
pub fn parse(text: &str) -> Result<(u32, Option<u32>), Error> {
    match text.split_once(':') {
        None => Ok((id(text)?, None)),
        Some((uid, gid)) => Ok((id(uid)?, Some(id(gid)?))),
    }
}

/// One id.
pub fn id(text: &str) -> Result<u32, Error> {
    // `str::parse` takes a plus sign, and an empty string is its own kind of error there.
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Error::NotNumber(text.to_owned()));
    }
    text.parse().ok().filter(|id| *id <= MAX).ok_or_else(|| Error::TooLarge(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::{Error, id, parse};

    #[test]
    fn users() {
        assert_eq!(parse("0"), Ok((0, None)));
        assert_eq!(parse("1000:50"), Ok((1000, Some(50))));
        assert_eq!(parse("4294967294"), Ok((4_294_967_294, None)));
        assert_eq!(id("007"), Ok(7));
    }

    #[test]
    fn what_is_no_number_is_refused_whole() {
        for text in [
            "",
            ":",
            "1:",
            ":1",
            "root",
            "1000x",
            "+1",
            "-1",
            " 1",
            "1 ",
            "1:2:3",
            "0x10",
            "1.5",
            "٣",
            "root:root",
        ] {
            assert!(matches!(parse(text), Err(Error::NotNumber(_))), "{text:?}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_and_not_cut() {
        // 2^32 would be root if it were cut to 32 bits.
        for text in ["4294967295", "4294967296", "18446744073709551616", "99999999999999999999999"] {
            assert!(matches!(parse(text), Err(Error::TooLarge(_))), "{text}");
        }
    }
}
