//! One layer on its way from its source to its directory: feed → inflate → unpack, three stages at the same time.
//!
//! The feed (async, from a registry or an archive) counts and hashes what comes in; a thread inflates and hashes what
//! comes out; another thread unpacks. Nothing of the compressed layer is kept. The directory gets its name only when
//! both digests are right.

use std::io::{self, BufRead, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc as sync_mpsc;

use bytes::{Buf, Bytes};
use rustix::fs::{Mode, OFlags};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use crate::manifest::Descriptor;
use crate::unpack::{self, Limits, UnpackError, Unpacked};
use crate::{Digest, Error, Result};

/// Inflated bytes per message to the unpacking thread.
const CHUNK: usize = 256 * 1024;

/// Where the bytes of a blob go. It knows how many came and what their digest is.
pub(crate) struct Sink {
    sender: Option<mpsc::Sender<Message>>,
    hasher: Sha256,
    got: u64,
    limit: u64,
    progress: Arc<AtomicU64>,
    hopeless: Arc<AtomicBool>,
}

enum Message {
    Data(Bytes),
    /// All bytes came and their digest is right.
    End,
}

impl Sink {
    /// Bytes that came so far: where a broken transfer goes on.
    pub fn got(&self) -> u64 {
        self.got
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// More bytes than the descriptor says, or the stages behind can't go on for a reason that no other bytes mend.
    pub async fn push(&mut self, data: Bytes, blob: &Descriptor) -> Result<()> {
        self.got += data.len() as u64;
        if self.got > self.limit {
            return Err(wrong_size(blob, self.got));
        }
        self.hasher.update(&data);
        self.progress.store(self.got, Ordering::Relaxed);
        if let Some(sender) = &self.sender
            && sender.send(Message::Data(data)).await.is_err()
        {
            // The stages behind gave up. If the bytes may be at fault, the digest tells: read on for it.
            self.sender = None;
        }
        if self.hopeless.load(Ordering::Relaxed) {
            return Err(Error::Internal("unpacking failed".into()));
        }
        Ok(())
    }

    async fn finish(mut self, blob: &Descriptor) -> Result<()> {
        if self.got != blob.size {
            return Err(wrong_size(blob, self.got));
        }
        let actual = Digest::from_hasher(std::mem::take(&mut self.hasher));
        if actual != blob.digest {
            let (expected, actual) = (blob.digest.to_string(), actual.to_string());
            return Err(Error::WrongDigest { what: "layer", expected, actual });
        }
        if let Some(sender) = self.sender.take() {
            // If nobody hears it, the stages behind have an error of their own to tell.
            drop(sender.send(Message::End).await);
        }
        Ok(())
    }
}

fn wrong_size(blob: &Descriptor, actual: u64) -> Error {
    Error::WrongSize { digest: blob.digest.to_string(), expected: blob.size, actual }
}

/// Something that can give a blob's bytes.
pub(crate) trait Feed {
    /// Pushes all bytes of the blob into the sink, from [`Sink::got`] on.
    fn feed(&self, blob: &Descriptor, sink: &mut Sink) -> impl Future<Output = Result<()>> + Send;
}

/// Brings a layer's files into `dir`, which must be empty. On an error the directory's content is worthless.
pub(crate) async fn materialise(
    source: &impl Feed,
    blob: &Descriptor,
    diff_id: &Digest,
    dir: &Path,
    limits: Limits,
    progress: Arc<AtomicU64>,
) -> Result<Unpacked> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let root = rustix::fs::open(dir, flags, Mode::empty()).map_err(|errno| Error::io("open", dir, errno))?;
    let hopeless = Arc::new(AtomicBool::new(false));
    let (sender, receiver) = mpsc::channel(64);
    let (inflated_sender, inflated) = sync_mpsc::sync_channel(8);

    let most = limits.bytes.saturating_add(1 << 30);
    let inflating =
        tokio::task::spawn_blocking(move || inflate(Chunks::new(receiver), &inflated_sender, most));
    let unpacking = {
        let hopeless = Arc::clone(&hopeless);
        tokio::task::spawn_blocking(move || {
            let mut stream = Inflated { receiver: inflated, current: Vec::new(), at: 0 };
            let unpacked = unpack::unpack(&mut stream, root, limits);
            match &unpacked {
                // What follows the archive's end counts for the diff id.
                Ok(_) => drop(io::copy(&mut stream, &mut io::sink())),
                Err(UnpackError::Tar(_)) => {}
                Err(_) => hopeless.store(true, Ordering::Relaxed),
            }
            unpacked
        })
    };

    let mut sink = Sink {
        sender: Some(sender),
        hasher: Sha256::new(),
        got: 0,
        limit: blob.size,
        progress,
        hopeless: Arc::clone(&hopeless),
    };
    let fed = match source.feed(blob, &mut sink).await {
        Ok(()) => sink.finish(blob).await,
        Err(error) => {
            drop(sink);
            Err(error)
        }
    };
    let internal = |error: tokio::task::JoinError| Error::Internal(error.to_string());
    let inflated = inflating.await.map_err(internal)?;
    let unpacked = unpacking.await.map_err(internal)?;

    // Which stage is to blame: a failed call or a refused entry stands for itself; else the feed's error (network,
    // digest) is the cause of the others'; else the archive is bad although its digest is right.
    if hopeless.load(Ordering::Relaxed)
        && let Err(error) = unpacked
    {
        return Err(layer_error(blob, dir, error));
    }
    fed?;
    let bad = |reason: String| Error::BadLayer { layer: blob.digest.to_string(), reason };
    let actual = inflated.map_err(|error| match (error, &unpacked) {
        (InflateError::Closed, Err(error)) => bad(error.to_string()),
        (error, _) => bad(error.to_string()),
    })?;
    let unpacked = unpacked.map_err(|error| layer_error(blob, dir, error))?;
    if actual != *diff_id {
        let (expected, actual) = (diff_id.to_string(), actual.to_string());
        return Err(Error::WrongDigest { what: "diff id of a layer", expected, actual });
    }
    Ok(unpacked)
}

fn layer_error(blob: &Descriptor, dir: &Path, error: UnpackError) -> Error {
    match error {
        UnpackError::Call { call, path, errno } => Error::io(call, dir.join(path), errno),
        other => Error::BadLayer { layer: blob.digest.to_string(), reason: other.to_string() },
    }
}

#[derive(Debug, thiserror::Error)]
enum InflateError {
    #[error("its {0} stream is damaged: {1}")]
    Damaged(&'static str, io::Error),
    #[error("it inflates to more than {0} bytes")]
    TooMuch(u64),
    #[error("unpacking ended early")]
    Closed,
}

/// Inflates by what the bytes are (media types are often wrong), hands the chunks on, and gives the digest of all.
fn inflate(
    mut input: Chunks,
    output: &sync_mpsc::SyncSender<Vec<u8>>,
    most: u64,
) -> Result<Digest, InflateError> {
    let format = Format::of(input.start());
    let name = format.name();
    let damaged = |error| InflateError::Damaged(name, error);
    let mut reader: Box<dyn Read> = decoder(format, input).map_err(damaged)?;
    let mut hasher = Sha256::new();
    let mut total = 0;
    loop {
        let mut chunk = vec![0; CHUNK];
        let mut filled = 0;
        while filled < chunk.len() {
            match reader.read(&mut chunk[filled..]) {
                Ok(0) => break,
                Ok(got) => filled += got,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(damaged(error)),
            }
        }
        if filled == 0 {
            return Ok(Digest::from_hasher(hasher));
        }
        chunk.truncate(filled);
        total += filled as u64;
        if total > most {
            return Err(InflateError::TooMuch(most));
        }
        hasher.update(&chunk);
        output.send(chunk).map_err(|_| InflateError::Closed)?;
    }
}

/// How a stream is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Plain,
    Gzip,
    Zstd,
}

impl Format {
    /// By the first four bytes.
    pub fn of(start: &[u8]) -> Format {
        match start {
            [0x1f, 0x8b, ..] => Format::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Format::Zstd,
            // A skippable frame may come first (zstd:chunked, seekable formats).
            [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Format::Zstd,
            _ => Format::Plain,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Format::Plain => "tar",
            Format::Gzip => "gzip",
            Format::Zstd => "zstd",
        }
    }
}

/// The inflated stream; several gzip members or zstd frames in a row are one.
pub(crate) fn decoder<'a>(format: Format, input: impl BufRead + 'a) -> io::Result<Box<dyn Read + 'a>> {
    Ok(match format {
        Format::Plain => Box::new(input),
        Format::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(input)),
        Format::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(input)?),
    })
}

