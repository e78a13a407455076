//! Reads tar streams: ustar, PAX and GNU headers, long names, xattrs, sparse files.
//!
//! An own reader, because a layer is hostile input: extension headers are bounded in memory, PAX records are parsed by
//! their length (a capability xattr may contain a newline byte), and each format of sparse file is understood or
//! refused. See docs/decisions/tar-reader.md.

mod header;
mod pax;
mod reader;
mod sparse;

pub(crate) use reader::Reader;

/// What kind of file an entry makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    HardLink,
    Symlink,
    CharDevice,
    BlockDevice,
    Directory,
    Fifo,
}

/// One entry, its headers merged. Numbers are checked for their range.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    /// As in the archive.
    pub path: Vec<u8>,
    /// Target of a link.
    pub link: Vec<u8>,
    pub kind: Kind,
    /// Permission bits with setuid, setgid and sticky.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// Seconds and nanoseconds.
    pub mtime: (i64, u32),
    pub major: u32,
    pub minor: u32,
    /// Length of the file when unpacked, holes included.
    pub size: u64,
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Offset and length of the data, where the file has holes.
    pub sparse: Option<Vec<(u64, u64)>>,
}

/// Why a stream is no tar that husk reads.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TarError {
    /// The stream itself failed.
    #[error("{0}")]
    Read(#[from] std::io::Error),
    #[error("tar stream ends within {0}")]
    Truncated(&'static str),
    #[error("tar header has a wrong checksum")]
    Checksum,
    #[error("tar header of {path:?} has a bad {field}")]
    Field { path: String, field: &'static str },
    #[error("tar entry {path:?} is of the unknown type {kind:?}")]
    UnknownKind { path: String, kind: char },
    #[error("tar extension header is longer than {} bytes", reader::MAX_EXTENSION)]
    ExtensionTooLong,
    #[error("tar has a malformed PAX header")]
    Pax,
    #[error("tar entry {path:?} has a malformed map of holes")]
    Sparse { path: String },
}

/// A path of the archive for a message.
pub(crate) fn show(path: &[u8]) -> String {
    let text = String::from_utf8_lossy(path);
    match text.char_indices().nth(200) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into_owned(),
    }
}
