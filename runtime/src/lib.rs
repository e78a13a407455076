//! OCI container runtime that tells the truth about exits.
//!
//! The way of a container: [`cli`] → `commands/create.rs` → plan (config.json to plain data) → clone3 →
//! init stages → exec FIFO → `commands/start.rs`.
//!
//! A library, so that manual pages and completions are made from [`cli`] by another program (hack/docs); the runtime
//! carries none of that.

mod checkpoint;
pub mod cli;
mod clock;
mod commands;
mod dashes;
mod foreground;
mod init;
mod launch;
mod log;
mod netdev;
mod notify;
mod plan;
mod process;
mod record;
mod socket;
mod state;
mod terminal;

use clap::{CommandFactory as _, FromArgMatches as _};
use std::process::ExitCode;

/// Reads the command line and does what it says; the exit code is for the caller to end with.
pub fn main() -> ExitCode {
    protect_early();
    // Engines read `NAME version NUMBER` and `spec: NUMBER` from --version and -v, as runc words it.
    let version = concat!("version ", env!("CARGO_PKG_VERSION"), "\nspec: 1.3.0");
    let command = cli::Cli::command().version(version).long_version(version);
    let line = dashes::doubled(&command, std::env::args_os());
    let cli =
        match command.try_get_matches_from(line).and_then(|matches| cli::Cli::from_arg_matches(&matches)) {
            Ok(cli) => cli,
            Err(error) => {
                // --help and --version are "errors" of exit code 0; runc gives 1 for a wrong command line.
                match missing_value(&error) {
                    Some(text) => eprint!("{text}"),
                    None => _ = error.print(),
                }
                return ExitCode::from(u8::from(error.use_stderr()));
            }
        };
    if let Err(error) = log::open(&cli.global) {
        eprintln!("husk: {error:#}");
        return ExitCode::FAILURE;
    }
    let line: Vec<_> = std::env::args_os().skip(1).collect();
    log::debug(&format!("husk {} is called with {line:?}", env!("CARGO_PKG_VERSION")));
    match commands::dispatch(&cli.global, &cli.command) {
        Ok(code) => code,
        Err(error) => {
            log::fatal(&format!("{error:#}"));
            ExitCode::from(commands::exit_code(&error))
        }
    }
}

/// clap's message in runc's words where a flag came without its value: podman tells from `flag needs an argument`, as the
/// answer to `restore --lsm-mount-context`, that a runtime can restore containers into pods.
fn missing_value(error: &clap::Error) -> Option<String> {
    let text = error.render().to_string();
    let (flag, rest) =
        text.strip_prefix("error: a value is required for ")?.split_once(" but none was supplied")?;
    Some(format!("error: flag needs an argument: {flag}{rest}"))
}

/// A command that starts processes in containers executes husk anew from a read-only mount of itself. Doing so before the
/// command line is parsed saves parsing it twice (0.15 ms); a word that only looks like such a command costs one more exec.
/// What fails here fails again, with its message, where the command calls [`launch::protect`].
fn protect_early() {
    let starts =
        |arg: std::ffi::OsString| ["create", "run", "exec", "restore"].iter().any(|word| arg == *word);
    if std::env::args_os().skip(1).any(starts) {
        let _ = launch::protect();
    }
}
