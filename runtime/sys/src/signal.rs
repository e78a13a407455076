//! Signals: mask, dispositions, signalfd(2).

use crate::{Result, check};
use std::os::fd::{FromRawFd as _, OwnedFd, RawFd};

/// A set of signals.
#[derive(Clone, Copy)]
pub struct Set(libc::sigset_t);

impl std::fmt::Debug for Set {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Set")
    }
}

impl Set {
    /// No signal.
    pub fn empty() -> Self {
        let mut set = std::mem::MaybeUninit::uninit();
        // SAFETY: sigemptyset initialises the set it is given.
        Self(unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            set.assume_init()
        })
    }

    /// Every signal.
    pub fn full() -> Self {
        let mut set = Self::empty();
        // SAFETY: set is a valid signal set.
        unsafe { libc::sigfillset(&raw mut set.0) };
        set
    }

    /// With this signal.
    #[must_use]
    pub fn with(mut self, signal: i32) -> Self {
        // SAFETY: set is a valid signal set; a number that is no signal is refused and changes nothing.
        unsafe { libc::sigaddset(&raw mut self.0, signal) };
        self
    }

    /// Without this signal.
    #[must_use]
    pub fn without(mut self, signal: i32) -> Self {
        // SAFETY: as in with.
        unsafe { libc::sigdelset(&raw mut self.0, signal) };
        self
    }
}

/// Blocks exactly these signals, and gives the set that was blocked before.
pub fn set_mask(set: &Set) -> Result<Set> {
    let mut old = Set::empty();
    // SAFETY: both are valid signal sets.
    check(libc::c_long::from(unsafe {
        libc::sigprocmask(libc::SIG_SETMASK, &raw const set.0, &raw mut old.0)
    }))?;
    Ok(old)
}

/// A descriptor from which the (blocked) signals of the set are read.
pub fn descriptor(set: &Set) -> Result<OwnedFd> {
    let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
    // SAFETY: the set is valid; -1 asks for a new descriptor.
    let fd = check(libc::c_long::from(unsafe { libc::signalfd(-1, &raw const set.0, flags) }))?;
    // SAFETY: the descriptor is new and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// The signal numbers that wait in a descriptor of [`descriptor`]; none when nothing waits.
pub fn pending(fd: &OwnedFd) -> Vec<i32> {
    let mut buffer = [0u8; size_of::<libc::signalfd_siginfo>() * 16];
    let read = rustix::io::read(fd, &mut buffer).unwrap_or(0);
    buffer[..read]
        .chunks_exact(size_of::<libc::signalfd_siginfo>())
        // ssi_signo is the first member.
        .filter_map(|info| Some(i32::from_ne_bytes(info.get(..4)?.try_into().ok()?)))
        .collect()
}

/// Puts every signal's disposition back to the default and unblocks all, as a program expects it after exec.
pub fn reset() {
    for signal in 1..=64 {
        if signal == libc::SIGKILL || signal == libc::SIGSTOP {
            continue;
        }
        // SAFETY: SIG_DFL runs no code of ours; numbers that can't be set (32, 33 of the C library) are refused.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    let _ = set_mask(&Set::empty());
}

/// Has a program started with no signal blocked, whatever this process blocks.
pub fn unmasked(command: &mut std::process::Command) -> &mut std::process::Command {
    use std::os::unix::process::CommandExt as _;
    // SAFETY: between fork and exec only sigprocmask is called, which is async-signal-safe.
    unsafe { command.pre_exec(|| Ok(set_mask(&Set::empty()).map(drop)?)) }
}

/// This process's group; 0 for one that is not of this PID namespace, for which rustix has no form.
pub fn own_group() -> i32 {
    // SAFETY: getpgrp has no arguments and can't fail.
    unsafe { libc::getpgrp() }
}

/// Ends this process with code 128+n when one of these signals comes. A PID namespace's first process gets no signal that
/// it has no handler for (pid_namespaces(7)).
pub fn end_at(signals: &[i32]) {
    extern "C" fn end(signal: libc::c_int) {
        // SAFETY: _exit is async-signal-safe, and returns to nobody.
        unsafe { libc::_exit(128 + signal) }
    }
    for signal in signals {
        // SAFETY: the handler does nothing but what signal-safety(7) allows; a number that is no signal is refused.
        unsafe { libc::signal(*signal, end as *const () as libc::sighandler_t) };
    }
}
