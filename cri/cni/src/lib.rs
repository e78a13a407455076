//! CNI: network lists read, plugins called, results cached.
//!
//! A sandbox is attached with [`Cni::add`] and detached with [`Cni::del`]. The call's intent is on disk
//! before the first plugin runs, so that a detach works after a crash, a reboot, or a change of the
//! configuration. Everything here blocks: call it from a thread that may.
//!
//! Source: CNI specification 1.1.0, <https://www.cni.dev/docs/spec/>.

mod attach;
mod cache;
mod calls;
mod conf;
mod error;
mod loopback;
mod outcome;
mod plugin;
mod version;

pub use attach::{Attachment, Bandwidth, Dns, PortMapping};
pub use calls::{Cni, Ready, Settings};
pub use conf::{Network, Skipped};
pub use error::Error;
pub use loopback::loopback_up;
pub use outcome::{Interface, Ip, Outcome};
