//! husk-shim, as husk-cri sees it: one process per sandbox, started once and found again by its socket.

use std::os::fd::AsRawFd;

use tokio::io::unix::AsyncFd;

mod client;
mod start;

pub use client::{Notice, Shim, unexpected};
pub use start::{Launch, reconnect, start};

/// Has the reactor watch a descriptor that `owner` owns.
#[expect(
    deprecated,
    reason = "its successor is unsafe for types that may give another descriptor later: ours do not"
)]
pub fn watched<T: AsRawFd>(owner: T) -> std::io::Result<AsyncFd<T>> {
    AsyncFd::new(owner)
}
