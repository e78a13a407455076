//! Regular files.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::AsFd;

use rustix::fs::{self, Mode, OFlags};
use rustix::io::Errno;

use super::tree::{Tree, attributes, times};
use super::{UnpackError, path};
use crate::tar::{Entry, Reader};

pub(super) fn write<R: Read>(
    tree: &mut Tree,
    reader: &mut Reader<R>,
    full: &[u8],
    entry: &Entry,
) -> Result<(), UnpackError> {
    let (parent, name) = path::split(full);
    let parent = tree.open_dir(parent)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = || fs::openat(&*parent, name, flags, Mode::from_raw_mode(0o600));
    let fd = match open() {
        Err(Errno::EXIST) => {
            tree.make_room(&parent, name, full)?;
            open()
        }
        other => other,
    };
    let mut file = File::from(fd.map_err(UnpackError::call("openat", full))?);
    match &entry.sparse {
        None => copy(reader, &mut file, u64::MAX, full)?,
        Some(pieces) => {
            for (offset, length) in pieces {
                file.seek(SeekFrom::Start(*offset)).map_err(io_call("lseek", full))?;
                copy(reader, &mut file, *length, full)?;
            }
            file.set_len(entry.size).map_err(io_call("ftruncate", full))?;
        }
    }
    attributes(file.as_fd(), full, entry)?;
    fs::futimens(&file, &times(entry.mtime)).map_err(UnpackError::call("futimens", full))
}

fn copy<R: Read>(reader: &mut Reader<R>, file: &mut File, most: u64, full: &[u8]) -> Result<(), UnpackError> {
    let mut buffer = [0; 64 * 1024];
    let mut left = most;
    while left > 0 {
        let want = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let got = reader.data(&mut buffer[..want])?;
        if got == 0 {
            break;
        }
        file.write_all(&buffer[..got]).map_err(io_call("write", full))?;
        left -= got as u64;
    }
    Ok(())
}

fn io_call(call: &'static str, full: &[u8]) -> impl FnOnce(io::Error) -> UnpackError {
    let to_error = UnpackError::call(call, full);
    move |error| to_error(Errno::from_io_error(&error).unwrap_or(Errno::IO))
}
