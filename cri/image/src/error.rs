//! What can go wrong with an image, told so that a person can act on it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::io::Errno;

/// An image operation's failure. It can be cloned because every waiter of a joined pull gets the same one.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The reference can't be understood.
    #[error("image reference {reference:?} is invalid: {reason}")]
    BadReference {
        /// As it was given.
        reference: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The image or container name isn't known to this store.
    #[error("{what} {name:?} is not in the store")]
    NotFound {
        /// "image" or "snapshot".
        what: &'static str,
        /// As it was given.
        name: String,
    },
    /// The registry does not have the repository, tag or digest.
    #[error("{reference}: not found in the registry{}", detail(.message))]
    UnknownImage {
        /// What was asked for.
        reference: String,
        /// What the registry said.
        message: String,
    },
    /// 401: credentials are missing or wrong.
    #[error("{host} wants other credentials (401 Unauthorized){}", detail(.message))]
    Unauthorized {
        /// Registry or token server.
        host: String,
        /// What it said.
        message: String,
    },
    /// 403: known to the registry, but not allowed.
    #[error("{host} denies access (403 Forbidden){}", detail(.message))]
    Forbidden {
        /// Registry or token server.
        host: String,
        /// What it said.
        message: String,
    },
    /// 429.
    #[error("{host} limits requests (429 Too Many Requests){}", detail(.message))]
    TooManyRequests {
        /// Registry or token server.
        host: String,
        /// What it said.
        message: String,
    },
    /// Any other answer than the expected one.
    #[error("{host} answered {status} to GET {path}{}", detail(.message))]
    Status {
        /// Registry or token server.
        host: String,
        /// HTTP status code.
        status: u16,
        /// Path of the request.
        path: String,
        /// What it said.
        message: String,
    },
    /// Nobody listens there, the name is unknown, or the way is blocked.
    #[error("can't connect to {host}: {reason}")]
    Connect {
        /// Registry or token server.
        host: String,
        /// The innermost cause.
        reason: String,
    },
    /// The certificate is not trusted or does not fit, or the peer speaks no TLS.
    #[error("TLS with {host} failed: {reason}")]
    Tls {
        /// Registry or token server.
        host: String,
        /// The innermost cause.
        reason: String,
    },
    /// No answer, or no bytes, for too long.
    #[error("{host} sent nothing for {seconds} s")]
    Timeout {
        /// Registry or token server.
        host: String,
        /// How long was waited.
        seconds: u64,
    },
    /// The connection broke, or the answer ended early, more often than is retried.
    #[error("transfer of {what} from {host} broke off: {reason}")]
    Transfer {
        /// Registry or token server.
        host: String,
        /// Digest or path.
        what: String,
        /// The innermost cause.
        reason: String,
    },
    /// The registry's answer is not what the protocol says.
    #[error("{host} sent {reason}")]
    Protocol {
        /// Registry or token server.
        host: String,
        /// What is wrong.
        reason: String,
    },
    /// The bytes are not those of the digest.
    #[error("{what}: expected digest {expected}, but the bytes have {actual}")]
    WrongDigest {
        /// Manifest, config, layer or diff id.
        what: &'static str,
        /// As the manifest or config says.
        expected: String,
        /// As computed.
        actual: String,
    },
    /// The descriptor's size and the number of bytes differ.
    #[error("{digest}: expected {expected} bytes, got {actual}")]
    WrongSize {
        /// The blob.
        digest: String,
        /// Descriptor's size.
        expected: u64,
        /// Bytes seen (more are not read).
        actual: u64,
    },
    /// Manifest, index or config that is malformed, too big, cyclic or of an unknown kind.
    #[error("{what} {digest}: {reason}")]
    BadManifest {
        /// "manifest", "index" or "config".
        what: &'static str,
        /// Its digest.
        digest: String,
        /// What is wrong.
        reason: String,
    },
    /// An index without an entry for this machine.
    #[error("{reference} has no image for {wanted}; it has {available}")]
    NoPlatform {
        /// What was asked for.
        reference: String,
        /// For example linux/amd64.
        wanted: String,
        /// What the index lists.
        available: String,
    },
    /// A layer that husk refuses or cannot read.
    #[error("layer {layer}: {reason}")]
    BadLayer {
        /// Digest or diff id.
        layer: String,
        /// Entry and what is wrong with it.
        reason: String,
    },
    /// An archive that can't be loaded.
    #[error("archive {}: {reason}", path.display())]
    BadArchive {
        /// The archive.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The file system is full (space, inodes or quota).
    #[error("no space left on the file system of {} ({call})", path.display())]
    DiskFull {
        /// What was written.
        path: PathBuf,
        /// The call that said so.
        call: &'static str,
    },
    /// A system call failed.
    #[error("{call} {}: {source}", path.display())]
    Io {
        /// The call.
        call: &'static str,
        /// Its object.
        path: PathBuf,
        /// errno.
        source: Arc<io::Error>,
    },
    /// Another process has this store open.
    #[error("{} is in use by another process", .0.display())]
    Locked(PathBuf),
    /// A name that can't be a snapshot's.
    #[error("snapshot id {id:?} is invalid: {reason}")]
    BadSnapshotId {
        /// As it was given.
        id: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The configuration has a value that can't be used.
    #[error("image configuration: {0}")]
    BadConfig(String),
    /// A task of this crate panicked.
    #[error("internal error: {0}")]
    Internal(String),
}

fn detail(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

impl Error {
    /// Wraps a failed call; a full disk becomes its own kind because people act on it differently.
    pub(crate) fn io(call: &'static str, path: impl AsRef<Path>, source: impl Into<io::Error>) -> Error {
        let source = source.into();
        let path = path.as_ref().to_path_buf();
        match Errno::from_io_error(&source) {
            Some(Errno::NOSPC | Errno::DQUOT) => Error::DiskFull { path, call },
            _ => Error::Io { call, path, source: Arc::new(source) },
        }
    }

    /// Whether another endpoint, or a later try, could give another answer.
    pub(crate) fn is_temporary(&self) -> bool {
        match self {
            Error::Status { status, .. } => *status >= 500 || *status == 408,
            Error::TooManyRequests { .. }
            | Error::Timeout { .. }
            | Error::Transfer { .. }
            | Error::Connect { .. } => true,
            _ => false,
        }
    }
}
