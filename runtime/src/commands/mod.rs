//! One file per command: its arguments and what it does.

use crate::cli::{Command, Global};
use std::process::ExitCode;

pub mod checkpoint;
pub mod create;
pub mod delete;
pub mod events;
pub mod exec;
pub mod explain;
pub mod features;
pub mod kill;
pub mod list;
pub mod new;
pub mod pause;
pub mod ps;
pub mod restore;
pub mod resume;
pub mod run;
pub mod spec;
pub mod start;
pub mod state;
pub mod target;
pub mod update;

/// An error with an exit code of its own, such as 127 for a program that is not there.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct ExitWith {
    /// Exit code of husk.
    pub code: u8,
    /// What is wrong.
    pub message: String,
}

/// Runs the command.
pub fn dispatch(global: &Global, command: &Command) -> anyhow::Result<ExitCode> {
    command.run(global)
}

/// The exit code that goes with an error: 1 unless the error has its own.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    error.downcast_ref::<ExitWith>().map_or(1, |with| with.code)
}

/// A step of the child that failed is an error of the command, with the exit code that goes with it.
impl From<crate::process::failure::Failure> for ExitWith {
    fn from(failure: crate::process::failure::Failure) -> Self {
        Self { code: failure.code, message: failure.to_string() }
    }
}
