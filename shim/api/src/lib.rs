//! Messages between husk-cri and husk-shim.
//!
//! One `SOCK_SEQPACKET` unix socket per shim, at `<shim dir>/shim.sock` (mode 0600, in a directory of mode 0700); both
//! ends check that the peer runs under their own user id (CVE-2020-15257 had an abstract socket that anyone in the
//! host's network namespace could reach).
//!
//! One packet is one JSON object. The daemon sends [`Request`]s, the shim answers each with exactly one
//! [`Message::Reply`] of the same id, in any order (a slow runtime delays only its own answer), and sends
//! [`Message::Event`]s in between. Descriptors travel beside the packet (`SCM_RIGHTS`). A body above
//! [`INLINE_MAX`] bytes travels in a memory file as the first descriptor; both ends do that by themselves.
//!
//! The crate blocks or doesn't as the caller wants and knows no async runtime: the daemon registers
//! [`Connection`]'s descriptor with its own reactor and uses [`Connection::try_send`] and [`Connection::try_recv`].
//!
//! What outlives a lost connection: everything. The shim works on requests that it has read, keeps what happened,
//! and tells it by [`Call::State`] to the next daemon. A new connection that says [`Call::Hello`] replaces the old one.

mod client;
mod message;
mod packet;
mod path;
mod state;

pub use client::{CallError, Client};
pub use message::{
    Call, Create, Event, Exec, Failure, FailureKind, IdMapping, Kill, Message, Namespace, Pin, Pinned, Reply,
    Request, Runtime, StopReason,
};
pub use packet::{Connection, INLINE_MAX, MAX_BODY, MAX_FDS, Packet, PacketError};
pub use path::{Listener, connect};
pub use state::{ContainerState, ExecState, Exit, State, Status};

/// Version of the messages. A shim answers [`Call::Hello`] of another version with [`FailureKind::Version`] and still
/// serves [`Call::State`] and [`Call::Shutdown`], whose shape does not change.
pub const VERSION: u32 = 1;

/// Name of the socket in the shim's directory.
pub const SOCKET_NAME: &str = "shim.sock";
