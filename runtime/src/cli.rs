//! The command line: runc's commands and flags, and `explain`.

use crate::commands;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// OCI container runtime that tells the truth about exits.
#[derive(Debug, Parser)]
// A flag may be given twice, as podman does; the last one counts, as with runc.
#[command(
    name = "husk",
    version,
    disable_version_flag = true,
    disable_help_subcommand = true,
    args_override_self = true
)]
pub struct Cli {
    /// Print the version of husk and of the specification
    #[arg(short = 'v', short_alias = 'V', long, action = clap::ArgAction::Version)]
    pub version: Option<bool>,
    /// Flags that stand before the command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags that every command takes; they stand before the command's name.
#[derive(Args, Debug)]
pub struct Global {
    /// Directory with the state of containers, one folder each (default: /run/husk; without root $XDG_RUNTIME_DIR/husk)
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// File to append log lines to, beside errors on standard error (default: warnings go to standard error)
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// Form of log lines
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,
    /// Log each step as well
    #[arg(long)]
    pub debug: bool,
    /// Let systemd make the cgroup; linux.cgroupsPath then has the form SLICE:PREFIX:NAME
    #[arg(long)]
    pub systemd_cgroup: bool,
    /// Whether lacking rights on cgroups are passed over
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub rootless: Rootless,
    /// Path of the criu program for checkpoint and restore
    #[arg(long, value_name = "FILE", default_value = "criu", hide = true)]
    pub criu: PathBuf,
}

impl Global {
    /// The directory under which each container has its own, named after its id.
    pub fn root(&self) -> PathBuf {
        if let Some(root) = &self.root {
            return root.clone();
        }
        match std::env::var_os("XDG_RUNTIME_DIR") {
            Some(dir) if !rustix::process::geteuid().is_root() && !dir.is_empty() => {
                PathBuf::from(dir).join("husk")
            }
            _ => PathBuf::from("/run/husk"),
        }
    }
}

/// Form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// `time="…" level=… msg="…"`
    Text,
    /// One JSON object with `level`, `msg` and `time` per line.
    Json,
}

/// Whether lacking rights on cgroups are forgiven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Rootless {
    /// Pass them over.
    True,
    /// Fail.
    False,
    /// Pass them over unless husk runs as the machine's root.
    Auto,
}

macro_rules! declare_commands {
    ($($(#[$doc:meta])* $name:ident => $module:ident,)*) => {
        /// All commands; each has its arguments and its code in a file of its own.
        #[derive(Debug, Subcommand)]
        pub enum Command {
            $($(#[$doc])* $name(commands::$module::Args),)*
        }

        impl Command {
            /// Runs the command.
            pub fn run(&self, global: &Global) -> anyhow::Result<std::process::ExitCode> {
                match self {
                    $(Self::$name(args) => commands::$module::run(global, args),)*
                }
            }
        }
    };
}

declare_commands! {
    /// Checkpoint a running container
    Checkpoint => checkpoint,
    /// Create a container; its program waits for `start`
    Create => create,
    /// Delete what a container holds
    Delete => delete,
    /// Show statistics and OOM notifications of a container
    Events => events,
    /// Run a further process in a container
    Exec => exec,
    /// Say why a container ended, with the evidence
    Explain => explain,
    /// Show what this runtime can do, as JSON
    Features => features,
    /// Send a signal to a container's init process
    Kill => kill,
    /// List the containers under the root directory
    List => list,
    /// Freeze all processes of a container
    Pause => pause,
    /// Show the processes of a container
    Ps => ps,
    /// Restore a container from a checkpoint
    Restore => restore,
    /// Thaw all processes of a container
    Resume => resume,
    /// Create and start a container and wait for its end
    Run => run,
    /// Write a config.json to begin with
    Spec => spec,
    /// Start the program of a created container
    Start => start,
    /// Show the state of a container as JSON
    State => state,
    /// Change the resource limits of a container
    Update => update,
}
