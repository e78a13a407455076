//! husk-cri: CRI v1 server on husk and husk-shim.

pub mod cli;
mod config;
mod container;
mod error;
mod id;
mod image;
mod mountinfo;
mod node;
mod recover;
mod rpc;
mod sandbox;
mod server;
mod shim;
mod spec;
mod store;
mod usage;
mod work;

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Parser;
use cli::{Args, Command, ConfigCommand, ImageCommand};
use config::Config;
use tracing_subscriber::EnvFilter;

/// Does what the command line says: serves, unless it has a command.
pub fn main() -> Result<()> {
    let args = Args::parse();
    let config = configured(&args)?;
    if let Some(Command::Config { command: ConfigCommand::Dump }) = args.command {
        return print(&toml::to_string_pretty(&config).context("encode the configuration")?);
    }
    // A bare level is meant for husk's own parts: the libraries below say little that helps, and much of it.
    let plain = config.log.chars().all(char::is_alphanumeric);
    let own = ["husk_cri", "husk_image", "husk_cni"].map(|part| format!("{part}={}", config.log)).join(",");
    let filter = if plain { format!("warn,{own}") } else { config.log.clone() };
    let filter = EnvFilter::try_new(filter).with_context(|| format!("log: {:?}", config.log))?;
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("start tokio")?;
    if let Some(Command::Image { command: ImageCommand::Load { path } }) = args.command {
        return print(&runtime.block_on(image::load(&config, &path))?);
    }
    let served = runtime.block_on(server::serve(config));
    // A blocking step that hangs (a plugin, a disk) must not keep us from ending.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    served
}

fn print(text: &str) -> Result<()> {
    std::io::stdout().write_all(text.as_bytes()).context("write to stdout")
}

fn configured(args: &Args) -> Result<Config> {
    let mut config = Config::load(args.config.as_deref())?;
    let set = |to: &mut PathBuf, from: &Option<PathBuf>| {
        if let Some(path) = from {
            to.clone_from(path);
        }
    };
    set(&mut config.root, &args.root);
    set(&mut config.state, &args.state);
    set(&mut config.listen, &args.listen);
    if let Some(log) = &args.log {
        config.log.clone_from(log);
    }
    config.resolve()
}
