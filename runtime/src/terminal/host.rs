//! The caller's own terminal: raw while husk copies, so that every key and every byte is the program's; its size.

use rustix::{
    io::Errno,
    stdio::{stderr, stdin, stdout},
    termios::{OptionalActions, Termios, Winsize, isatty},
};

/// The terminal at standard input in raw mode; put back when dropped.
#[derive(Debug)]
pub struct Raw {
    before: Termios,
}

impl Raw {
    /// Sets the terminal to raw. None where standard input is no terminal. In the background husk is stopped here, as any
    /// program that takes the terminal, until it is brought to the foreground.
    pub fn set() -> rustix::io::Result<Option<Self>> {
        let Ok(before) = rustix::termios::tcgetattr(stdin()) else { return Ok(None) };
        let raw = Self { before };
        match raw.set_again() {
            Ok(()) => Ok(Some(raw)),
            // In the background, and of a group that nobody could continue: there is no input either.
            Err(Errno::IO) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// After husk was stopped and continued: a shell has its own modes set meanwhile.
    pub fn set_again(&self) -> rustix::io::Result<()> {
        let mut raw = self.before.clone();
        raw.make_raw();
        if !shows() {
            // What is shown there is of others (`husk run … | grep …`), and is none of husk's business.
            raw.output_modes = self.before.output_modes;
        }
        rustix::termios::tcsetattr(stdin(), OptionalActions::Now, &raw)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // Whoever sent husk to the background has put the terminal back already, and would be disturbed.
        if !in_background() {
            let _ = rustix::termios::tcsetattr(stdin(), OptionalActions::Now, &self.before);
        }
    }
}

fn in_background() -> bool {
    let own = husk_sys::signal::own_group();
    rustix::termios::tcgetpgrp(stdin()).is_ok_and(|group| group.as_raw_nonzero().get() != own)
}

/// Whether the program's output goes to a terminal, and that will be raw.
pub fn is_raw() -> bool {
    isatty(stdin()) && shows()
}

/// Whether the program's output goes to a terminal.
pub fn shows() -> bool {
    isatty(stdout())
}

/// The size of the caller's terminal, at whichever standard stream it is. None where there is none, or it has no size.
pub fn size() -> Option<Winsize> {
    [stdin(), stdout(), stderr()]
        .into_iter()
        .find_map(|stream| rustix::termios::tcgetwinsize(stream).ok())
        .filter(|size| size.ws_col > 0)
}
