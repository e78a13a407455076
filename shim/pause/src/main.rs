//! PID 1 of a pod that shares its PID namespace: waits and reaps.
//!
//! It ends on SIGTERM and SIGINT, which PID 1 only gets because it asks for them, and with it the kernel ends every
//! process of the namespace.

use rustix::process::{Signal, WaitOptions};
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

fn main() -> ExitCode {
    match wait() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("husk-pause: {e}");
            ExitCode::FAILURE
        }
    }
}

/// Waits for signals: a byte in the socket for each.
fn wait() -> std::io::Result<()> {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    let (mut wake, signal) = UnixStream::pair()?;
    let ended = Arc::new(AtomicBool::new(false));
    for end in [Signal::TERM, Signal::INT] {
        // Registered before the pipe: when the byte comes, the flag is set.
        signal_hook::flag::register(end.as_raw(), Arc::clone(&ended))?;
        signal_hook::low_level::pipe::register(end.as_raw(), signal.try_clone()?)?;
    }
    signal_hook::low_level::pipe::register(Signal::CHILD.as_raw(), signal)?;
    let mut bytes = [0; 64];
    while !ended.load(Ordering::Relaxed) {
        while matches!(rustix::process::wait(WaitOptions::NOHANG), Ok(Some(_))) {}
        match wake.read(&mut bytes) {
            Err(e) if e.kind() != std::io::ErrorKind::Interrupted => return Err(e),
            _ => {}
        }
    }
    Ok(())
}
