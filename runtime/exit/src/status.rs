//! Wait status and signal names.

use std::borrow::Cow;

/// A raw wait status (wait4(2)) of a process that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitStatus(i32);

impl WaitStatus {
    /// From the status as wait4(2) or PIDFD_GET_INFO give it.
    pub fn new(raw: i32) -> Self {
        WaitStatus(raw)
    }

    /// The exit code, 0 to 255, where the process ended by exit(2).
    pub fn code(self) -> Option<u8> {
        (self.0 & 0x7f == 0).then_some((self.0 >> 8) as u8)
    }

    /// The signal that ended it.
    pub fn signal(self) -> Option<i32> {
        let signal = self.0 & 0x7f;
        (signal != 0 && signal != 0x7f).then_some(signal)
    }

    /// True where the kernel says that it dumped core.
    pub fn core(self) -> bool {
        self.signal().is_some() && self.0 & 0x80 != 0
    }

    /// The code that a shell shows: the exit code, or 128 + signal. Always 0 to 255.
    pub fn shell_code(self) -> u8 {
        match (self.code(), self.signal()) {
            (Some(code), _) => code,
            (None, Some(signal)) => 128 + (signal as u8),
            // "Stopped" is no end of a process and wait4 without WUNTRACED never gives it.
            (None, None) => 255,
        }
    }
}

/// `SIGTERM` for 15; `SIGRTMIN+1` for 35; `signal 99` for what has no name.
pub fn signal_name(signal: i32) -> Cow<'static, str> {
    const NAMES: [&str; 31] = [
        "SIGHUP",
        "SIGINT",
        "SIGQUIT",
        "SIGILL",
        "SIGTRAP",
        "SIGABRT",
        "SIGBUS",
        "SIGFPE",
        "SIGKILL",
        "SIGUSR1",
        "SIGSEGV",
        "SIGUSR2",
        "SIGPIPE",
        "SIGALRM",
        "SIGTERM",
        "SIGSTKFLT",
        "SIGCHLD",
        "SIGCONT",
        "SIGSTOP",
        "SIGTSTP",
        "SIGTTIN",
        "SIGTTOU",
        "SIGURG",
        "SIGXCPU",
        "SIGXFSZ",
        "SIGVTALRM",
        "SIGPROF",
        "SIGWINCH",
        "SIGIO",
        "SIGPWR",
        "SIGSYS",
    ];
    match signal {
        1..=31 => Cow::Borrowed(NAMES[signal as usize - 1]),
        34 => Cow::Borrowed("SIGRTMIN"),
        35..=64 => Cow::Owned(format!("SIGRTMIN+{}", signal - 34)),
        _ => Cow::Owned(format!("signal {signal}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_signals() {
        assert_eq!(WaitStatus::new(0).code(), Some(0));
        assert_eq!(WaitStatus::new(0xff00).code(), Some(255));
        assert_eq!(WaitStatus::new(0xff00).shell_code(), 255);
        assert_eq!(WaitStatus::new(9).signal(), Some(9));
        assert_eq!(WaitStatus::new(9).code(), None);
        assert_eq!(WaitStatus::new(15).shell_code(), 143);
        assert!(WaitStatus::new(11 | 0x80).core());
        assert_eq!(WaitStatus::new(11 | 0x80).shell_code(), 139);
        assert!(!WaitStatus::new(11).core());
        // A stopped process (0x7f) is neither.
        assert_eq!(WaitStatus::new(0x137f).code(), None);
        assert_eq!(WaitStatus::new(0x137f).signal(), None);
    }

    #[test]
    fn names() {
        assert_eq!(signal_name(9), "SIGKILL");
        assert_eq!(signal_name(31), "SIGSYS");
        assert_eq!(signal_name(34), "SIGRTMIN");
        assert_eq!(signal_name(37), "SIGRTMIN+3");
        assert_eq!(signal_name(0), "signal 0");
        assert_eq!(signal_name(-3), "signal -3");
    }
}
