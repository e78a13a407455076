//! What is husk's own in create, start and run: its words, what a broken life leaves behind, concurrency. What any runtime
//! must do is in the suite conformance.

mod exits;
mod flags;
mod hooks;
mod host_mounts;
mod life;
mod netdev;
mod notify;
mod ramdisk;
mod refusals;
mod root;
mod spec;
mod terminal;
