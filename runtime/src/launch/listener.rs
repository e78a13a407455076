//! The seccomp notification descriptor: fetched from init and sent to the agent that `listenerPath` names.

use crate::state::{State, Status};
use anyhow::Context as _;
use husk_sys::clone::Child;
use rustix::process::PidfdGetfdFlags;
use std::os::fd::AsFd as _;

/// Sends descriptor `number` of init with the container process state (config-linux.md, "The Container Process State").
pub fn pass_on(
    filter: &husk_seccomp::Filter,
    number: i32,
    child: &Child,
    state: &State,
    status: Status,
) -> anyhow::Result<()> {
    let Some(listener) = &filter.listener else { return Ok(()) };
    let fd = rustix::process::pidfd_getfd(&child.pidfd, number, PidfdGetfdFlags::empty())
        .context("fetch the seccomp notification descriptor: pidfd_getfd")?;
    let message = serde_json::json!({
        "ociVersion": state.oci_version,
        "fds": ["seccompFd"],
        "pid": child.pid,
        "metadata": listener.metadata.clone().unwrap_or_default(),
        "state": state.oci(status),
    });
    crate::socket::send_fd(&listener.path, fd.as_fd(), message.to_string().as_bytes()).with_context(|| {
        format!(
            "linux.seccomp.listenerPath: failed to connect with seccomp agent {}",
            listener.path.display()
        )
    })
}
