//! A blocking client, for tests and small tools. The daemon has its own over the same [`Connection`].

use crate::message::{Call, Event, Failure, Message, Reply, Request};
use crate::packet::{Connection, PacketError};
use rustix::event::{PollFd, PollFlags, Timespec};
use std::collections::VecDeque;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

/// A call that brought no answer, or a refusal.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The shim refused.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// The connection failed.
    #[error(transparent)]
    Packet(#[from] PacketError),
    /// No answer in time.
    #[error("no answer from the shim within {0:?}")]
    Timeout(Duration),
}

/// One connection that has said hello.
#[derive(Debug)]
pub struct Client {
    connection: Connection,
    next_id: u64,
    events: VecDeque<Event>,
    /// How long [`Client::call`] waits for an answer; 3 minutes at first, above the shim's own limit for a runtime.
    pub timeout: Duration,
}

impl Client {
    /// Connects and says hello.
    pub fn connect(socket: &Path) -> Result<Self, CallError> {
        let connection = crate::connect(socket)?;
        let mut client =
            Self { connection, next_id: 1, events: VecDeque::new(), timeout: Duration::from_secs(180) };
        client.call(Call::Hello { version: crate::VERSION })?;
        Ok(client)
    }

    /// One call without descriptors.
    pub fn call(&mut self, call: Call) -> Result<Reply, CallError> {
        self.call_with(call, &[]).map(|(reply, _)| reply)
    }

    /// One call with descriptors; events that come meanwhile are kept for [`Client::event`].
    pub fn call_with(
        &mut self,
        call: Call,
        fds: &[BorrowedFd<'_>],
    ) -> Result<(Reply, Vec<OwnedFd>), CallError> {
        let id = self.next_id;
        self.next_id += 1;
        self.connection.send(&Request { id, call }, fds)?;
        let end = Instant::now() + self.timeout;
        loop {
            match self.recv_until(end)? {
                None => return Err(CallError::Timeout(self.timeout)),
                Some((Message::Reply { id: of, reply }, fds)) if of == id => return Ok((reply, fds)),
                Some((Message::Failed { id: of, failure }, _)) if of == id => return Err(failure.into()),
                Some((Message::Event(event), _)) => self.events.push_back(event),
                Some(_) => {}
            }
        }
    }

    /// The next event, waiting up to `timeout`; None if there was none.
    pub fn event(&mut self, timeout: Duration) -> Result<Option<Event>, CallError> {
        if let Some(event) = self.events.pop_front() {
            return Ok(Some(event));
        }
        let end = Instant::now() + timeout;
        loop {
            match self.recv_until(end)? {
                None => return Ok(None),
                Some((Message::Event(event), _)) => return Ok(Some(event)),
                Some(_) => {}
            }
        }
    }

    fn recv_until(&self, end: Instant) -> Result<Option<(Message, Vec<OwnedFd>)>, PacketError> {
        loop {
            match self.connection.try_recv() {
                Ok(packet) => return Ok(Some((packet.parse()?, packet.fds))),
                Err(PacketError::Empty) => {}
                Err(e) => return Err(e),
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            let timeout = Timespec::try_from(left).ok();
            let mut fds = [PollFd::new(&self.connection, PollFlags::IN)];
            match rustix::event::poll(&mut fds, timeout.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(PacketError::Io("poll", e.into())),
            }
        }
    }
}
