//! Kernel calls wrapped once: the only crate of husk in which unsafe is allowed.
pub mod bpf;
pub mod pidfd;
pub mod send;
