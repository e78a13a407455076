//! The loopback interface of a new network namespace.

use crate::process::failure::{Result, Step as _};

/// Brings `lo` up: a new namespace has it down, and programs expect 127.0.0.1 to answer.
pub fn loopback_up() -> Result<()> {
    husk_sys::net::interface_up("lo").step(|| "bring the loopback interface up".into())
}
