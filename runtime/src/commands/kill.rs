//! `husk kill`: sends a signal to a container's init process.

use super::target::Target;
use crate::cli::Global;
use crate::log;
use crate::state::Dir;
use anyhow::{Context as _, bail};
use husk_exit::{SentSignal, SignalCause};
use rustix::io::Errno;
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

/// File of the state directory with one [`SentSignal`] as JSON per line.
pub const SENT: &str = "signals.jsonl";

const SIGKILL: i32 = 9;
/// As user space counts them: the C library keeps 32 and 33 to itself.
const RTMIN: i32 = 34;
const RTMAX: i32 = 64;

/// signal(7), in the order of their numbers on x86, ARM and most others, from 1 on.
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
    "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
    "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];
const OTHER_NAMES: [(&str, &str); 3] = [("IOT", "ABRT"), ("CLD", "CHLD"), ("POLL", "IO")];

/// Arguments of `husk kill`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Succeed where the container is stopped already; obsolete otherwise, as with runc since 1.2
    #[arg(long, short, hide = true)]
    pub all: bool,
    /// Id of the container
    #[arg(value_name = "CONTAINER-ID")]
    pub id: String,
    /// Signal: a number from 1 to 64, or a name as KILL, SIGKILL, RTMIN+3, in any case
    #[arg(value_name = "SIGNAL", default_value = "SIGTERM", allow_hyphen_values = true)]
    pub signal: String,
}

/// Sends the signal.
pub fn run(global: &Global, args: &Args) -> anyhow::Result<ExitCode> {
    let number = parse(&args.signal)?;
    let target = Target::open(global, &args.id)?;
    // Written before the signal is sent: afterwards the container's end may already be on record.
    if target.has_init() && number != 0 {
        record(&target.dir, number, SignalCause::Kill);
    }
    send(&target, number, args.all)
        .with_context(|| format!("send {} to container {:?}", args.signal, args.id))?;
    Ok(ExitCode::SUCCESS)
}

/// Sends a signal to init; with `gone_is_fine` also where there is none any more.
///
/// SIGKILL goes to all processes where the container has no PID namespace of its own, since the kernel then kills nobody
/// else when init dies. Signal 0 only asks whether init is there.
pub fn send(target: &Target, number: i32, gone_is_fine: bool) -> anyhow::Result<()> {
    let own_pids = target.state.namespaces.iter().any(|kind| kind == "pid");
    // An ordinary user's container may have no cgroup: then init is all that can be reached.
    if number == SIGKILL
        && !own_pids
        && let Ok(group) = target.cgroup()
    {
        return group.kill_all().map_err(Into::into);
    }
    // The identity is compared after the descriptor is open, so a reused pid is never hit.
    let pidfd = target.state.init.and_then(|init| init.open());
    let Some(pidfd) = pidfd.filter(|_| target.has_init()) else {
        return if gone_is_fine { Ok(()) } else { target.need_init() };
    };
    match husk_sys::send::to_pidfd(pidfd.as_fd(), number) {
        Err(errno) if errno.raw_os_error() == Some(Errno::SRCH.raw_os_error()) && !gone_is_fine => {
            bail!("container not running: {:?} has just ended", target.state.id)
        }
        Err(errno) if errno.raw_os_error() != Some(Errno::SRCH.raw_os_error()) => {
            Err(errno).context("pidfd_send_signal")
        }
        _ => Ok(()),
    }
}

/// Notes in the state directory that husk sent this signal: whoever writes the exit record, or explains the exit, can
/// tell it from a signal that came from elsewhere. Without it the signal is sent all the same.
pub fn record(dir: &Dir, signal: i32, cause: SignalCause) {
    let at_ns = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_nanos() as u64);
    let note = || -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(&SentSignal { signal, at_ns, cause })?;
        line.push(b'\n');
        let path = dir.path().join(SENT);
        let mut file = std::fs::File::options().append(true).create(true).mode(0o600).open(path)?;
        // One write: two husk kill at a time do not mix their lines.
        file.write_all(&line)?;
        Ok(())
    };
    if let Err(error) = note() {
        log::warn(&format!("note signal {signal} in {}: {error:#}", dir.path().display()));
    }
}

/// A number, or a name with or without SIG, in any case; real-time signals also as RTMIN+n and RTMAX-n.
fn parse(text: &str) -> anyhow::Result<i32> {
    if let Ok(number) = text.parse::<i32>() {
        if (0..=RTMAX).contains(&number) {
            return Ok(number);
        }
        bail!("signal {number} does not exist: numbers are 1 to {RTMAX}");
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let real_time = || {
        let offset =
            |rest: &str| if rest.is_empty() { Some(0) } else { rest.parse::<i32>().ok().map(i32::abs) };
        let number = match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
            (Some(rest), _) => RTMIN + offset(rest)?,
            (_, Some(rest)) => RTMAX - offset(rest)?,
            _ => return None,
        };
        (RTMIN..=RTMAX).contains(&number).then_some(number)
    };
    let name = OTHER_NAMES.iter().find(|(other, _)| *other == name).map_or(name, |(_, usual)| *usual);
    let number =
        NAMES.iter().zip(1..).find(|(known, _)| **known == name).map(|(_, number)| number).or_else(real_time);
    number.with_context(|| format!("unknown signal {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn names_and_numbers() {
        for (text, number) in [
            ("TERM", 15),
            ("SIGTERM", 15),
            ("sigkill", 9),
            ("9", 9),
            ("0", 0),
            ("usr1", 10),
            ("RTMIN+3", 37),
            ("SIGRTMIN", 34),
            ("RTMAX-1", 63),
            ("64", 64),
            ("IOT", 6),
            ("CLD", 17),
            ("SYS", 31),
            ("POLL", 29),
        ] {
            assert_eq!(parse(text).unwrap(), number, "{text}");
        }
        for text in ["", "SIG", "NONE", "-9", "65", "RTMIN+31", "RTMAX-99", "TERM "] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
