//! husk-cni with the plugins that Debian ships, and with plugins that misbehave.
//!
//! Every test has a network namespace of its own that stands for the node, and others for sandboxes:
//! no bridge, address or packet filter rule touches the machine.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod hostile;
mod real;
mod world;
