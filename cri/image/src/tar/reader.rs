//! The stream of entries.

use std::io::{self, Read};

use super::header::{BLOCK, Header};
use super::pax::Pax;
use super::sparse::Map;
use super::{Entry, Kind, TarError, show};

/// Most bytes of one extension header (long name, PAX records): bounds memory whatever the archive says.
pub(super) const MAX_EXTENSION: u64 = 1 << 20;

/// Entries of a tar stream; between two calls of [`Reader::next_entry`] it reads the data of the current entry.
pub(crate) struct Reader<R> {
    inner: R,
    /// Data of the current entry that was not read yet, and the padding behind it.
    left: u64,
    padding: u64,
    position: u64,
}

#[derive(Default)]
struct Extensions {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    pax: Pax,
}

impl<R: Read> Reader<R> {
    pub fn new(inner: R) -> Reader<R> {
        Reader { inner, left: 0, padding: 0, position: 0 }
    }

    /// Offset in the stream: right after [`Reader::next_entry`], where the entry's data starts.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Bytes that the current entry still has in the archive.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// The next entry; nothing at the end of the archive.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, TarError> {
        let mut extensions = Extensions::default();
        let mut within_extensions = false;
        loop {
            self.skip_rest()?;
            let mut block = [0; BLOCK];
            let got = self.fill(&mut block)?;
            let header = match got {
                0 => None,
                BLOCK => Header::check(&block)?,
                _ => return Err(TarError::Truncated("a header")),
            };
            let Some(header) = header else {
                return if within_extensions {
                    Err(TarError::Truncated("extension headers"))
                } else {
                    Ok(None)
                };
            };
            let kind = header.kind();
            if matches!(kind, b'L' | b'K' | b'x' | b'X' | b'g') {
                self.enter(header.size()?)?;
                let data = self.extension()?;
                match kind {
                    b'L' => extensions.path = Some(cut_at_nul(data)),
                    b'K' => extensions.link = Some(cut_at_nul(data)),
                    // Global records hold comments (a commit's id); nobody's layers rely on them for more.
                    b'g' => {}
                    _ => extensions.pax = Pax::parse(&data)?,
                }
                within_extensions |= kind != b'g';
                continue;
            }
            return self.entry(&header, extensions).map(Some);
        }
    }

    fn entry(&mut self, header: &Header<'_>, extensions: Extensions) -> Result<Entry, TarError> {
        let Extensions { path, link, pax } = extensions;
        let named_sparse = pax.sparse.name.is_some() || pax.sparse.map.is_some();
        let path = pax.sparse.name.or(pax.path).or(path).unwrap_or_else(|| header.path());
        let link = pax.link.or(link).unwrap_or_else(|| header.link());
        let bad = |field| TarError::Field { path: show(&path), field };
        let kind = match header.kind() {
            // Before ustar a directory was a file whose name ends with a slash.
            0 | b'0' | b'7' | b'S' if path.ends_with(b"/") => Kind::Directory,
            0 | b'0' | b'7' | b'S' => Kind::File,
            b'1' => Kind::HardLink,
            b'2' => Kind::Symlink,
            b'3' => Kind::CharDevice,
            b'4' => Kind::BlockDevice,
            b'5' => Kind::Directory,
            b'6' => Kind::Fifo,
            other => return Err(TarError::UnknownKind { path: show(&path), kind: char::from(other) }),
        };
        let mut stored = pax.size.map_or_else(|| header.size(), Ok)?;
        // Links and the like have no data, whatever their size field says (POSIX).
        if !matches!(kind, Kind::File | Kind::Directory) {
            stored = 0;
        }
        // 2^32-1 means "leave as it is" to chown(2), so it is nobody's id.
        let id = |value: u64, field| {
            u32::try_from(value).ok().filter(|id| *id != u32::MAX).ok_or_else(|| bad(field))
        };
        let uid = id(pax.uid.map_or_else(|| header.uid(), Ok)?, "uid")?;
        let gid = id(pax.gid.map_or_else(|| header.gid(), Ok)?, "gid")?;
        let mtime = match pax.mtime {
            Some(time) => time,
            None => (header.mtime()?, 0),
        };
        let (major, minor) = match kind {
            Kind::CharDevice | Kind::BlockDevice => header.device()?,
            _ => (0, 0),
        };
        self.enter(stored)?;
        let mut size = stored;
        let mut sparse = None;
        let mut map = Map::default();
        if kind == Kind::File && header.kind() == b'S' {
            let (table, mut more, real_size) = header.gnu_sparse();
            map.add_gnu(table, &path)?;
            while more {
                let block = self.raw_block()?;
                map.add_gnu(&block[..504], &path)?;
                more = block[504] != 0;
            }
            size = real_size?;
            sparse = Some(map.check(size, self.left, &path)?);
        } else if kind == Kind::File && (named_sparse || pax.sparse.major > 0) {
            size = pax.sparse.size.ok_or_else(|| bad("GNU.sparse.size"))?;
            match pax.sparse.map {
                Some(pieces) => map.pieces = pieces,
                None if pax.sparse.major == 1 => {
                    map.read_v1(&path, || {
                        let mut block = [0; BLOCK];
                        match self.read_full(&mut block)? {
                            BLOCK => Ok(block),
                            _ => Err(TarError::Sparse { path: show(&path) }),
                        }
                    })?;
                }
                None => return Err(TarError::Sparse { path: show(&path) }),
            }
            sparse = Some(map.check(size, self.left, &path)?);
        }
        Ok(Entry {
            link,
            kind,
            mode: header.mode()?,
            uid,
            gid,
            mtime,
            major,
            minor,
            size,
            xattrs: pax.xattrs,
            sparse,
            path,
        })
    }

    fn enter(&mut self, size: u64) -> Result<(), TarError> {
        let block = BLOCK as u64;
        if size > i64::MAX.cast_unsigned() - block {
            return Err(TarError::Field { path: String::new(), field: "size" });
        }
        self.left = size;
        self.padding = (block - size % block) % block;
        Ok(())
    }

    fn extension(&mut self) -> Result<Vec<u8>, TarError> {
        if self.left > MAX_EXTENSION {
            return Err(TarError::ExtensionTooLong);
        }
        let mut data = vec![0; usize::try_from(self.left).unwrap_or(0)];
        match self.read_full(&mut data)? {
            got if got == data.len() => Ok(data),
            _ => Err(TarError::Truncated("an extension header")),
        }
    }

    /// A block of a sparse file's map: it stands between header and data and is not counted in the size.
    fn raw_block(&mut self) -> Result<[u8; BLOCK], TarError> {
        let mut block = [0; BLOCK];
        match self.fill(&mut block)? {
            BLOCK => Ok(block),
            _ => Err(TarError::Truncated("a map of holes")),
        }
    }

    fn skip_rest(&mut self) -> Result<(), TarError> {
        let mut rest = self.left + self.padding;
        let mut sink = [0; 16 * 1024];
        while rest > 0 {
            let want = usize::try_from(rest).unwrap_or(usize::MAX).min(sink.len());
            match self.fill(&mut sink[..want])? {
                0 => return Err(TarError::Truncated("an entry's data")),
                got => rest -= got as u64,
            }
        }
        (self.left, self.padding) = (0, 0);
        Ok(())
    }

    /// Reads from the underlying stream until the buffer is full or the stream ends.
    fn fill(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut got = 0;
        while got < buffer.len() {
            match self.inner.read(&mut buffer[got..]) {
                Ok(0) => break,
                Ok(more) => got += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.position += got as u64;
        Ok(got)
    }

    fn read_full(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let want = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let got = self.fill(&mut buffer[..want])?;
        self.left -= got as u64;
        Ok(got)
    }

    /// Reads data of the current entry: 0 at its end; an error if the stream ends before.
    pub fn data(&mut self, buffer: &mut [u8]) -> Result<usize, TarError> {
        if self.left == 0 {
            return Ok(0);
        }
        let want = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let got = self.inner.read(&mut buffer[..want])?;
        if got == 0 {
            return Err(TarError::Truncated("an entry's data"));
        }
        self.left -= got as u64;
        self.position += got as u64;
        Ok(got)
    }
}

fn cut_at_nul(mut data: Vec<u8>) -> Vec<u8> {
    let end = data.iter().position(|b| *b == 0).unwrap_or(data.len());
    data.truncate(end);
    data
}
