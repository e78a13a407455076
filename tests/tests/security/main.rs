//! One test per hole that this kind of software has had, named after its CVE, which tries the attack for real.
//!
//! Everything happens inside bundles and containers of the test's own; "outside" is a folder of the test's, too.

mod binary;
mod identity;
mod outside;
mod proc;
