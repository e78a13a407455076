//! One process per pod that holds its containers, logs and exit records.
//!
//! `husk-shim start` makes the shim's directory and runs `husk-shim serve` in a session of its own; it returns once the
//! socket can be connected to. `serve` is one thread around one epoll loop ([`server`]): it starts the OCI runtime as
//! child processes ([`job`]), is the subreaper of the pod's containers, copies their output to log files ([`streams`],
//! [`log`]) and writes an exit record for each before it tells anyone ([`exits`]). `husk-shim namespaces` is the helper
//! that makes the pod's namespaces ([`namespaces`]).
//!
//! What the daemon can ask for is described in the crate `husk-shim-api`.

mod args;
mod attach;
mod calls;
mod clock;
mod container;
mod create;
mod evidence;
mod exec;
mod exits;
mod job;
mod kill;
mod link;
mod log;
mod namespaces;
mod oom;
mod oom_score;
mod pause;
mod pin;
mod poll;
mod runtime_state;
mod server;
mod start;
mod streams;
mod sysctl;

use std::process::ExitCode;

fn main() -> ExitCode {
    let result = match args::parse(std::env::args_os().skip(1)) {
        Ok(args::Command::Start(config)) => start::start(&config),
        Ok(args::Command::Serve(config)) => start::serve(config),
        Ok(args::Command::Namespaces(request)) => namespaces::run(&request),
        Ok(args::Command::Help) => {
            println!("{}", args::USAGE);
            Ok(())
        }
        Err(e) => Err(e.into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("husk-shim: {e}");
            ExitCode::FAILURE
        }
    }
}
