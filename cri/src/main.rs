//! husk-cri: CRI v1 server on husk and husk-shim.

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
use clap::{Parser, Subcommand};
use config::Config;
use tracing_subscriber::EnvFilter;

/// CRI v1 server on husk and husk-shim.
#[derive(Parser)]
#[command(name = "husk-cri", version)]
struct Args {
    /// Configuration file [default: /etc/husk/cri.toml, if it is there].
    #[arg(long, global = true)]
    config: Option<PathBuf>,
    /// Folder for durable state.
    #[arg(long, global = true)]
    root: Option<PathBuf>,
    /// Folder for state that ends with the machine's uptime.
    #[arg(long, global = true)]
    state: Option<PathBuf>,
    /// Unix socket to listen at.
    #[arg(long, global = true)]
    listen: Option<PathBuf>,
    /// What to log: error, warn, info, debug, trace.
    #[arg(long, global = true)]
    log: Option<String>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Work with the configuration.
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Work with images without the daemon.
    Image {
        #[command(subcommand)]
        command: ImageCommand,
    },
}

#[derive(Subcommand)]
enum ImageCommand {
    /// Load the images of an OCI layout, an OCI archive or a docker archive. Only while no husk-cri runs on this root.
    Load {
        /// The archive or folder.
        path: PathBuf,
    },
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Print the configuration in force.
    Dump,
}

fn main() -> Result<()> {
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
