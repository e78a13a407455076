//! Signals: by pidfd, so that they can't hit another process, and recorded as evidence.

use crate::server::{Shim, failure, internal};
use husk_cgroup::Cgroup;
use husk_exit::{SentSignal, SignalCause};
use husk_shim_api::{Failure, FailureKind, Kill, StopReason};
use std::os::fd::AsFd;

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
    pub(crate) fn kill(&mut self, kill: &Kill) -> Result<(), Failure> {
        if !(1..=64).contains(&kill.signal) {
            return Err(failure(FailureKind::Invalid, format!("signal {} is not 1 to 64", kill.signal)));
        }
        if kill.all && kill.signal != 9 {
            return Err(failure(FailureKind::Invalid, "all processes can only be sent SIGKILL"));
        }
        let note = sent(i32::from(kill.signal), cause(kill.why));
        let container = self.find(&kill.container)?;
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
                    return Cgroup::open(cgroup).kill_all().map_err(|e| internal("cgroup.kill", e));
                }
                if !alive {
                    return Ok(());
                }
                container.pidfd.as_ref()
            }
            Some(exec) => {
                let found = container.execs.iter_mut().find(|e| e.id == *exec);
                let text = format!("no exec {exec} in container {}", kill.container);
                let found = found.ok_or_else(|| failure(FailureKind::NotFound, text))?;
                if found.exit.is_some() {
                    return Ok(());
                }
                found.sent.push(note);
                if kill.all
                    && let Some(cgroup) = &found.cgroup
                {
                    return Cgroup::open(cgroup).kill_all().map_err(|e| internal("cgroup.kill", e));
                }
                found.pidfd.as_ref()
            }
        };
        let Some(pidfd) = pidfd else {
            return Err(failure(FailureKind::State, "the process does not run yet"));
        };
        match husk_sys::send::to_pidfd(pidfd.as_fd(), i32::from(kill.signal)) {
            Err(e) if e.raw_os_error() != Some(rustix::io::Errno::SRCH.raw_os_error()) => {
                Err(internal("pidfd_send_signal", e))
            }
            _ => Ok(()),
        }
    }
}
