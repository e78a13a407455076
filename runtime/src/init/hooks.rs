//! Running hooks: the state on standard input, the given environment and no other, a time limit.

use crate::{
    plan::hooks::Hook,
    process::failure::{Failure, Result},
    state::{State, Status},
};
use rustix::{
    event::{PollFd, PollFlags, Timespec},
    fs::MemfdFlags,
};
use std::{
    ffi::CString,
    io::Write as _,
    os::fd::{AsFd as _, OwnedFd},
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    process::{Child, Command, Stdio},
};

/// Runs the startContainer hooks: those without an environment of their own have the program's.
pub fn run_before_program(hooks: &[Hook], state: &State, env: &[CString]) -> Result<()> {
    let program: Vec<(String, String)> = env
        .iter()
        .filter_map(|entry| entry.to_str().ok()?.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    hooks.iter().try_for_each(|hook| {
        let env = Some(hook.env.clone().unwrap_or_else(|| program.clone()));
        run(&Hook { env, ..hook.clone() }, state, Status::Created).map_err(Failure::text)
    })
}

/// Runs hooks in the container's init, in order; the first that fails ends the start.
pub fn run_in_child(hooks: &[Hook], state: &State, status: Status) -> Result<()> {
    hooks.iter().try_for_each(|hook| run(hook, state, status).map_err(Failure::text))
}

/// Runs one hook. The error is a sentence that names it.
pub fn run(hook: &Hook, state: &State, status: Status) -> std::result::Result<(), String> {
    // The first words are those that tools and people know runc by.
    let fail = |what: &dyn std::fmt::Display| {
        format!("error running {}: {} ({}): {what}", hook.title, hook.place, hook.path.display())
    };
    let input = serde_json::to_vec(&state.oci(status)).map_err(|error| fail(&error))?;
    // Not a pipe: a hook may leave a daemon behind that keeps its standard error open.
    let said = rustix::fs::memfd_create("hook", MemfdFlags::CLOEXEC).map_err(|error| fail(&error))?;
    let mut command = Command::new(&hook.path);
    if let Some((first, rest)) = hook.args.split_first() {
        command.arg0(first).args(rest);
    }
    if let Some(env) = &hook.env {
        command.env_clear().envs(env.iter().map(|(key, value)| (key, value)));
    }
    // husk holds signals back while it stays with a container.
    let mut child = husk_sys::signal::unmasked(&mut command)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::from(said.try_clone().map_err(|error| fail(&error))?))
        .spawn()
        .map_err(|error| fail(&error))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A hook need not read its state. (SIGPIPE is ignored by the standard library's start-up code.)
        let _ = stdin.write_all(&input);
    }
    if let Some(timeout) = hook.timeout
        && !ends_within(&child, timeout)
    {
        let _ = child.kill();
        let _ = child.wait();
        return Err(fail(&format!("did not end within {} s (timeout), and was killed", timeout.as_secs())));
    }
    let ended = child.wait().map_err(|error| fail(&error))?;
    if ended.success() {
        return Ok(());
    }
    let mut text = vec![0; 1000];
    let length = rustix::io::pread(&said, &mut text, 0).unwrap_or(0);
    text.truncate(length);
    let said = match String::from_utf8_lossy(&text).trim() {
        "" => String::new(),
        text => format!(": {text}"),
    };
    // strsignal(3) of SIGSYS: what seccomp ends a process with.
    let call = if ended.signal() == Some(31) { ": bad system call" } else { "" };
    Err(fail(&format!("{ended}{call}{said}")))
}

fn ends_within(child: &Child, timeout: std::time::Duration) -> bool {
    let Some(pidfd) = i32::try_from(child.id())
        .ok()
        .and_then(rustix::process::Pid::from_raw)
        .and_then(|pid| rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).ok())
    else {
        return false;
    };
    wait_readable(&pidfd, timeout)
}

fn wait_readable(fd: &OwnedFd, timeout: std::time::Duration) -> bool {
    let limit = Timespec { tv_sec: timeout.as_secs() as i64, tv_nsec: i64::from(timeout.subsec_nanos()) };
    let mut fds = [PollFd::from_borrowed_fd(fd.as_fd(), PollFlags::IN)];
    matches!(rustix::event::poll(&mut fds, Some(&limit)), Ok(ready) if ready > 0)
}
