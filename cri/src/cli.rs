//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// CRI v1 server on husk and husk-shim.
#[derive(Parser)]
#[command(name = "husk-cri", version)]
pub struct Args {
    /// Configuration file, TOML (default: /etc/husk/cri.toml, if it is there)
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder for what outlives a reboot: images, metadata, exit records (default: /var/lib/husk)
    #[arg(long, global = true, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// Folder for what ends with a reboot: sockets, bundles, namespaces (default: /run/husk)
    #[arg(long, global = true, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// Unix socket to listen at (default: cri.sock in --state)
    #[arg(long, global = true, value_name = "PATH")]
    pub listen: Option<PathBuf>,
    /// What to log to standard error: error, warn, info, debug, trace, or a filter of tracing's (default: info)
    #[arg(long, global = true, value_name = "LEVEL")]
    pub log: Option<String>,
    /// What to do; without it, serve.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What husk-cri does instead of serving.
#[derive(Subcommand)]
pub enum Command {
    /// Work with the configuration
    Config {
        /// What to do.
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Work with images while no daemon runs
    Image {
        /// What to do.
        #[command(subcommand)]
        command: ImageCommand,
    },
}

/// Work with images.
#[derive(Subcommand)]
pub enum ImageCommand {
    /// Load the images of an archive; only while no husk-cri runs on this root
    Load {
        /// An OCI archive, a docker archive, or the folder of an OCI layout
        path: PathBuf,
    },
}

/// Work with the configuration.
#[derive(Subcommand)]
pub enum ConfigCommand {
    /// Print the configuration in force, as TOML
    Dump,
}
