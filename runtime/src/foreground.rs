//! Staying with a process until it ends: signals are passed on, the terminal is copied, orphans are reaped.

use crate::{log, notify::Notify};
use anyhow::Context as _;
use husk_sys::{
    Errno,
    clone::Child,
    send, signal,
    wait::{self, Ended},
};
use rustix::{
    event::{PollFd, PollFlags},
    io::FdFlags,
    termios::{OptionalActions, Termios},
};
use std::{
    io::{stdin, stdout},
    os::fd::{AsFd as _, OwnedFd},
};

const SIGCHLD: i32 = 17;
const SIGWINCH: i32 = 28;
/// Of a fault in husk itself (they can't be held back), of a closed pipe, and of the Go runtime's own making.
const NOT_FORWARDED: [i32; 8] = [4, 5, 6, 7, 8, 11, 13, 23];

/// The signals of this process, held back to be passed on. Made before the process is started, so that none is lost.
#[derive(Debug)]
pub struct Signals {
    fd: OwnedFd,
}

impl Signals {
    /// Holds signals back from now on.
    pub fn hold() -> anyhow::Result<Self> {
        let set = NOT_FORWARDED.iter().fold(signal::Set::full(), |set, number| set.without(*number));
        signal::set_mask(&set).context("block signals")?;
        Ok(Self { fd: signal::descriptor(&set).context("signalfd")? })
    }
}

/// Waits for the end of the process. Gives its status and what it used. `forwards` is told of each signal before it
/// is passed on.
pub fn wait(
    child: &Child,
    signals: &Signals,
    master: Option<OwnedFd>,
    mut notify: Option<Notify>,
    forwards: impl Fn(i32),
) -> anyhow::Result<Ended> {
    let mut terminal = master.map(Terminal::new).transpose()?;
    loop {
        let ended = reap(child.pid)?;
        if let Some(ready) = notify.as_ref().and_then(Notify::ready) {
            // husk is the one to be watched: it ends as the container does.
            let own = i32::try_from(std::process::id()).unwrap_or_default();
            if let Err(error) = notify.take().map_or(Ok(()), |notify| notify.tell(&ready, own, false)) {
                log::warn(&format!("the container is ready, and nobody hears it: {error:#}"));
            }
        }
        if let Some(ended) = ended {
            if let Some(terminal) = &mut terminal {
                terminal.drain();
            }
            return Ok(ended);
        }
        let mut fds = vec![PollFd::from_borrowed_fd(signals.fd.as_fd(), PollFlags::IN)];
        let mut input_at = None;
        let (input, output) = (stdin(), terminal.as_ref().filter(|terminal| !terminal.output_closed));
        if let Some(terminal) = output {
            fds.push(PollFd::from_borrowed_fd(terminal.master.as_fd(), PollFlags::IN));
            if !terminal.input_closed {
                input_at = Some(fds.len());
                fds.push(PollFd::from_borrowed_fd(input.as_fd(), PollFlags::IN));
            }
        }
        if let Some(notify) = &notify {
            fds.push(PollFd::from_borrowed_fd(notify.fd(), PollFlags::IN));
        }
        match rustix::event::poll(&mut fds, None) {
            Err(Errno::INTR) => continue,
            result => result.context("poll")?,
        };
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        drop(fds);
        if let Some(terminal) = &mut terminal {
            if ready.get(1) == Some(&true) {
                terminal.copy_output();
            }
            if input_at.and_then(|at| ready.get(at)) == Some(&true) {
                terminal.copy_input();
            }
        }
        for number in signal::pending(&signals.fd) {
            match number {
                SIGCHLD => {}
                SIGWINCH if terminal.is_some() => terminal.iter().for_each(Terminal::resize),
                number => {
                    forwards(number);
                    // It may just have ended; the loop finds out.
                    drop(send::to_pidfd(child.pidfd.as_fd(), number));
                }
            }
        }
    }
}

/// Fetches the status of every child that has ended: orphans of the container come to husk, which is their subreaper.
fn reap(pid: i32) -> anyhow::Result<Option<Ended>> {
    let mut found = None;
    loop {
        match wait::next() {
            Ok(Some(ended)) if ended.pid == pid => found = Some(ended),
            Ok(Some(_)) => {}
            Ok(None) => return Ok(found),
            Err(Errno::CHILD) if found.is_some() => return Ok(found),
            Err(errno) => return Err(errno).context("wait for the container"),
        }
    }
}

/// Copies between husk's own standard streams and the master of the container's terminal.
struct Terminal {
    master: OwnedFd,
    /// What husk's own terminal was set to; put back when dropped.
    before: Option<Termios>,
    input_closed: bool,
    output_closed: bool,
}

impl Terminal {
    fn new(master: OwnedFd) -> anyhow::Result<Self> {
        rustix::io::fcntl_setfd(&master, FdFlags::CLOEXEC)?;
        let before = rustix::termios::tcgetattr(stdin()).ok();
        if let Some(before) = &before {
            let mut raw = before.clone();
            raw.make_raw();
            rustix::termios::tcsetattr(stdin(), OptionalActions::Now, &raw)
                .context("set the terminal to raw")?;
        }
        let terminal = Self { master, before, input_closed: false, output_closed: false };
        terminal.resize();
        Ok(terminal)
    }

    fn resize(&self) {
        if let Ok(size) = rustix::termios::tcgetwinsize(stdin())
            && size.ws_col > 0
        {
            let _ = rustix::termios::tcsetwinsize(&self.master, size);
        }
    }

    fn copy_input(&mut self) {
        let mut buffer = [0; 4096];
        match rustix::io::read(stdin(), &mut buffer) {
            Ok(0) | Err(Errno::IO | Errno::BADF) => self.input_closed = true,
            Ok(length) => {
                if write_all(&self.master, buffer.get(..length).unwrap_or_default()).is_err() {
                    self.input_closed = true;
                }
            }
            Err(_) => {}
        }
    }

    fn copy_output(&mut self) {
        let mut buffer = [0; 16 << 10];
        match rustix::io::read(&self.master, &mut buffer) {
            // EIO: no process has the slave open any more.
            Ok(0) | Err(Errno::IO) => self.output_closed = true,
            Ok(length) => drop(write_all(stdout(), buffer.get(..length).unwrap_or_default())),
            Err(_) => {}
        }
    }

    /// What the program wrote last is still in the terminal.
    fn drain(&mut self) {
        let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
        while !self.output_closed {
            let mut fds = [PollFd::from_borrowed_fd(self.master.as_fd(), PollFlags::IN)];
            match rustix::event::poll(&mut fds, Some(&now)) {
                Ok(ready) if ready > 0 => self.copy_output(),
                Err(Errno::INTR) => {}
                // Empty, and held open by a process that outlives the container's init.
                _ => return,
            }
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = rustix::termios::tcsetattr(stdin(), OptionalActions::Now, before);
        }
    }
}

fn write_all(fd: impl std::os::fd::AsFd, mut bytes: &[u8]) -> husk_sys::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(fd.as_fd(), bytes) {
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                let mut fds = [PollFd::new(&fd, PollFlags::OUT)];
                let _ = rustix::event::poll(&mut fds, None);
            }
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}
