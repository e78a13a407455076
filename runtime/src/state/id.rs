//! Container ids: a path component, therefore checked before anything is made of it.

/// Longest id, in bytes: the longest file name.
const MAX: usize = 255;

/// An id that can't be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// Nothing was given.
    #[error("container id is empty")]
    Empty,
    /// More bytes than a file name may have.
    #[error("container id of {0} bytes is too long: at most {MAX}")]
    TooLong(usize),
    /// `.` and `..` are directories.
    #[error("container id {0:?} is not allowed")]
    Dots(String),
    /// A character outside the allowed set.
    #[error("container id {id:?} has {found:?} in it: only letters, digits and _ + - . are allowed")]
    Character {
        /// The id.
        id: String,
        /// The first wrong character.
        found: char,
    },
}

/// Checks an id by runc's rule: `^[\w+-\.]+$`, not `.` nor `..`.
pub fn check(id: &str) -> Result<(), Error> {
    if id.is_empty() {
        return Err(Error::Empty);
    }
    if id.len() > MAX {
        return Err(Error::TooLong(id.len()));
    }
    if id == "." || id == ".." {
        return Err(Error::Dots(id.to_owned()));
    }
    match id.chars().find(|c| !(c.is_ascii_alphanumeric() || "_+-.".contains(*c))) {
        Some(found) => Err(Error::Character { id: id.to_owned(), found }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Error, check};

    #[test]
    fn ids_of_tools_are_allowed() {
        for id in ["a", "web-1", "a_b.c+d", "0123456789abcdef", "...", &"x".repeat(255)] {
            assert_eq!(check(id), Ok(()), "{id}");
        }
    }

    #[test]
    fn ids_that_leave_the_directory_are_refused() {
        assert_eq!(check(""), Err(Error::Empty));
        assert_eq!(check(".."), Err(Error::Dots("..".into())));
        assert_eq!(check(&"x".repeat(256)), Err(Error::TooLong(256)));
        for id in ["a/b", "../x", "a b", "a\n", "ä", "a\0"] {
            assert!(matches!(check(id), Err(Error::Character { .. })), "{id:?}");
        }
    }
}
