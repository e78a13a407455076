//! Output: from the pipes to the log and to attached clients.

use crate::container::{Container, Output};
use crate::poll::{Poll, Token};
use crate::server::Shim;
use rustix::io::Errno;
use std::time::{Duration, Instant};

/// Bytes read at once. A pipe holds 256 KiB; more here would stay in the shim's memory.
const CHUNK: usize = 32 * 1024;
/// Chunks of one stream before the others get their turn.
const TURN: usize = 16;
/// A log that refuses bytes is tried again after this.
const RETRY: Duration = Duration::from_millis(250);

/// What reading once brought.
#[derive(PartialEq, Eq)]
enum Got {
    More,
    Nothing,
    End,
    /// The log takes no more: reading must stop.
    Stalled,
}

impl Output {
    fn watch(&mut self, poll: &Poll, token: Token) {
        if !self.watched && poll.add(&self.fd, token).is_ok() {
            self.watched = true;
        }
    }

    fn unwatch(&mut self, poll: &Poll) {
        if self.watched {
            poll.remove(&self.fd);
            self.watched = false;
        }
    }
}

impl Container {
    fn output(&mut self, stderr: bool) -> &mut Option<Output> {
        if stderr { &mut self.stderr } else { &mut self.stdout }
    }

    fn read_once(&mut self, stderr: bool, buffer: &mut [u8], poll: &Poll) -> Got {
        let output = if stderr { &mut self.stderr } else { &mut self.stdout };
        let Some(output) = output else { return Got::End };
        let chunk = match rustix::io::read(&output.fd, &mut *buffer) {
            Ok(0) => &[][..],
            Ok(n) => &buffer[..n],
            Err(Errno::AGAIN) => return Got::Nothing,
            Err(Errno::INTR) => return Got::More,
            // EIO: the last process has closed the terminal.
            Err(_) => &[],
        };
        let got = if chunk.is_empty() { Got::End } else { Got::More };
        if let Some(log) = &mut self.log {
            if chunk.is_empty() {
                output.lines.finish(log);
            } else {
                output.lines.feed(log, chunk);
            }
            if log.stalled() {
                self.log_retry = Some(Instant::now() + RETRY);
            }
        }
        if !self.sinks.is_empty() {
            self.copy_to_sinks(stderr, chunk, poll);
        }
        match (&got, self.log_retry) {
            (Got::More, Some(_)) => Got::Stalled,
            _ => got,
        }
    }

    /// Reads one stream until it has nothing more, ends, stalls or had its turn. True: it has ended or will not give
    /// more at present.
    fn drain(&mut self, stderr: bool, poll: &Poll) {
        let mut buffer = vec![0; CHUNK];
        for _ in 0..TURN {
            match self.read_once(stderr, &mut buffer, poll) {
                Got::More => {}
                Got::Nothing => return,
                Got::End => {
                    if let Some(mut output) = self.output(stderr).take() {
                        output.unwatch(poll);
                    }
                    return;
                }
                Got::Stalled => {
                    for output in [&mut self.stdout, &mut self.stderr].into_iter().flatten() {
                        output.unwatch(poll);
                    }
                    return;
                }
            }
        }
    }
}

impl Shim {
    /// Watches a container's streams.
    pub(crate) fn watch_outputs(&mut self, slot: u32) {
        let Some(container) = self.containers.iter_mut().find(|c| c.slot == slot) else { return };
        if let Some(output) = &mut container.stdout {
            output.watch(&self.poll, Token::Stdout(slot));
        }
        if let Some(output) = &mut container.stderr {
            output.watch(&self.poll, Token::Stderr(slot));
        }
    }

    /// A stream has something.
    pub(crate) fn output(&mut self, slot: u32, stderr: bool) {
        if let Some(container) = self.containers.iter_mut().find(|c| c.slot == slot) {
            container.drain(stderr, &self.poll);
        }
    }

    /// Reads what a container whose init is dead has left in its pipes.
    pub(crate) fn drain_outputs(&mut self, slot: u32) {
        for stderr in [false, true] {
            self.output(slot, stderr);
        }
    }

    /// Tries a stalled log again.
    pub(crate) fn retry_log(&mut self, slot: u32) {
        let Some(container) = self.at(slot) else { return };
        let Some(log) = &mut container.log else { return };
        log.flush();
        if log.stalled() {
            container.log_retry = Some(Instant::now() + RETRY);
            return;
        }
        if container.log_retry.take().is_some() {
            self.watch_outputs(slot);
        }
    }
}

/// The last line in a pipe: what a runtime said before its log was open.
pub fn last_line(output: &mut Output) -> Option<String> {
    let mut buffer = vec![0; CHUNK];
    let read = rustix::io::read(&output.fd, &mut buffer).ok()?;
    let text = String::from_utf8_lossy(&buffer[..read]);
    text.lines().rfind(|line| !line.trim().is_empty()).map(|line| line.chars().take(2000).collect())
}
