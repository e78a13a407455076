//! Connections: who gets answers, who gets events.

use crate::job::Caller;
use crate::poll::{EventFlags, Poll, Token};
use husk_shim_api::{Connection, Event, Failure, Listener, Message, Packet, PacketError, Reply};
use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};

/// Connections at once. The daemon has one; the others are tools that ask for the state.
const MAX_CONNECTIONS: usize = 8;
/// Messages that wait for a peer that does not read. One that is further behind is dropped: it can connect anew and
/// ask for the state.
const MAX_BEHIND: usize = 256;

#[derive(Debug)]
struct Peer {
    slot: u32,
    connection: Connection,
    subscribed: bool,
    behind: VecDeque<(Vec<u8>, Option<OwnedFd>)>,
}

/// All connections.
#[derive(Debug)]
pub struct Links {
    listener: Listener,
    peers: Vec<Peer>,
}

impl Links {
    /// Serves `listener`.
    pub fn new(listener: Listener, poll: &Poll) -> rustix::io::Result<Self> {
        poll.add(&listener, Token::Listener)?;
        Ok(Self { listener, peers: Vec::new() })
    }

    /// Takes the connections that wait.
    pub fn accept(&mut self, poll: &Poll, next_slot: &mut u32) {
        loop {
            match self.listener.accept() {
                Ok(connection) => {
                    if self.peers.len() >= MAX_CONNECTIONS {
                        // The oldest that gets no events makes room.
                        let old = self.peers.iter().position(|peer| !peer.subscribed).unwrap_or(0);
                        self.peers.remove(old);
                    }
                    *next_slot += 1;
                    let slot = *next_slot;
                    if poll.add(&connection, Token::Connection(slot)).is_ok() {
                        self.peers.push(Peer {
                            slot,
                            connection,
                            subscribed: false,
                            behind: VecDeque::new(),
                        });
                    }
                }
                Err(PacketError::Empty) => return,
                // A stranger, or a connection that is gone again: the next one may be the daemon's.
                Err(e) => {
                    eprintln!("husk-shim: a connection was refused: {e}");
                    if matches!(e, PacketError::Io("accept", _)) {
                        return;
                    }
                }
            }
        }
    }

    /// The next packet of a connection; None if there is none, or if the connection had to be closed.
    pub fn recv(&mut self, slot: u32) -> Option<Packet> {
        let at = self.peers.iter().position(|peer| peer.slot == slot)?;
        match self.peers[at].connection.try_recv() {
            Ok(packet) => Some(packet),
            Err(PacketError::Empty) => None,
            Err(e) => {
                if !matches!(e, PacketError::Closed) {
                    eprintln!("husk-shim: a connection is closed: {e}");
                }
                self.peers.remove(at);
                None
            }
        }
    }

    /// Closes a connection.
    pub fn close(&mut self, slot: u32) {
        self.peers.retain(|peer| peer.slot != slot);
    }

    /// This connection gets events from now on, the others don't.
    pub fn subscribe(&mut self, slot: u32) {
        for peer in &mut self.peers {
            peer.subscribed = peer.slot == slot;
        }
    }

    /// Answers a call. A caller that is gone gets nothing, but what was done stays done.
    pub fn answer(&mut self, poll: &Poll, to: Caller, result: Result<Reply, Failure>, fd: Option<OwnedFd>) {
        let message = match result {
            Ok(reply) => Message::Reply { id: to.id, reply },
            Err(failure) => Message::Failed { id: to.id, failure },
        };
        if let Some(at) = self.peers.iter().position(|peer| peer.slot == to.connection) {
            self.send(poll, at, &message, fd);
        }
    }

    /// Tells the subscribed connection.
    pub fn tell(&mut self, poll: &Poll, event: Event) {
        if let Some(at) = self.peers.iter().position(|peer| peer.subscribed) {
            self.send(poll, at, &Message::Event(event), None);
        }
    }

    fn send(&mut self, poll: &Poll, at: usize, message: &Message, fd: Option<OwnedFd>) {
        let Ok(body) = serde_json::to_vec(message) else { return };
        let peer = &mut self.peers[at];
        peer.behind.push_back((body, fd));
        if !peer.push(poll) {
            self.peers.remove(at);
        }
    }

    /// A connection takes more again.
    pub fn writable(&mut self, poll: &Poll, slot: u32) {
        if let Some(at) = self.peers.iter().position(|peer| peer.slot == slot)
            && !self.peers[at].push(poll)
        {
            self.peers.remove(at);
        }
    }
}

impl Peer {
    /// Sends what waits, in order. False: the connection is no good any more.
    fn push(&mut self, poll: &Poll) -> bool {
        while let Some((body, fd)) = self.behind.front() {
            let fds: Vec<_> = fd.iter().map(|fd| fd.as_fd()).collect();
            match self.connection.try_send_body(body, &fds) {
                Ok(()) => {
                    self.behind.pop_front();
                }
                Err(PacketError::Full) => break,
                Err(_) => return false,
            }
        }
        if self.behind.len() > MAX_BEHIND {
            return false;
        }
        let flags = if self.behind.is_empty() { EventFlags::IN } else { EventFlags::IN | EventFlags::OUT };
        poll.change(&self.connection, Token::Connection(self.slot), flags).is_ok()
    }
}
