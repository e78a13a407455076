//! The container's log file, in the CRI format: `TIME STREAM P|F TEXT`, one line each; `P` where a longer line goes on.
//!
//! A device that refuses bytes (full, over quota, failing) loses nothing: what it refused stays in `pending`, the
//! caller stops reading, and so the container's own write waits. A line that got to the file only in part is finished
//! once there is room, or cut off the old file and written whole to the new one if the log is rotated meanwhile.

use crate::clock;
use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Bytes of text in one log line; longer lines are split.
pub const LINE_MAX: usize = 16 * 1024;
/// Written out once this much is formatted.
const WRITE_AT: usize = 32 * 1024;
/// Room for that and one line more, made at once: a buffer that doubles leaves holes as large as itself in the heap.
const ROOM: usize = WRITE_AT + LINE_MAX + 64;

/// Output stream of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output, or a terminal.
    Stdout,
    /// Standard error.
    Stderr,
}

/// An open log file and what has yet to get into it.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    file: File,
    /// Formatted lines from the start of the first one that is not wholly in the file.
    pending: Vec<u8>,
    /// Bytes of `pending` that are in the file already.
    torn: usize,
    stalled: bool,
}

fn open(path: &Path) -> io::Result<File> {
    // Read, too: the exit record quotes the last lines. NOFOLLOW: the log folder is the kubelet's, its files ours.
    let flags =
        OFlags::CREATE | OFlags::APPEND | OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NOCTTY;
    Ok(rustix::fs::open(path, flags, Mode::from_raw_mode(0o640))?.into())
}

