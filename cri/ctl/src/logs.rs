//! Container logs in CRI's text format: `TIME STREAM P|F TEXT`.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What is read at once.
const CHUNK: usize = 64 << 10;
/// A line of a log is at most some 16 KiB long; a longer one was not written by a runtime.
const MAX_LINE: usize = 1 << 20;

/// One record of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// RFC 3339 with nanoseconds.
    pub time: &'a str,
    /// From standard error.
    pub stderr: bool,
    /// The line goes on in the next record of this stream.
    pub partial: bool,
    /// The text without its newline.
    pub text: &'a [u8],
}

impl<'a> Record<'a> {
    /// Parses one line without its newline.
    pub fn parse(line: &'a [u8]) -> Option<Self> {
        let mut parts = line.splitn(4, |b| *b == b' ');
        let time = std::str::from_utf8(parts.next()?).ok()?;
        let stderr = match parts.next()? {
            b"stdout" => false,
            b"stderr" => true,
            _ => return None,
        };
        // Tags are joined by ':'; the first one is P or F.
        let partial = match parts.next()?.first()? {
            b'P' => true,
            b'F' => false,
            _ => return None,
        };
        Some(Self { time, stderr, partial, text: parts.next()? })
    }
}

/// Reads a log as it grows, across rotation.
#[derive(Debug)]
pub struct Follower {
    path: PathBuf,
    file: Option<File>,
    rest: Vec<u8>,
}

impl Follower {
    /// From the beginning of the log at `path`, which need not be there yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), file: None, rest: Vec::new() }
    }

    /// From the last `lines` lines on, or from the beginning. The log must be there.
    pub fn open(path: &Path, lines: Option<usize>) -> io::Result<Self> {
        let mut file = File::open(path)?;
        if let Some(lines) = lines {
            let offset = offset_of_last(&file, lines)?;
            file.seek(SeekFrom::Start(offset))?;
        }
        Ok(Self { path: path.to_owned(), file: Some(file), rest: Vec::new() })
    }

    /// Gives every record that has been written since the last call.
    pub fn read_new(&mut self, mut each: impl FnMut(Record<'_>) -> io::Result<()>) -> io::Result<()> {
        loop {
            if self.file.is_none() && !self.reopen()? {
                return Ok(());
            }
            // Looked at before the old file's end: its writer makes the new file only when it has left the old one.
            let rotated = self.rotated();
            self.read_to_end(&mut each)?;
            if !rotated {
                return Ok(());
            }
            self.file = None;
        }
    }

    fn reopen(&mut self) -> io::Result<bool> {
        match File::open(&self.path) {
            Ok(file) => {
                self.file = Some(file);
                Ok(true)
            }
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
            Err(e) => Err(e),
        }
    }

    fn rotated(&self) -> bool {
        let there = std::fs::metadata(&self.path).map(|m| (m.dev(), m.ino()));
        let ours = self.file.as_ref().map(|f| f.metadata().map(|m| (m.dev(), m.ino())));
        matches!((there, ours), (Ok(there), Some(Ok(ours))) if there != ours)
    }

    fn read_to_end(&mut self, each: &mut impl FnMut(Record<'_>) -> io::Result<()>) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        loop {
            let read = Read::by_ref(file).take(CHUNK as u64).read_to_end(&mut self.rest)?;
            let end = self.rest.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
            for line in self.rest[..end].split_inclusive(|b| *b == b'\n') {
                each(lenient(&line[..line.len() - 1]))?;
            }
            self.rest.drain(..end);
            if self.rest.len() > MAX_LINE {
                each(lenient(&self.rest))?;
                self.rest.clear();
            }
            if read == 0 {
                return Ok(());
            }
        }
    }
}

/// A record, or a foreign line as it is.
fn lenient(line: &[u8]) -> Record<'_> {
    Record::parse(line).unwrap_or(Record { time: "", stderr: false, partial: false, text: line })
}

/// Where the last `lines` whole lines begin; a line of several records counts once.
fn offset_of_last(file: &File, lines: usize) -> io::Result<u64> {
    let mut reader = BufReader::with_capacity(CHUNK, file);
    let (mut starts, mut at, mut line) = (VecDeque::new(), 0, Vec::new());
    let mut within = [false; 2];
    loop {
        line.clear();
        let read = (&mut reader).take(MAX_LINE as u64).read_until(b'\n', &mut line)? as u64;
        if read == 0 {
            return Ok(match lines {
                0 => at,
                _ => starts.front().copied().unwrap_or(0),
            });
        }
        let record = lenient(line.strip_suffix(b"\n").unwrap_or(&line));
        let within = &mut within[usize::from(record.stderr)];
        if !*within {
            starts.push_back(at);
            if starts.len() > lines {
                starts.pop_front();
            }
        }
        *within = record.partial;
        at += read;
    }
}

