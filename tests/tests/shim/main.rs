//! husk-shim through its socket, with real containers.

mod daemon;
mod exec;
mod exits;
mod hostile;
mod limits;
mod logs;
mod memory;
mod pin;
mod pod;
