//! Signals: by pidfd, so that they can't hit another process, and recorded as evidence.

use crate::create::JobStart;
use crate::job::{Caller, Task};
use crate::server::{Shim, failure, internal};
use husk_cgroup::Cgroup;
use husk_exit::{SentSignal, SignalCause};
use husk_shim_api::{Failure, FailureKind, Kill, StopReason};
use rustix::io::Errno;
use rustix::process::{Signal, pidfd_send_signal};

/// A line of evidence.
pub fn sent(signal: i32, cause: SignalCause) -> SentSignal {
    SentSignal { signal, at_ns: crate::clock::now().unsigned_abs(), cause }
}

fn cause(why: StopReason) -> SignalCause {
    match why {
        StopReason::Stop => SignalCause::Stop,
        StopReason::Grace => SignalCause::GraceExpired,
        StopReason::Removal => SignalCause::Delete,
        StopReason::Request => SignalCause::Kill,
    }
}

impl Shim {
    /// True: done. False: the runtime does it and answers later.
    pub(crate) fn kill(&mut self, caller: Caller, kill: &Kill) -> Result<bool, Failure> {
        if !(1..=64).contains(&kill.signal) {
            return Err(failure(FailureKind::Invalid, format!("signal {} is not 1 to 64", kill.signal)));
        }
        if kill.all && kill.signal != 9 {
            return Err(failure(FailureKind::Invalid, "all processes can only be sent SIGKILL"));
        }
        let note = sent(i32::from(kill.signal), cause(kill.why));
        let container = self.find(&kill.container)?;
        let (slot, runtime, id) = (container.slot, container.runtime.clone(), container.id.clone());
        let pidfd = match &kill.exec {
            None => {
                let alive = container.live_pid().is_some();
                if alive {
                    container.sent.push(note);
                }
                if kill.all
                    && let Some(cgroup) = &container.cgroup
                {
                    // Also where init has ended: in a shared PID namespace its children live on.
                    return Cgroup::open(cgroup)
                        .kill_all()
                        .map(|()| true)
                        .map_err(|e| internal("cgroup.kill", e));
                }
                if !alive {
                    return Ok(true);
                }
                container.pidfd.as_ref()
            }
            Some(exec) => {
                let found = container.execs.iter_mut().find(|e| e.id == *exec);
                let text = format!("no exec {exec} in container {}", kill.container);
                let found = found.ok_or_else(|| failure(FailureKind::NotFound, text))?;
                if found.exit.is_some() {
                    return Ok(true);
                }
                found.sent.push(note);
                if kill.all
                    && let Some(cgroup) = &found.cgroup
                {
                    return Cgroup::open(cgroup)
                        .kill_all()
                        .map(|()| true)
                        .map_err(|e| internal("cgroup.kill", e));
                }
                found.pidfd.as_ref()
            }
        };
        let Some(pidfd) = pidfd else {
            return Err(failure(FailureKind::State, "the process does not run yet"));
        };
        match named(kill.signal) {
            Some(signal) => match pidfd_send_signal(pidfd, signal) {
                Ok(()) | Err(Errno::SRCH) => Ok(true),
                Err(e) => Err(internal("pidfd_send_signal", e)),
            },
            None if kill.exec.is_none() => {
                let start = JobStart::of(Task::Kill(slot), Some(caller));
                let args = vec![id.into(), kill.signal.to_string().into()];
                self.command(slot, &runtime, "kill", args, start).map(|()| false)
            }
            None => Err(failure(FailureKind::Invalid, format!("signal {} for an exec", kill.signal))),
        }
    }
}

/// Signals 1 to 31. The real-time ones have no names, only the runtime can send them (systemd as init is stopped by
/// SIGRTMIN+3).
fn named(signal: u8) -> Option<Signal> {
    const NAMES: [Signal; 31] = [
        Signal::HUP,
        Signal::INT,
        Signal::QUIT,
        Signal::ILL,
        Signal::TRAP,
        Signal::ABORT,
        Signal::BUS,
        Signal::FPE,
        Signal::KILL,
        Signal::USR1,
        Signal::SEGV,
        Signal::USR2,
        Signal::PIPE,
        Signal::ALARM,
        Signal::TERM,
        Signal::STKFLT,
        Signal::CHILD,
        Signal::CONT,
        Signal::STOP,
        Signal::TSTP,
        Signal::TTIN,
        Signal::TTOU,
        Signal::URG,
        Signal::XCPU,
        Signal::XFSZ,
        Signal::VTALARM,
        Signal::PROF,
        Signal::WINCH,
        Signal::IO,
        Signal::POWER,
        Signal::SYS,
    ];
    NAMES.get(usize::from(signal).checked_sub(1)?).copied()
}

#[cfg(test)]
mod tests {
    use super::named;

    #[test]
    fn names_have_their_numbers() {
        for number in 1..=31 {
            assert_eq!(named(number).unwrap().as_raw(), i32::from(number));
        }
        assert!(named(0).is_none() && named(37).is_none());
    }
}
