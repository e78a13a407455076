//! huskctl: a CRI client for people. It speaks CRI alone, so it works with any runtime's socket.
//!
//! A library, so that manual pages and completions are made from [`cli`] by another program (hack/docs).

mod bytes;
pub mod cli;
mod client;
mod commands;
mod data;
mod logs;
mod manifest;
mod plan;
mod resolve;
mod table;

use std::process::ExitCode;

use clap::Parser;

/// Does what the command line says.
pub fn main() -> ExitCode {
    // `huskctl ps | head` ends quietly when head does: a broken pipe is no news.
    let args = cli::Args::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done = match runtime {
        Ok(runtime) => {
            let done = runtime.block_on(commands::run(args));
            // Reads from a terminal that never end must not hold the program.
            runtime.shutdown_background();
            done
        }
        Err(e) => Err(e.into()),
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(e) if is_broken_pipe(&e) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("huskctl: {e:#}");
            ExitCode::FAILURE
        }
    }
}

fn is_broken_pipe(e: &anyhow::Error) -> bool {
    let io = e.chain().filter_map(|c| c.downcast_ref::<std::io::Error>());
    io.into_iter().any(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}
