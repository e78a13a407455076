//! The terminal of a program that husk stays with: between the caller's streams, terminal or not, and the program's pty.

mod host;
mod pump;
mod relay;

use anyhow::Context as _;
use relay::Relay;
use rustix::{
    event::PollFd,
    io::fcntl_dupfd_cloexec,
    stdio::{stdin, stdout},
    termios::{OptionalActions, OutputModes},
};
use std::os::fd::OwnedFd;

/// A terminal that is copied.
#[derive(Debug)]
pub struct Terminal {
    relay: Relay,
    raw: Option<host::Raw>,
}

impl Terminal {
    /// Sets the caller's terminal, where there is one, to raw, and begins to copy.
    pub fn new(master: OwnedFd) -> anyhow::Result<Self> {
        let raw = host::Raw::set().context("set the terminal to raw")?;
        fit(&master);
        let own = |stream| fcntl_dupfd_cloexec(stream, 3).context("duplicate a standard stream");
        let relay = Relay::new(master, own(stdin())?, own(stdout())?).context("copy the terminal")?;
        Ok(Self { relay, raw })
    }

    /// What to wait for before the next [`Self::advance`].
    pub fn interest(&self) -> Vec<PollFd<'_>> {
        self.relay.interest()
    }

    /// Moves what can be moved without waiting.
    pub fn advance(&mut self) {
        self.relay.advance();
    }

    /// Gives the program's terminal the size of the caller's.
    pub fn resize(&self) {
        self.relay.master().into_iter().for_each(fit);
    }

    /// husk was stopped, and goes on.
    pub fn resume(&self) {
        if let Some(raw) = &self.raw {
            let _ = raw.set_again();
        }
        self.resize();
    }

    /// The program has ended; its last words are still to be copied.
    pub fn end(&mut self) {
        self.relay.end();
        self.relay.advance();
        if !host::shows() {
            // Where whoever reads the output takes their time, the keys are the caller's again.
            self.raw = None;
        }
    }

    /// Whether all that the program wrote has reached the caller, or never will.
    pub fn is_done(&self) -> bool {
        self.relay.is_done()
    }
}

/// To be called before the program runs: many ask for the size of their terminal once, when they begin.
pub fn prepare(master: &OwnedFd) {
    fit(master);
    // Lines end as the program wrote them, as with runc, unless it is raw what shows them.
    if !host::is_raw()
        && let Ok(mut modes) = rustix::termios::tcgetattr(master)
    {
        modes.output_modes.remove(OutputModes::ONLCR);
        let _ = rustix::termios::tcsetattr(master, OptionalActions::Now, &modes);
    }
}

/// Gives a program's terminal the size of the caller's, if that is a terminal.
fn fit(master: &OwnedFd) {
    if let Some(size) = host::size() {
        let _ = rustix::termios::tcsetwinsize(master, size);
    }
}