impl LogFile {
    /// Opens `path` for appending, with mode 0640 if it is new.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.into(), file: open(path)?, pending: Vec::new(), torn: 0, stalled: false })
    }

    /// The device refused bytes at the last try.
    pub fn stalled(&self) -> bool {
        self.stalled
    }

    /// Writes what is pending. A refusal is no error here: see [`LogFile::stalled`].
    pub fn flush(&mut self) {
        while self.torn < self.pending.len() {
            match self.file.write(&self.pending[self.torn..]) {
                Ok(0) => break,
                Ok(n) => self.torn += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        self.stalled = self.torn < self.pending.len();
        let whole = memchr::memrchr(b'\n', &self.pending[..self.torn]).map_or(0, |at| at + 1);
        self.pending.drain(..whole);
        self.torn -= whole;
        if self.pending.is_empty() {
            // An idle container keeps no buffer.
            self.pending = Vec::new();
        }
    }

    /// Goes on in a new file of the same path.
    pub fn reopen(&mut self) -> io::Result<()> {
        self.flush();
        let new = open(&self.path)?;
        if self.torn > 0 {
            let len = self.file.metadata()?.len();
            self.file.set_len(len.saturating_sub(self.torn as u64))?;
            self.torn = 0;
        }
        self.file = new;
        self.flush();
        Ok(())
    }

    /// The file's last bytes, at most `max`, and after them what is pending.
    pub fn tail(&self, max: usize) -> Vec<u8> {
        let mut out = Vec::new();
        if let Ok(meta) = self.file.metadata() {
            let end = meta.len().saturating_sub(self.torn as u64);
            let start = end.saturating_sub(max as u64);
            out.resize(usize::try_from(end - start).unwrap_or(0), 0);
            if self.file.read_exact_at(&mut out, start).is_err() {
                out.clear();
            }
            if start > 0 {
                // The first line is cut somewhere.
                let first = memchr::memchr(b'\n', &out).map_or(out.len(), |at| at + 1);
                out.drain(..first);
            }
        }
        out.extend_from_slice(&self.pending);
        out
    }

    fn push(&mut self, head: &[u8], parts: [&[u8]; 2]) {
        if self.pending.capacity() == 0 {
            self.pending.reserve_exact(ROOM);
        }
        self.pending.extend_from_slice(head);
        self.pending.extend_from_slice(parts[0]);
        self.pending.extend_from_slice(parts[1]);
        self.pending.push(b'\n');
        if self.pending.len() >= WRITE_AT && !self.stalled {
            self.flush();
        }
    }
}

/// Cuts one stream into log lines.
#[derive(Debug)]
pub struct Lines {
    stream: Stream,
    /// The line that has not ended yet, less than [`LINE_MAX`].
    rest: Vec<u8>,
}

impl Lines {
    /// A stream at its beginning.
    pub fn new(stream: Stream) -> Self {
        Self { stream, rest: Vec::new() }
    }

    fn head(&self) -> Vec<u8> {
        let mut head = Vec::with_capacity(clock::RFC3339_LEN + 10);
        head.extend_from_slice(&clock::rfc3339(clock::now()));
        head.extend_from_slice(match self.stream {
            Stream::Stdout => b" stdout F ",
            Stream::Stderr => b" stderr F ",
        });
        head
    }

    /// Takes what was read. The time is the same for all its lines: one clock call per chunk.
    pub fn feed(&mut self, log: &mut LogFile, mut chunk: &[u8]) {
        let full = self.head();
        let mut partial = full.clone();
        let tag = partial.len() - 2;
        partial[tag] = b'P';
        while let Some(at) = memchr::memchr(b'\n', chunk) {
            let mut line = &chunk[..at];
            chunk = &chunk[at + 1..];
            self.split(log, &partial, &mut line);
            log.push(&full, [&self.rest, line]);
            self.rest.clear();
        }
        self.split(log, &partial, &mut chunk);
        if chunk.is_empty() && self.rest.is_empty() {
            self.rest = Vec::new();
        }
        self.rest.extend_from_slice(chunk);
        log.flush();
    }

    /// Writes pieces of [`LINE_MAX`] until the rest and `line` make no more than one.
    fn split(&mut self, log: &mut LogFile, partial: &[u8], line: &mut &[u8]) {
        while self.rest.len() + line.len() > LINE_MAX {
            let (now, later) = line.split_at(LINE_MAX - self.rest.len());
            log.push(partial, [&self.rest, now]);
            self.rest.clear();
            *line = later;
        }
    }

    /// The stream has ended: writes the line that has no newline, if there is one.
    pub fn finish(&mut self, log: &mut LogFile) {
        if !self.rest.is_empty() {
            let head = self.head();
            log.push(&head, [&self.rest, &[]]);
            self.rest = Vec::new();
            log.flush();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{LINE_MAX, Lines, LogFile, Stream};

    /// Tag and text of each line.
    fn read(path: &std::path::Path) -> Vec<(String, String)> {
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'));
        let line = |line: &str| {
            let fields: Vec<&str> = line.splitn(4, ' ').collect();
            assert_eq!((fields[0].len(), fields[1]), (30, "stdout"));
            (fields[2].to_owned(), fields[3].to_owned())
        };
        text.lines().map(line).collect()
    }

    #[test]
    fn chunks_do_not_show_in_the_lines() {
        let dir = tempfile::tempdir().unwrap();
        let mut input = Vec::new();
        for n in 0..200usize {
            input.extend(vec![b'a' + (n % 26) as u8; (n * 397) % (3 * LINE_MAX)]);
            input.push(b'\n');
        }
        input.extend_from_slice(b"\n\nno end");
        let mut expected: Vec<(String, String)> = Vec::new();
        for line in String::from_utf8(input.clone()).unwrap().lines() {
            let mut rest = line;
            while rest.len() > LINE_MAX {
                expected.push(("P".into(), rest[..LINE_MAX].into()));
                rest = &rest[LINE_MAX..];
            }
            expected.push(("F".into(), rest.into()));
        }
        for size in [1, 7, 4096, LINE_MAX - 1, LINE_MAX, LINE_MAX + 1, 32 * 1024, input.len()] {
            let path = dir.path().join(size.to_string());
            let (mut log, mut lines) = (LogFile::open(&path).unwrap(), Lines::new(Stream::Stdout));
            // One byte at a time is slow where each is a write: only the beginning then.
            let input = if size == 1 { &input[..40_000] } else { &input[..] };
            for chunk in input.chunks(size) {
                lines.feed(&mut log, chunk);
            }
            lines.finish(&mut log);
            let found = read(&path);
            if size == 1 {
                assert_eq!(found[..found.len() - 1], expected[..found.len() - 1]);
            } else {
                assert_eq!(found, expected, "in chunks of {size}");
            }
            assert!(!log.stalled() && log.pending.capacity() == 0);
        }
    }

    #[test]
    fn a_torn_line_is_cut_off_the_old_file_at_rotation() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut log = LogFile::open(&path).unwrap();
        // As a full disk leaves it: a whole line, and six bytes of the next.
        log.pending = b"T stdout F one\nT stdout F two\n".to_vec();
        std::io::Write::write_all(&mut &log.file, b"T stdout F one\nT stdo").unwrap();
        log.pending.drain(..15);
        log.torn = 6;
        assert_eq!(log.tail(100), b"T stdout F one\nT stdout F two\n");
        let old = dir.path().join("log.1");
        std::fs::rename(&path, &old).unwrap();
        // The rotation's own try to write succeeds, so the line is finished where it began.
        log.reopen().unwrap();
        assert_eq!(std::fs::read(&old).unwrap(), b"T stdout F one\nT stdout F two\n");
        // Without room it is cut off.
        log.file = std::fs::File::options().read(true).write(true).open("/dev/full").unwrap();
        log.pending = b"T stdout F three\n".to_vec();
        log.flush();
        assert!(log.stalled());
        log.reopen().unwrap();
        assert!(!log.stalled());
        assert_eq!(std::fs::read(&path).unwrap(), b"T stdout F three\n");
    }
}
