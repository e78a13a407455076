//! Staying with a process until it ends: signals are passed on, the terminal is copied, orphans are reaped.

use crate::{log, notify::Notify, terminal::Terminal};
use anyhow::Context as _;
use husk_sys::{
    Errno,
    clone::Child,
    send, signal,
    wait::{self, Ended},
};
use rustix::event::{PollFd, PollFlags};
use std::os::fd::{AsFd as _, OwnedFd};

const SIGCHLD: i32 = 17;
const SIGCONT: i32 = 18;
const SIGWINCH: i32 = 28;
/// Hangup, interrupt, quit and termination: what ends husk once there is nobody left to pass a signal on to.
const ENDING: [i32; 4] = [1, 2, 3, 15];
/// Of a closed pipe; of the terminal, to stop husk in the background, as any program that reads it or sets its modes; and
/// SIGURG, which nobody waits for (as with runc).
const NOT_FORWARDED: [i32; 4] = [13, 21, 22, 23];

/// The signals of this process, held back to be passed on. Made before the process is, so that none is lost.
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

/// What husk has in hand for a process that it stays with.
#[derive(Debug)]
pub struct Foreground {
    signals: Signals,
    terminal: Option<Terminal>,
}

impl Foreground {
    /// With the master of the process's terminal, if it has one.
    pub fn new(signals: Signals, master: Option<OwnedFd>) -> anyhow::Result<Self> {
        Ok(Self { signals, terminal: master.map(Terminal::new).transpose()? })
    }

    /// Waits for the end of the process. Gives its status and what it used. `forwards` is told of each signal before it
    /// is passed on.
    pub fn wait(
        &mut self,
        child: &Child,
        mut notify: Option<Notify>,
        forwards: impl Fn(i32),
    ) -> anyhow::Result<Ended> {
        let mut look = true;
        loop {
            // Not at each byte that is copied.
            let ended = if look { reap(child.pid)? } else { None };
            if let Some(ready) = notify.as_ref().and_then(Notify::ready) {
                // husk is the one to be watched: it ends as the container does.
                let own = i32::try_from(std::process::id()).unwrap_or_default();
                if let Err(error) = notify.take().map_or(Ok(()), |notify| notify.tell(&ready, own, false)) {
                    log::warn(&format!("the container is ready, and nobody hears it: {error:#}"));
                }
            }
            if let Some(ended) = ended {
                if let Some(terminal) = &mut self.terminal {
                    terminal.end();
                }
                return Ok(ended);
            }
            let came = self.next(notify.as_ref())?;
            look = !came.is_empty();
            for number in came {
                match number {
                    SIGCHLD => {}
                    SIGWINCH if self.terminal.is_some() => self.terminal.iter().for_each(Terminal::resize),
                    number => {
                        if number == SIGCONT {
                            self.terminal.iter().for_each(Terminal::resume);
                        }
                        forwards(number);
                        // It may just have ended; the loop finds out.
                        drop(send::to_pidfd(child.pidfd.as_fd(), number));
                    }
                }
            }
        }
    }

    /// Copies what the process wrote last, until the caller has read it all. That may take as long as they like (a pager
    /// at the other end of a pipe), so a signal that would end a program ends it.
    pub fn flush(mut self) -> anyhow::Result<()> {
        while self.terminal.as_ref().is_some_and(|terminal| !terminal.is_done()) {
            if self.next(None)?.iter().any(|number| ENDING.contains(number)) {
                break;
            }
        }
        Ok(())
    }

    /// Waits until there is something to do, and does what concerns the terminal. Gives the signals that came.
    fn next(&mut self, notify: Option<&Notify>) -> anyhow::Result<Vec<i32>> {
        let mut fds = vec![PollFd::from_borrowed_fd(self.signals.fd.as_fd(), PollFlags::IN)];
        if let Some(notify) = notify {
            fds.push(PollFd::from_borrowed_fd(notify.fd(), PollFlags::IN));
        }
        fds.extend(self.terminal.iter().flat_map(Terminal::interest));
        match rustix::event::poll(&mut fds, None) {
            Err(Errno::INTR) => return Ok(Vec::new()),
            result => result.context("poll")?,
        };
        drop(fds);
        self.terminal.iter_mut().for_each(Terminal::advance);
        Ok(signal::pending(&self.signals.fd))
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
