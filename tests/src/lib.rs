//! Integration tests of husk's binaries against the real kernel.