/// How records are shown.
#[derive(Debug, Default)]
pub struct Shown {
    /// Before each line.
    pub prefix: String,
    /// Show when it was written.
    pub timestamps: bool,
    /// Text of an unfinished line, by stream.
    pending: [Vec<u8>; 2],
}

impl Shown {
    /// Every line after `prefix`.
    pub fn new(prefix: impl Into<String>, timestamps: bool) -> Self {
        Self { prefix: prefix.into(), timestamps, pending: Default::default() }
    }

    /// Writes a line once its last record is there: lines of other containers must not cut it.
    pub fn show(&mut self, record: Record<'_>, out: &mut impl Write, err: &mut impl Write) -> io::Result<()> {
        let pending = &mut self.pending[usize::from(record.stderr)];
        if pending.is_empty() {
            pending.extend_from_slice(self.prefix.as_bytes());
            if self.timestamps {
                pending.extend_from_slice(record.time.as_bytes());
                pending.push(b' ');
            }
        }
        pending.extend_from_slice(record.text);
        if !record.partial {
            pending.push(b'\n');
        }
        if !record.partial || pending.len() > MAX_LINE {
            match record.stderr {
                true => err.write_all(pending)?,
                false => out.write_all(pending)?,
            }
            pending.clear();
        }
        Ok(())
    }

    /// Writes what was left unfinished when the container ended.
    pub fn finish(&mut self, out: &mut impl Write, err: &mut impl Write) -> io::Result<()> {
        for pending in self.pending.iter_mut().filter(|p| !p.is_empty() && !self.prefix.is_empty()) {
            // Other containers' lines come after it.
            pending.push(b'\n');
        }
        out.write_all(&self.pending[0])?;
        err.write_all(&self.pending[1])?;
        self.pending = Default::default();
        out.flush()?;
        err.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: &str = "2026-11-21T08:00:00.000000001Z";

    fn texts(follower: &mut Follower) -> Vec<String> {
        let mut seen = Vec::new();
        let each = |r: Record<'_>| {
            seen.push(String::from_utf8_lossy(r.text).into_owned());
            Ok(())
        };
        follower.read_new(each).unwrap();
        seen
    }

    #[test]
    fn records() {
        let line = format!("{T} stderr P:more a b  ");
        let expected = Record { time: T, stderr: true, partial: true, text: b"a b  " };
        assert_eq!(Record::parse(line.as_bytes()), Some(expected));
        let empty = format!("{T} stdout F ");
        assert_eq!(Record::parse(empty.as_bytes()).unwrap().text, b"");
        for bad in ["", "x", "t stdin F a", "t stdout X a", "t stdout F"] {
            assert_eq!(Record::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn a_growing_log_is_read_line_by_line_across_rotation() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("0.log");
        let mut follower = Follower::new(&path);
        assert!(texts(&mut follower).is_empty());
        let mut old = File::create(&path).unwrap();
        write!(old, "{T} stdout F one\n{T} stdout F tw").unwrap();
        assert_eq!(texts(&mut follower), ["one"]);
        writeln!(old, "o").unwrap();
        std::fs::rename(&path, dir.path().join("0.log.1")).unwrap();
        writeln!(old, "{T} stdout F three").unwrap();
        assert_eq!(texts(&mut follower), ["two", "three"]);
        writeln!(old, "{T} stdout F four").unwrap();
        std::fs::write(&path, format!("{T} stdout F five\n")).unwrap();
        assert_eq!(texts(&mut follower), ["four", "five"]);
    }

    #[test]
    fn the_tail_counts_lines_not_records() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("0.log");
        std::fs::write(
            &path,
            format!("{T} stdout F a\n{T} stdout P b\n{T} stderr F e\n{T} stdout F c\n{T} stdout F d\n"),
        )
        .unwrap();
        for (lines, expected) in
            [(0, vec![]), (1, vec!["d"]), (2, vec!["e", "c", "d"]), (9, vec!["a", "b", "e", "c", "d"])]
        {
            assert_eq!(texts(&mut Follower::open(&path, Some(lines)).unwrap()), expected, "{lines}");
        }
    }

    #[test]
    fn lines_are_shown_whole() {
        let mut shown = Shown::new("web | ", false);
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let record = |stderr, partial, text| Record { time: T, stderr, partial, text };
        for r in [
            record(false, true, b"a"),
            record(true, false, b"e"),
            record(false, false, b"b"),
            record(false, true, b"c"),
        ] {
            shown.show(r, &mut out, &mut err).unwrap();
        }
        shown.finish(&mut out, &mut err).unwrap();
        assert_eq!((out.as_slice(), err.as_slice()), (&b"web | ab\nweb | c\n"[..], &b"web | e\n"[..]));
    }
}
