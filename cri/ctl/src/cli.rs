//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Run pods, look at them, and find out why a container ended.
#[derive(Debug, Parser)]
#[command(name = "huskctl", version, max_term_width = 100)]
pub struct Args {
    /// Unix socket of the CRI server; any CRI v1 server will do
    #[arg(
        long,
        short = 'r',
        global = true,
        env = "CONTAINER_RUNTIME_ENDPOINT",
        default_value = "unix:///run/husk/cri.sock",
        value_name = "SOCKET"
    )]
    pub endpoint: String,
    /// Folder for the logs and emptyDir volumes of pods that `huskctl run` started
    #[arg(long, global = true, env = "HUSKCTL_DATA", default_value = "/var/lib/huskctl", value_name = "DIR")]
    pub data: PathBuf,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start the pod of a manifest and follow its logs until it is done
    Run(RunArgs),
    /// List containers
    Ps {
        /// Show those that have ended, too
        #[arg(long, short)]
        all: bool,
        /// How the list is shown.
        #[command(flatten)]
        show: Show,
    },
    /// List pods
    Pods {
        /// How the list is shown.
        #[command(flatten)]
        show: Show,
    },
    /// List images
    Images {
        /// How the list is shown.
        #[command(flatten)]
        show: Show,
    },
    /// Pull an image
    Pull(PullArgs),
    /// Show a container's log
    Logs(LogsArgs),
    /// Run a command in a container; ends with the command's exit code
    Exec {
        /// End the command after this many seconds; 0 for never
        #[arg(long, default_value_t = 0, value_name = "SECONDS")]
        timeout: u32,
        /// Id, unique start of an id, name, or POD/NAME
        container: String,
        /// The command and its arguments
        #[arg(trailing_var_arg = true, required = true)]
        command: Vec<String>,
    },
    /// Stop pods or containers
    Stop {
        /// Seconds between SIGTERM and SIGKILL
        #[arg(long, short, default_value_t = 10, value_name = "SECONDS")]
        timeout: u32,
        /// Ids, unique starts of ids, or names
        #[arg(required = true)]
        ids: Vec<String>,
    },
    /// Remove pods or containers
    Rm {
        /// Stop them first if they run
        #[arg(long, short)]
        force: bool,
        /// Remove every pod
        #[arg(long, conflicts_with = "ids")]
        all: bool,
        /// Ids, unique starts of ids, or names
        #[arg(required_unless_present = "all")]
        ids: Vec<String>,
    },
    /// Remove images
    Rmi {
        /// References or ids
        #[arg(required = true)]
        images: Vec<String>,
    },
    /// Show all that is known of pods, containers or images, as JSON
    Inspect {
        /// Ids, unique starts of ids, names, or image references
        #[arg(required = true)]
        ids: Vec<String>,
    },
    /// Say why a container ended, and on what evidence
    Explain {
        /// Show the explanation, with the exit record, as JSON
        #[arg(long)]
        json: bool,
        /// Id, unique start of an id, name, or POD/NAME
        container: String,
    },
    /// Show what containers use
    Stats {
        /// Id, unique start of an id, name, or POD/NAME; all that run if absent
        container: Option<String>,
        /// How the list is shown.
        #[command(flatten)]
        show: Show,
    },
    /// Follow what happens to containers
    Events {
        /// Show one JSON object per line
        #[arg(long)]
        json: bool,
    },
    /// Show the runtime's conditions and settings
    Info,
    /// Show the versions of huskctl and of the runtime
    Version,
}

/// How a list is shown.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Show {
    /// Show the ids alone, one per line
    #[arg(long, short)]
    pub quiet: bool,
    /// Show JSON
    #[arg(long, conflicts_with = "quiet")]
    pub json: bool,
}

/// `run`.
#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// Kubernetes Pod manifest, YAML or JSON; - for standard input
    pub file: PathBuf,
    /// Remove the pod when it is done
    #[arg(long, conflicts_with = "detach")]
    pub rm: bool,
    /// Start the containers and return; nothing restarts them then
    #[arg(long, short)]
    pub detach: bool,
    /// Seconds before the first restart of a container; doubles up to 300
    #[arg(long, default_value_t = 10.0, value_name = "SECONDS")]
    pub backoff: f64,
    /// Credentials.
    #[command(flatten)]
    pub auth: AuthArgs,
}

/// `pull`.
#[derive(Debug, clap::Args)]
pub struct PullArgs {
    /// Reference of the image, as registry.example/app:1 or …@sha256:…
    pub image: String,
    /// Credentials.
    #[command(flatten)]
    pub auth: AuthArgs,
}

/// Credentials for registries; without them those of the docker configuration are used.
#[derive(Debug, Clone, clap::Args)]
pub struct AuthArgs {
    /// User name at the registry
    #[arg(long, value_name = "NAME")]
    pub username: Option<String>,
    /// Read the password or token from standard input
    #[arg(long, requires = "username")]
    pub password_stdin: bool,
    /// Docker configuration with credentials (default: $DOCKER_CONFIG/config.json, or ~/.docker/config.json)
    #[arg(long, value_name = "FILE")]
    pub authfile: Option<PathBuf>,
}

/// `logs`.
#[derive(Debug, clap::Args)]
pub struct LogsArgs {
    /// Go on until the container has ended
    #[arg(long, short)]
    pub follow: bool,
    /// Show only this many last lines
    #[arg(long, value_name = "LINES")]
    pub tail: Option<usize>,
    /// Show the log of the attempt before the last one
    #[arg(long, short)]
    pub previous: bool,
    /// Show when each line was written
    #[arg(long, short)]
    pub timestamps: bool,
    /// Id, unique start of an id, name, or POD/NAME
    pub container: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        <Args as clap::CommandFactory>::command().debug_assert();
        let args = Args::parse_from(["huskctl", "exec", "web", "sh", "-c", "exit 3"]);
        let Command::Exec { container, command, .. } = args.command else { panic!("not exec") };
        assert_eq!((container.as_str(), command.len()), ("web", 3));
    }
}
