//! The command line. Read by hand: it has one reader, the daemon, and the shim stays small.

use husk_shim_api::Runtime;
use std::ffi::OsString;
use std::path::PathBuf;

/// Shown by `--help`.
pub const USAGE: &str = "\
husk-shim start --id ID --dir DIR --runtime BINARY [--runtime-arg ARG]... [--cgroup PATH] [--pause BINARY]
    starts the shim of the pod ID; it listens at DIR/shim.sock
husk-shim serve ...
    the same in the foreground, without a session of its own";

/// How a shim was started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// The pod's id.
    pub id: String,
    /// The shim's directory; made with mode 0700.
    pub dir: PathBuf,
    /// The runtime of containers that don't name their own.
    pub runtime: Runtime,
    /// cgroup2 directory, below the mount, that the shim moves itself into.
    pub cgroup: Option<PathBuf>,
    /// The pause program; husk-pause beside this binary by default.
    pub pause: Option<PathBuf>,
}

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    /// Start a shim and return.
    Start(Config),
    /// Be the shim.
    Serve(Config),
    /// Make namespaces; the argument is a [`crate::namespaces::Request`] as JSON.
    Namespaces(String),
    /// Print the usage.
    Help,
}

/// A wrong command line.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArgsError {
    /// No such command or flag.
    #[error("unknown argument {0:?}\n{USAGE}")]
    Unknown(OsString),
    /// A flag without value.
    #[error("{0} needs a value")]
    NoValue(String),
    /// A flag is missing.
    #[error("{0} is missing\n{USAGE}")]
    Missing(&'static str),
    /// A value that is not UTF-8.
    #[error("{0} must be UTF-8")]
    NotUtf8(String),
}

/// Reads the arguments after the program's name.
pub fn parse(mut args: impl Iterator<Item = OsString>) -> Result<Command, ArgsError> {
    let command = args.next().ok_or(ArgsError::Missing("the command"))?;
    match command.to_str() {
        Some("start") => Ok(Command::Start(config(args)?)),
        Some("serve") => Ok(Command::Serve(config(args)?)),
        Some("namespaces") => {
            let request = args.next().ok_or(ArgsError::Missing("the request"))?;
            text("request", request).map(Command::Namespaces)
        }
        Some("--help" | "-h" | "help") => Ok(Command::Help),
        _ => Err(ArgsError::Unknown(command)),
    }
}

fn text(name: &str, value: OsString) -> Result<String, ArgsError> {
    value.into_string().map_err(|_| ArgsError::NotUtf8(name.into()))
}

fn config(mut args: impl Iterator<Item = OsString>) -> Result<Config, ArgsError> {
    let mut config = Config::default();
    while let Some(flag) = args.next() {
        let Some(name) = flag.to_str() else { return Err(ArgsError::Unknown(flag)) };
        let name = name.to_owned();
        let mut value = || args.next().ok_or_else(|| ArgsError::NoValue(name.clone()));
        match name.as_str() {
            "--id" => config.id = text("--id", value()?)?,
            "--dir" => config.dir = value()?.into(),
            "--runtime" => config.runtime.binary = value()?.into(),
            "--runtime-arg" => config.runtime.args.push(text("--runtime-arg", value()?)?),
            "--cgroup" => config.cgroup = Some(value()?.into()),
            "--pause" => config.pause = Some(value()?.into()),
            _ => return Err(ArgsError::Unknown(flag)),
        }
    }
    for (missing, flag) in [
        (config.id.is_empty(), "--id"),
        (config.dir.as_os_str().is_empty(), "--dir"),
        (config.runtime.binary.as_os_str().is_empty(), "--runtime"),
    ] {
        if missing {
            return Err(ArgsError::Missing(flag));
        }
    }
    Ok(config)
}

impl Config {
    /// The arguments that give this configuration.
    pub fn to_args(&self) -> Vec<OsString> {
        let mut out: Vec<OsString> = vec![
            "--id".into(),
            self.id.clone().into(),
            "--dir".into(),
            self.dir.clone().into(),
            "--runtime".into(),
            self.runtime.binary.clone().into(),
        ];
        for arg in &self.runtime.args {
            out.extend(["--runtime-arg".into(), arg.into()]);
        }
        if let Some(cgroup) = &self.cgroup {
            out.extend(["--cgroup".into(), cgroup.into()]);
        }
        if let Some(pause) = &self.pause {
            out.extend(["--pause".into(), pause.into()]);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::{ArgsError, Command, Config, parse};

    fn of(text: &str) -> Result<Command, ArgsError> {
        parse(text.split_whitespace().map(Into::into))
    }

    #[test]
    fn arguments_survive_the_way_to_the_child() {
        let line = "start --id p --dir /d --runtime /r --runtime-arg --root --runtime-arg /x --cgroup /a/b";
        let Command::Start(config) = of(line).unwrap() else { panic!() };
        assert_eq!(config.runtime.args, ["--root", "/x"]);
        let mut again = vec!["serve".into()];
        again.extend(config.to_args());
        assert_eq!(parse(again.into_iter()), Ok(Command::Serve(config)));
    }

    #[test]
    fn wrong_ones_are_named() {
        assert_eq!(of("start --id p --dir /d"), Err(ArgsError::Missing("--runtime")));
        assert_eq!(of("start --id"), Err(ArgsError::NoValue("--id".into())));
        assert_eq!(of("start --colour red"), Err(ArgsError::Unknown("--colour".into())));
        assert_eq!(of("dance"), Err(ArgsError::Unknown("dance".into())));
        assert_eq!(Config::default().to_args().len(), 6);
    }
}
