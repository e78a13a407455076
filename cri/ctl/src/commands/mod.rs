//! One file per command, or per family of small ones.

mod auth;
mod events;
mod exec;
mod explain;
mod info;
mod inspect;
mod lists;
mod logs;
mod pull;
mod remove;
mod run;
mod stats;
mod stop;

use crate::cli::{Args, Command};
use crate::client::Client;

/// Runs the command and gives the exit code.
pub async fn run(args: Args) -> anyhow::Result<u8> {
    // A manifest's mistakes are told even where no server runs.
    if let Command::Run(run_args) = &args.command {
        return run::run(run_args, &args).await;
    }
    let client = Client::connect(&args.endpoint).await?;
    match args.command {
        Command::Run(_) => {}
        Command::Ps { all, show } => lists::containers(&client, all, show).await?,
        Command::Pods { show } => lists::pods(&client, show).await?,
        Command::Images { show } => lists::images(&client, show).await?,
        Command::Pull(pull) => pull::pull(&client, &pull).await?,
        Command::Logs(logs) => logs::logs(&client, &logs).await?,
        Command::Exec { timeout, container, command } => {
            return exec::exec(&client, &container, command, timeout).await;
        }
        Command::Stop { timeout, ids } => stop::stop(&client, &ids, timeout).await?,
        Command::Rm { force, all, ids } => remove::remove(&client, &args.data, &ids, all, force).await?,
        Command::Rmi { images } => remove::images(&client, &images).await?,
        Command::Inspect { ids } => inspect::inspect(&client, &ids).await?,
        Command::Explain { json, container } => explain::explain(&client, &container, json).await?,
        Command::Stats { container, show } => stats::stats(&client, container.as_deref(), show).await?,
        Command::Events { json } => events::events(&client, json).await?,
        Command::Info => info::info(&client).await?,
        Command::Version => info::version(&client).await?,
    }
    Ok(0)
}
