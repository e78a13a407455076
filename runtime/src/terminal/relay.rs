//! Copying between the caller's streams and the master of a program's terminal, with a bound in both directions: a program
//! that does not read stops the caller's input, and a caller who does not read stops the program's output. Nothing here
//! waits but `poll`, so that signals, the size and the program's end are never held up by either.

use super::pump;
use rustix::{
    event::{PollFd, PollFlags},
    fs::OFlags,
    io::Errno,
    net::{RecvFlags, SendFlags, Shutdown},
    pty::OpenptFlags,
};
use std::{
    io,
    os::fd::{AsFd as _, OwnedFd},
};

/// A relay under way.
#[derive(Debug)]
pub struct Relay {
    /// None after the terminal was hung up, or is empty for good.
    master: Option<OwnedFd>,
    /// Held open, so that a program may close all it has of its terminal and open it anew (as systemd does): without it
    /// the master would only say EIO meanwhile.
    slave: Option<OwnedFd>,
    /// What comes from the caller; None after its end.
    input: Option<OwnedFd>,
    /// What goes to the caller; None after they closed it, or all was written.
    output: Option<OwnedFd>,
    to_program: Chunk,
    to_caller: Chunk,
    ended: bool,
}

impl Relay {
    /// Copies between `master`, which must have an open file of its own, and the caller's streams.
    pub fn new(master: OwnedFd, stdin: OwnedFd, stdout: OwnedFd) -> io::Result<Self> {
        rustix::io::fcntl_setfd(&master, rustix::io::FdFlags::CLOEXEC)?;
        let flags = rustix::fs::fcntl_getfl(&master)?;
        rustix::fs::fcntl_setfl(&master, flags | OFlags::NONBLOCK)?;
        Ok(Self {
            slave: open_slave(&master),
            master: Some(master),
            input: Some(pump::from(stdin)?),
            output: Some(pump::to(stdout)?),
            to_program: Chunk::default(),
            to_caller: Chunk::default(),
            ended: false,
        })
    }

    /// The terminal's master, as long as it is open.
    pub fn master(&self) -> Option<&OwnedFd> {
        self.master.as_ref()
    }

    /// What to wait for before the next [`Self::advance`].
    pub fn interest(&self) -> Vec<PollFd<'_>> {
        let mut fds = Vec::with_capacity(3);
        if let Some(input) = self.input.as_ref().filter(|_| self.to_program.is_empty()) {
            fds.push(PollFd::new(input, PollFlags::IN));
        }
        let mut wanted = PollFlags::empty();
        wanted.set(PollFlags::IN, self.to_caller.is_empty());
        wanted.set(PollFlags::OUT, !self.to_program.is_empty());
        // Without a wish it would still tell of a hangup, again and again.
        if let Some(master) = self.master.as_ref().filter(|_| !wanted.is_empty()) {
            fds.push(PollFd::new(master, wanted));
        }
        if let Some(output) = &self.output {
            let wanted = if self.to_caller.is_empty() { PollFlags::empty() } else { PollFlags::OUT };
            fds.push(PollFd::new(output, wanted));
        }
        fds
    }

    /// Moves what can be moved without waiting.
    pub fn advance(&mut self) {
        self.read_input();
        self.write_master();
        loop {
            self.read_master();
            self.write_output();
            // After the end an empty terminal says nothing more that could be waited for.
            if !self.ended || self.master.is_none() || !self.to_caller.is_empty() {
                break;
            }
        }
    }

    /// The program has ended: what it wrote is still to be read, input is not wanted any more.
    pub fn end(&mut self) {
        self.ended = true;
        (self.input, self.slave) = (None, None);
        self.to_program = Chunk::default();
    }

    /// Whether all that the program wrote has reached the caller, or never will.
    pub fn is_done(&self) -> bool {
        self.output.is_none()
    }

    fn read_input(&mut self) {
        let Some(input) = self.input.as_ref().filter(|_| self.to_program.is_empty()) else { return };
        match self.to_program.fill(|buffer| recv(input, buffer)) {
            Ok(0) => self.input = None,
            Ok(_) | Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => self.input = None,
        }
    }

    fn write_master(&mut self) {
        let Some(master) = self.master.as_ref().filter(|_| !self.to_program.is_empty()) else { return };
        match self.to_program.drain(|bytes| rustix::io::write(master, bytes)) {
            Ok(()) | Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => self.reopen(),
        }
    }

    fn read_master(&mut self) {
        let Some(master) = self.master.as_ref().filter(|_| self.to_caller.is_empty()) else { return };
        match self.to_caller.fill(|buffer| rustix::io::read(master, buffer)) {
            Err(Errno::INTR) => {}
            // Empty, and held open by a process that outlives the program.
            Err(Errno::AGAIN) if self.ended => self.master = None,
            Err(Errno::AGAIN) => {}
            // EIO: no process has the slave open any more, or it was hung up (vhangup(2)).
            Ok(0) | Err(_) => self.reopen(),
            Ok(_) => {}
        }
    }

    fn write_output(&mut self) {
        let Some(output) = &self.output else { return };
        let sent = self
            .to_caller
            .drain(|bytes| rustix::net::send(output, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL));
        // Nobody ever sends from the other side: an answer is its end.
        let closed = matches!(recv(output, &mut [0; 1]), Ok(_) | Err(Errno::CONNRESET))
            || sent.is_err_and(|errno| !matches!(errno, Errno::AGAIN | Errno::INTR));
        if closed {
            // To the program this is a terminal that was hung up, not one that it can write to for ever.
            (self.output, self.input, self.master, self.slave) = (None, None, None, None);
            self.to_caller = Chunk::default();
        } else if self.ended && self.master.is_none() && self.to_caller.is_empty() {
            let _ = rustix::net::shutdown(output, Shutdown::Write);
        }
    }

    /// A terminal that was hung up may be opened again, as long as there is someone to do it.
    fn reopen(&mut self) {
        if !self.ended {
            self.slave = self.master.as_ref().and_then(open_slave);
        }
        if self.ended || self.slave.is_none() {
            self.master = None;
        }
    }
}

/// None for what is no terminal, or one whose devpts is gone.
fn open_slave(master: &OwnedFd) -> Option<OwnedFd> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    rustix::pty::ioctl_tiocgptpeer(master.as_fd(), flags).ok()
}

fn recv(socket: &OwnedFd, buffer: &mut [u8]) -> rustix::io::Result<usize> {
    rustix::net::recv(socket, buffer, RecvFlags::DONTWAIT).map(|(_, length)| length)
}

/// Bytes on their way; the next ones are read when all of these are gone.
#[derive(Debug, Default)]
struct Chunk {
    bytes: Vec<u8>,
    gone: usize,
}

impl Chunk {
    fn is_empty(&self) -> bool {
        self.gone >= self.bytes.len()
    }

    fn fill(
        &mut self,
        read: impl FnOnce(&mut [u8]) -> rustix::io::Result<usize>,
    ) -> rustix::io::Result<usize> {
        self.gone = 0;
        self.bytes.resize(pump::CHUNK, 0);
        let result = read(&mut self.bytes);
        self.bytes.truncate(*result.as_ref().unwrap_or(&0));
        result
    }

    fn drain(&mut self, mut write: impl FnMut(&[u8]) -> rustix::io::Result<usize>) -> rustix::io::Result<()> {
        while let Some(rest) = self.bytes.get(self.gone..).filter(|rest| !rest.is_empty()) {
            self.gone += write(rest)?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "relay_tests.rs"]
mod tests;
