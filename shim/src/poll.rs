//! epoll, with what an event is about in its 64 bits.

use rustix::event::epoll;
use rustix::io::Errno;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

pub use epoll::EventFlags;

/// What an event is about. Numbers are slots: given once in a shim's life, never reused, so that an event that was
/// already fetched can't hit something newer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token {
    /// A new connection.
    Listener,
    /// SIGCHLD.
    Child,
    /// memory.events of some container changed.
    Inotify,
    /// A connection.
    Connection(u32),
    /// A container's stdout, or its terminal.
    Stdout(u32),
    /// A container's stderr.
    Stderr(u32),
    /// A client that is attached to a container's output takes more.
    Sink(u32),
}

impl Token {
    fn data(self) -> u64 {
        let (kind, slot) = match self {
            Self::Listener => (0, 0),
            Self::Child => (1, 0),
            Self::Inotify => (2, 0),
            Self::Connection(n) => (3, n),
            Self::Stdout(n) => (4, n),
            Self::Stderr(n) => (5, n),
            Self::Sink(n) => (6, n),
        };
        u64::from(slot) << 8 | kind
    }

    fn of(data: u64) -> Self {
        let slot = (data >> 8) as u32;
        match data & 0xff {
            0 => Self::Listener,
            1 => Self::Child,
            2 => Self::Inotify,
            3 => Self::Connection(slot),
            4 => Self::Stdout(slot),
            5 => Self::Stderr(slot),
            _ => Self::Sink(slot),
        }
    }
}

/// An epoll instance.
#[derive(Debug)]
pub struct Poll {
    epoll: OwnedFd,
}

/// Events fetched at once.
const BATCH: usize = 16;

impl Poll {
    /// A new one.
    pub fn new() -> rustix::io::Result<Self> {
        Ok(Self { epoll: epoll::create(epoll::CreateFlags::CLOEXEC)? })
    }

    /// Watches for readability (level-triggered), end of file and errors.
    pub fn add(&self, fd: impl AsFd, token: Token) -> rustix::io::Result<()> {
        self.add_for(fd, token, EventFlags::IN)
    }

    /// Watches for `flags`.
    pub fn add_for(&self, fd: impl AsFd, token: Token, flags: EventFlags) -> rustix::io::Result<()> {
        epoll::add(&self.epoll, fd, epoll::EventData::new_u64(token.data()), flags)
    }

    /// Changes what is watched for.
    pub fn change(&self, fd: impl AsFd, token: Token, flags: EventFlags) -> rustix::io::Result<()> {
        epoll::modify(&self.epoll, fd, epoll::EventData::new_u64(token.data()), flags)
    }

    /// Stops watching. Closing a descriptor is not enough where a child has a copy of it.
    pub fn remove(&self, fd: impl AsFd) {
        // ENOENT: it was not watched, which is what is wanted.
        let _ = epoll::delete(&self.epoll, fd);
    }

    /// Waits until something happens or `deadline` passes; calls back for each event.
    pub fn wait(
        &self,
        deadline: Option<Instant>,
        found: &mut Vec<(Token, EventFlags)>,
    ) -> rustix::io::Result<()> {
        found.clear();
        let timeout = deadline.map(|at| {
            // Rounded up: waking a little early would only spin.
            let left = at.saturating_duration_since(Instant::now()) + Duration::from_micros(999);
            rustix::event::Timespec {
                tv_sec: left.as_secs().min(86_400) as i64,
                tv_nsec: i64::from(left.subsec_nanos()),
            }
        });
        let mut space = [MaybeUninit::<epoll::Event>::uninit(); BATCH];
        match epoll::wait(&self.epoll, &mut space, timeout.as_ref()) {
            Ok((events, _)) => {
                found.extend(events.iter().map(|event| {
                    let (data, flags) = (event.data, event.flags);
                    (Token::of(data.u64()), flags)
                }));
                Ok(())
            }
            Err(Errno::INTR) => Ok(()),
            Err(e) => Err(e),
        }
    }
}
