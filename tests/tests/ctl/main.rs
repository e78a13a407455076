//! huskctl against a real husk-cri with real pods.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod look;
mod run;
mod world;
