//! A step of the child that failed, as it travels to the parent.

use husk_sys::Errno;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Which step failed, on what, and how. `Display` is the whole sentence.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Failure {
    /// The step and its object, as `mount mounts[2] (/data): move_mount`.
    pub what: String,
    /// errno; 0 where no call failed.
    pub errno: i32,
    /// Exit code that `run` and `exec` end with: 127, 126 or 1.
    pub code: u8,
    /// Why the program could not be started, where this is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<husk_exit::StartFailure>,
}

/// Result of a step of the child.
pub type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    /// A call failed.
    pub fn call(what: impl Into<String>, errno: Errno) -> Self {
        Self { what: what.into(), errno: errno.raw_os_error(), code: 1, start: None }
    }

    /// Something is not as it must be.
    pub fn text(what: impl Into<String>) -> Self {
        Self { what: what.into(), errno: 0, code: 1, start: None }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if self.errno != 0 {
            // The standard library's text ends in " (os error 2)", which says nothing more to a person.
            let text = std::io::Error::from_raw_os_error(self.errno).to_string();
            let end = text.find(" (os error").unwrap_or(text.len());
            let text = &text[..end];
            // docker takes its exit codes 127 and 126 from these words, spelt as Go has them.
            match self.start {
                Some(_) => write!(f, ": {}", text.to_lowercase())?,
                None => write!(f, ": {text}")?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

/// Names the step of a call that may fail.
pub trait Step<T> {
    /// The failure is of this step.
    fn step(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Step<T> for std::result::Result<T, Errno> {
    fn step(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|errno| Failure::call(what(), errno))
    }
}

impl<T> Step<T> for std::io::Result<T> {
    fn step(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| match error.raw_os_error() {
            Some(errno) => Failure::call(what(), Errno::from_raw_os_error(errno)),
            None => Failure::text(format!("{}: {error}", what())),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Errno, Failure};

    #[test]
    fn a_failure_is_one_sentence_of_object_and_reason() {
        let failure = Failure::call("mount mounts[0] (/x): move_mount", Errno::NOENT);
        assert_eq!(failure.to_string(), "mount mounts[0] (/x): move_mount: No such file or directory");
        assert_eq!(Failure::text("odd").to_string(), "odd");
        let start = husk_exit::diagnose_cwd(std::path::Path::new("/x"), Errno::NOENT.raw_os_error());
        let failure = Failure { start: Some(start), ..Failure::call("x", Errno::NOENT) };
        assert_eq!(failure.to_string(), "x: no such file or directory", "the words that docker looks for");
    }
}
