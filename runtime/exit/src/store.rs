//! Exit records on disk: written so that neither a crash nor a full disk loses or tears one.
//!
//! The file is JSON whose first member, `check`, holds the length and a checksum of everything behind it. So a person can
//! read it with any JSON tool, and husk can tell a torn write from a record.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::FallocateFlags;
use rustix::io::Errno;

use crate::{ExitRecord, Outcome, replace};

/// Bytes that [`Reserved`] sets aside; a record is cut (log lines first) to fit.
pub const RESERVED_SIZE: usize = 16 * 1024;

/// Largest file that [`read`] accepts.
const READ_MAX: u64 = 1024 * 1024;

/// `{"check":"00001a2b-89abcdef",`
const CHECK_LEN: usize = 29;

/// An error of reading or writing an exit record.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A call failed.
    #[error("{call} {path}: {error}")]
    Io {
        /// The call.
        call: &'static str,
        /// On which file.
        path: PathBuf,
        /// How.
        error: io::Error,
    },
    /// The file is no exit record, or only a part of one.
    #[error("{path} is damaged: {what}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
}

impl Error {
    pub(crate) fn io(call: &'static str, path: &Path, error: impl Into<io::Error>) -> Self {
        Error::Io { call, path: path.into(), error: error.into() }
    }
}

/// What [`read`] found.
#[derive(Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "made once per read and taken apart at once")]
pub enum Found {
    /// A whole record.
    Record(ExitRecord),
    /// Room was reserved and nothing written to it yet: the run goes on, or who waited for it has died.
    Pending,
    /// No such file.
    Nothing,
}

/// A record file made at the start of a run, so that its end can be written down even when the disk is full by then.
#[derive(Debug)]
pub struct Reserved {
    file: File,
    path: PathBuf,
}

impl Reserved {
    /// Makes `path` (it may exist already) and sets aside [`RESERVED_SIZE`] bytes for it, durably.
    pub fn new(path: &Path) -> Result<Self, Error> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits() as i32)
            .open(path)
            .map_err(|e| Error::io("open", path, e))?;
        match rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, RESERVED_SIZE as u64) {
            Ok(()) => {}
            // 9p and some network filesystems have no fallocate: writing is the other way to own blocks.
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
                (&file).write_all(&[0; RESERVED_SIZE]).map_err(|e| Error::io("write", path, e))?;
            }
            Err(e) => return Err(Error::io("fallocate", path, e)),
        }
        sync_dir(path)?;
        Ok(Reserved { file, path: path.into() })
    }

    /// Takes up the reservation that another process made.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let file = OpenOptions::new()
            .write(true)
            .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits() as i32)
            .open(path)
            .map_err(|e| Error::io("open", path, e))?;
        Ok(Reserved { file, path: path.into() })
    }

    /// Writes the record into the reserved blocks and returns once it is on the disk.
    pub fn commit(self, record: &ExitRecord) -> Result<(), Error> {
        let text = encode(record, RESERVED_SIZE);
        self.file.write_all_at(&text, 0).map_err(|e| Error::io("write", &self.path, e))?;
        self.file.sync_data().map_err(|e| Error::io("fdatasync", &self.path, e))?;
        // Only for the eyes of JSON tools: a reader of husk cuts the zeros off by itself if this never gets to the disk.
        self.file.set_len(text.len() as u64).map_err(|e| Error::io("ftruncate", &self.path, e))
    }
}

/// Writes a record in place of what is at `path`; durable on return.
pub fn write(path: &Path, record: &ExitRecord) -> Result<(), Error> {
    replace(path, &encode(record, RESERVED_SIZE), 0o600, true)?;
    sync_dir(path)
}

/// As [`write`], but left to the kernel to put on the disk: for evidence that nobody was promised.
pub fn note(path: &Path, record: &ExitRecord) -> Result<(), Error> {
    replace(path, &encode(record, RESERVED_SIZE), 0o600, false)
}

