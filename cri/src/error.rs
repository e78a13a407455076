//! What can go wrong in a call, and its gRPC status: the only place where the two meet.

use std::error::Error as StdError;
use std::sync::Arc;

use tonic::{Code, Status};

/// Why a call failed. Cheap to clone: every caller that joined the same work gets the same error.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// A field of the request is missing, malformed or contradicts another.
    #[error("{field}: {why}")]
    Invalid {
        /// Path of the field as the CRI names it.
        field: String,
        /// What is wrong with the value.
        why: String,
    },
    /// No sandbox, container or image has this id.
    #[error("{kind} {id:?} not found")]
    NotFound {
        /// `sandbox`, `container` or `image`.
        kind: &'static str,
        /// As the request named it.
        id: String,
    },
    /// A registry has no such image.
    #[error("{what}")]
    NotPulled {
        /// Which, where.
        what: String,
    },
    /// The name is taken by another object.
    #[error("{what}")]
    Exists {
        /// Name and id of the holder.
        what: String,
    },
    /// The object is in a state that does not allow the call.
    #[error("{what}")]
    State {
        /// The object, its state and the call.
        what: String,
    },
    /// The call's own time limit passed.
    #[error("{what} timed out after {seconds} s")]
    Deadline {
        /// What took too long.
        what: String,
        /// The limit.
        seconds: u64,
    },
    /// The caller sent or asked for more than husk-cri holds in memory.
    #[error("{what}")]
    TooMuch {
        /// What was too large, and the limit.
        what: String,
    },
    /// Credentials are missing or wrong.
    #[error("{what}")]
    Denied {
        /// Who refused what.
        what: String,
    },
    /// The program of a container or an exec can't be executed.
    #[error("{what}")]
    CannotRun {
        /// 127: not found; 126: not executable.
        code: i32,
        /// Why, in a sentence.
        what: String,
    },
    /// Part of CRI v1 that husk-cri does not have.
    #[error("husk-cri does not implement {rpc}")]
    Unimplemented {
        /// Name of the RPC.
        rpc: &'static str,
    },
    /// husk-shim, the OCI runtime or the image store could not do it.
    #[error("{what}")]
    Runtime {
        /// In its own words.
        what: String,
    },
    /// A step failed below the CRI.
    #[error("{op} {object}: {source}")]
    Failed {
        /// The step.
        op: &'static str,
        /// What it was done to.
        object: String,
        /// Why.
        source: Arc<dyn StdError + Send + Sync>,
    },
}

/// Result of a call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// The value of `field` is not acceptable.
    pub fn invalid(field: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Invalid { field: field.into(), why: why.into() }
    }

    /// The request lacks `field`.
    pub fn missing(field: impl Into<String>) -> Self {
        Self::invalid(field, "is required")
    }

    /// `op` failed on `object`.
    pub fn failed(
        op: &'static str,
        object: impl Into<String>,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self::Failed { op, object: object.into(), source: Arc::from(source.into()) }
    }

    fn code(&self) -> Code {
        match self {
            Self::Invalid { .. } => Code::InvalidArgument,
            Self::NotFound { .. } | Self::NotPulled { .. } => Code::NotFound,
            Self::Exists { .. } => Code::AlreadyExists,
            Self::State { .. } => Code::FailedPrecondition,
            Self::Deadline { .. } => Code::DeadlineExceeded,
            Self::TooMuch { .. } => Code::ResourceExhausted,
            Self::Denied { .. } => Code::PermissionDenied,
            Self::Unimplemented { .. } => Code::Unimplemented,
            Self::Failed { .. } | Self::Runtime { .. } | Self::CannotRun { .. } => Code::Unknown,
        }
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        Status::new(error.code(), error.to_string())
    }
}

/// Adds the failed step and its object to an error from below.
pub trait Context<T> {
    /// `op` was done to `object`.
    fn on(self, op: &'static str, object: impl Into<String>) -> Result<T>;
}

impl<T, E: Into<Box<dyn StdError + Send + Sync>>> Context<T> for std::result::Result<T, E> {
    fn on(self, op: &'static str, object: impl Into<String>) -> Result<T> {
        self.map_err(|source| Error::failed(op, object, source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_their_object_and_get_their_code() {
        let status = Status::from(Error::invalid("config.metadata.name", "is empty"));
        assert_eq!(
            (status.code(), status.message()),
            (Code::InvalidArgument, "config.metadata.name: is empty")
        );
        let status = Status::from(Error::NotFound { kind: "container", id: "x".into() });
        assert_eq!((status.code(), status.message()), (Code::NotFound, "container \"x\" not found"));
        let failed: Result<()> = Err(std::io::Error::from_raw_os_error(28)).on("write", "/x");
        let status = Status::from(failed.unwrap_err());
        assert_eq!(status.code(), Code::Unknown);
        assert!(status.message().starts_with("write /x: No space left"), "{}", status.message());
    }
}