/// The feed's bytes as a reader.
struct Chunks {
    receiver: mpsc::Receiver<Message>,
    current: Bytes,
    ended: bool,
}

impl Chunks {
    fn new(receiver: mpsc::Receiver<Message>) -> Chunks {
        Chunks { receiver, current: Bytes::new(), ended: false }
    }

    /// The first four bytes, if there are as many. A feed that breaks off here is met again when reading.
    fn start(&mut self) -> &[u8] {
        while self.current.len() < 4 {
            match self.receiver.blocking_recv() {
                Some(Message::Data(more)) => self.current = [&self.current[..], &more].concat().into(),
                Some(Message::End) => {
                    self.ended = true;
                    break;
                }
                None => break,
            }
        }
        &self.current
    }
}

impl BufRead for Chunks {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.current.is_empty() && !self.ended {
            match self.receiver.blocking_recv() {
                Some(Message::Data(data)) => self.current = data,
                Some(Message::End) => self.ended = true,
                None => return Err(io::Error::other("the source broke off")),
            }
        }
        Ok(&self.current)
    }

    fn consume(&mut self, amount: usize) {
        self.current.advance(amount);
    }
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let amount = available.len().min(buffer.len());
        buffer[..amount].copy_from_slice(&available[..amount]);
        self.consume(amount);
        Ok(amount)
    }
}

/// The inflating thread's chunks as a reader. If that thread fails this ends early; its own error is the one told.
struct Inflated {
    receiver: sync_mpsc::Receiver<Vec<u8>>,
    current: Vec<u8>,
    at: usize,
}

impl Read for Inflated {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.current.len() {
            match self.receiver.recv() {
                Ok(chunk) => (self.current, self.at) = (chunk, 0),
                Err(_) => return Ok(0),
            }
        }
        let amount = buffer.len().min(self.current.len() - self.at);
        buffer[..amount].copy_from_slice(&self.current[self.at..self.at + amount]);
        self.at += amount;
        Ok(amount)
    }
}
