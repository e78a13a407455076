//! Files of an archive by name: those of a directory, or those of a tar file, which is read once for their offsets.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};

use crate::layer::{Format, decoder};
use crate::tar::{Kind, Reader};
use crate::{Error, Result};

/// Most members that are remembered: an archive has a handful per layer.
const MAX_MEMBERS: usize = 100_000;

pub(crate) enum Members {
    Dir(PathBuf),
    Tar { path: PathBuf, file: Arc<File>, places: HashMap<String, Place> },
}

#[derive(Clone)]
pub(crate) enum Place {
    Data {
        offset: u64,
        length: u64,
    },
    /// Old `docker save` writes a layer that occurs twice as a symlink.
    Link(String),
}

impl Members {
    /// `most` bounds what a compressed archive inflates to; that goes to a nameless file in `scratch`.
    pub fn open(path: &Path, scratch: &Path, most: u64) -> Result<Members> {
        if path.is_dir() {
            return Ok(Members::Dir(path.into()));
        }
        let mut file = File::open(path).map_err(|error| Error::io("open", path, error))?;
        let mut start = [0; 4];
        let got = file.read_at(&mut start, 0).map_err(|error| Error::io("read", path, error))?;
        let format = Format::of(&start[..got]);
        if format != Format::Plain {
            file = inflated(path, file, format, scratch, most)?;
        }
        let places = index(path, &file)?;
        Ok(Members::Tar { path: path.into(), file: Arc::new(file), places })
    }

    pub fn path(&self) -> &Path {
        match self {
            Members::Dir(path) | Members::Tar { path, .. } => path,
        }
    }

    pub fn has(&self, name: &str) -> bool {
        match self {
            Members::Dir(dir) => dir.join(name).is_file(),
            Members::Tar { places, .. } => places.contains_key(name),
        }
    }

    fn missing(&self, name: &str) -> Error {
        Error::BadArchive { path: self.path().into(), reason: format!("{name} is missing") }
    }

    /// A member's bytes, to be read from its start to its end.
    pub fn open_member(&self, name: &str) -> Result<Member> {
        match self {
            Members::Dir(dir) => {
                // Names come from the archive's own documents.
                let inside =
                    Path::new(name).components().all(|c| matches!(c, std::path::Component::Normal(_)));
                if !inside {
                    return Err(self.missing(name));
                }
                let path = dir.join(name);
                let file = match File::open(&path) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(self.missing(name)),
                    other => other.map_err(|error| Error::io("open", &path, error))?,
                };
                let length = file.metadata().map_err(|error| Error::io("stat", &path, error))?.len();
                Ok(Member { file: Arc::new(file), offset: 0, length })
            }
            Members::Tar { file, places, .. } => {
                let mut name = name.to_owned();
                for _ in 0..4 {
                    match places.get(&name) {
                        Some(Place::Data { offset, length }) => {
                            return Ok(Member { file: Arc::clone(file), offset: *offset, length: *length });
                        }
                        Some(Place::Link(target)) => name = beside(&name, target),
                        None => break,
                    }
                }
                Err(self.missing(&name))
            }
        }
    }

    /// A small member as a whole.
    pub fn read(&self, name: &str, most: u64) -> Result<Vec<u8>> {
        let mut member = self.open_member(name)?;
        if member.length > most {
            let reason = format!("{name} has {} bytes, the most is {most}", member.length);
            return Err(Error::BadArchive { path: self.path().into(), reason });
        }
        let mut bytes = Vec::new();
        member.read_to_end(&mut bytes).map_err(|error| Error::io("read", self.path(), error))?;
        Ok(bytes)
    }
}

/// Part of a file.
pub(crate) struct Member {
    file: Arc<File>,
    offset: u64,
    pub length: u64,
}

impl Read for Member {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let want = usize::try_from(self.length).unwrap_or(usize::MAX).min(buffer.len());
        let got = self.file.read_at(&mut buffer[..want], self.offset)?;
        if got == 0 && want > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.offset += got as u64;
        self.length -= got as u64;
        Ok(got)
    }
}

fn index(path: &Path, file: &File) -> Result<HashMap<String, Place>> {
    let bad = |reason: String| Error::BadArchive { path: path.into(), reason };
    let mut file = file.try_clone().map_err(|error| Error::io("dup", path, error))?;
    file.seek(SeekFrom::Start(0)).map_err(|error| Error::io("lseek", path, error))?;
    let mut reader = Reader::new(BufReader::with_capacity(1 << 20, file));
    let mut places = HashMap::new();
    while let Some(entry) = reader.next_entry().map_err(|error| bad(error.to_string()))? {
        let Ok(name) = String::from_utf8(entry.path) else { continue };
        let name = name.trim_start_matches("./").to_owned();
        let place = match entry.kind {
            Kind::File if entry.sparse.is_none() => {
                Place::Data { offset: reader.position(), length: reader.left() }
            }
            Kind::Symlink | Kind::HardLink => match String::from_utf8(entry.link) {
                // A hard link's target is a path of the archive, a symlink's is relative to the link.
                Ok(link) if entry.kind == Kind::HardLink => Place::Link(format!("/{link}")),
                Ok(link) => Place::Link(link),
                Err(_) => continue,
            },
            _ => continue,
        };
        places.insert(name, place);
        if places.len() > MAX_MEMBERS {
            return Err(bad(format!("it has more than {MAX_MEMBERS} files")));
        }
    }
    Ok(places)
}

/// Where a link beside `name` points, as a name of the archive.
fn beside(name: &str, target: &str) -> String {
    let mut parts: Vec<&str> = match target.strip_prefix('/') {
        Some(_) => Vec::new(),
        None => name.rsplit_once('/').map(|(dir, _)| dir.split('/').collect()).unwrap_or_default(),
    };
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

fn inflated(path: &Path, file: File, format: Format, scratch: &Path, most: u64) -> Result<File> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let nameless = rustix::fs::open(scratch, flags, Mode::from_raw_mode(0o600))
        .map_err(|errno| Error::io("open O_TMPFILE", scratch, errno))?;
    let mut output = File::from(nameless);
    let bad = |error: io::Error| Error::BadArchive { path: path.into(), reason: error.to_string() };
    let mut reader = decoder(format, BufReader::with_capacity(1 << 18, file)).map_err(bad)?;
    let (mut buffer, mut total) = (vec![0; 1 << 18], 0);
    loop {
        let got = reader.read(&mut buffer).map_err(bad)?;
        if got == 0 {
            return Ok(output);
        }
        total += got as u64;
        if total > most {
            return Err(bad(io::Error::other(format!("it inflates to more than {most} bytes"))));
        }
        output.write_all(&buffer[..got]).map_err(|error| Error::io("write", scratch, error))?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_resolved_within_the_archive() {
        assert_eq!(beside("a/layer.tar", "../b/layer.tar"), "b/layer.tar");
        assert_eq!(beside("a/layer.tar", "/c/layer.tar"), "c/layer.tar");
        assert_eq!(beside("x", "../../../etc/passwd"), "etc/passwd");
    }

    #[test]
    fn a_directory_is_not_left() {
        let temp = tempfile::tempdir().unwrap();
        std::fs::create_dir(temp.path().join("in")).unwrap();
        std::fs::write(temp.path().join("secret"), "x").unwrap();
        let members = Members::open(&temp.path().join("in"), temp.path(), 1).unwrap();
        assert!(members.open_member("../secret").is_err());
        assert!(members.open_member("/etc/passwd").is_err());
    }
}
