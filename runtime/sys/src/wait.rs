//! Fetching the status of children, and what they used: wait4(2), which rustix has without the usage.

use crate::{Errno, Result, check};

/// A child that has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// Its pid.
    pub pid: i32,
    /// Its wait status.
    pub raw: i32,
    /// User time of it and of the children that it has waited for, in microseconds.
    pub user_us: u64,
    /// System time, likewise.
    pub system_us: u64,
    /// The largest resident set of it and of the children that it has waited for, in KiB. Before it executed its program it
    /// was a copy of its parent, and that counts, too.
    pub max_rss_kib: u64,
}

/// The next child that has ended; none where all others still run. `ECHILD` where there are no others.
pub fn next() -> Result<Option<Ended>> {
    loop {
        let mut raw = 0;
        // SAFETY: rusage is plain data for which all zeros is valid.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: both pointers are to writable values that live during the call.
        let result = check(
            unsafe { libc::wait4(-1, &raw mut raw, libc::WNOHANG | libc::__WALL, &raw mut usage) }.into(),
        );
        match result {
            Err(Errno::INTR) => {}
            Ok(0) => return Ok(None),
            result => {
                let pid = i32::try_from(result?).map_err(|_| Errno::IO)?;
                return Ok(Some(Ended {
                    pid,
                    raw,
                    user_us: microseconds(usage.ru_utime),
                    system_us: microseconds(usage.ru_stime),
                    max_rss_kib: u64::try_from(usage.ru_maxrss).unwrap_or(0),
                }));
            }
        }
    }
}

fn microseconds(time: libc::timeval) -> u64 {
    u64::try_from(time.tv_sec * 1_000_000 + time.tv_usec).unwrap_or(0)
}