/// Reads what is at `path`.
pub fn read(path: &Path) -> Result<Found, Error> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(e) => return Err(Error::io("open", path, e)),
    };
    let mut bytes = Vec::new();
    file.take(READ_MAX).read_to_end(&mut bytes).map_err(|e| Error::io("read", path, e))?;
    decode(&bytes).map_err(|what| Error::Damaged { path: path.into(), what })
}

/// The signals that husk noted in `path`, one [`SentSignal`](crate::SentSignal) as JSON per line. A line that is no such
/// thing (a write that was cut off) is left out; no file means that none was sent.
pub fn read_sent(path: &Path) -> Vec<crate::SentSignal> {
    let mut text = String::new();
    let _ = File::open(path).and_then(|file| file.take(READ_MAX).read_to_string(&mut text));
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn sync_dir(path: &Path) -> Result<(), Error> {
    let dir = match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    File::open(dir).and_then(|d| d.sync_all()).map_err(|e| Error::io("fsync", dir, e))
}

/// The file's bytes: at most `room` of them.
fn encode(record: &ExitRecord, room: usize) -> Vec<u8> {
    let text = to_json(record);
    if text.len() + CHECK_LEN <= room {
        return with_check(&text);
    }
    // Which text goes first when there is no room: output, oldest line first; then the words, which only people need.
    let mut cut = record.clone();
    while !cut.log_tail.is_empty() {
        cut.log_tail.remove(0);
        let text = to_json(&cut);
        if text.len() + CHECK_LEN <= room {
            return with_check(&text);
        }
    }
    cut.gaps = vec!["the record was too long and has been cut".into()];
    shorten(&mut cut.id);
    cut.exec_id.as_mut().map(shorten);
    // Thousands of signals may have been passed on; the last ones decide.
    let old = cut.sent.len().saturating_sub(16);
    cut.sent.drain(..old);
    if let Outcome::NotStarted { failure } = &mut cut.outcome {
        shorten(&mut failure.subject);
        failure.detail.as_mut().map(shorten);
    }
    if let Some(oom) = &mut cut.oom {
        oom.task.as_mut().map(shorten);
        oom.limit_cgroup.as_mut().map(shorten);
    }
    with_check(&to_json(&cut))
}

/// At most 256 bytes of a name; JSON escapes can make six of each.
fn shorten(text: &mut String) {
    let mut end = text.len().min(256);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
}

fn to_json(record: &ExitRecord) -> String {
    // A record holds no map with non-string keys and no type that fails to serialize.
    serde_json::to_string(record).unwrap_or_default()
}

fn with_check(json: &str) -> Vec<u8> {
    let body = json.strip_prefix('{').unwrap_or(json);
    let mut out = format!("{{\"check\":\"{:08x}-{:08x}\",", body.len(), crc32(body.as_bytes())).into_bytes();
    out.extend_from_slice(body.as_bytes());
    out
}

fn decode(bytes: &[u8]) -> Result<Found, String> {
    if bytes.iter().all(|b| *b == 0) {
        return Ok(Found::Pending);
    }
    let head = bytes.get(..CHECK_LEN).ok_or("shorter than its head")?;
    let (length, crc) = parse_check(head).ok_or("no checksum at its start")?;
    let body = bytes.get(CHECK_LEN..).and_then(|b| b.get(..length)).ok_or("shorter than it says")?;
    if crc32(body) != crc {
        return Err("its checksum is not that of its text".into());
    }
    let mut json = Vec::with_capacity(length + 1);
    json.push(b'{');
    json.extend_from_slice(body);
    serde_json::from_slice(&json).map(Found::Record).map_err(|e| e.to_string())
}

fn parse_check(head: &[u8]) -> Option<(usize, u32)> {
    let text = std::str::from_utf8(head).ok()?.strip_prefix("{\"check\":\"")?.strip_suffix("\",")?;
    let (length, crc) = text.split_once('-')?;
    Some((u32::from_str_radix(length, 16).ok()? as usize, u32::from_str_radix(crc, 16).ok()?))
}

/// CRC-32 (IEEE 802.3), bit by bit: a record is a few KiB and written once.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = !0u32;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (0u32.wrapping_sub(crc & 1)));
        }
    }
    !crc
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
