//! What can go wrong between a network list and a confirmed attachment.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::conf::Skipped;

/// A failed CNI step, told in one sentence.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No file of the configuration directory gives a network.
    #[error("no CNI network in {}{}", dir.display(), told(skipped))]
    NoNetwork {
        /// The directory searched.
        dir: PathBuf,
        /// Files that are there but can't be used.
        skipped: Vec<Skipped>,
    },
    /// A system call failed.
    #[error("{call} {}: {source}", path.display())]
    Io {
        /// The call's name.
        call: &'static str,
        /// What it was called on.
        path: PathBuf,
        /// The kernel's answer.
        source: std::io::Error,
    },
    /// A plugin's program is in none of the plugin directories.
    #[error("CNI plugin {plugin} is not in {}", joined(dirs))]
    PluginMissing {
        /// The plugin's type.
        plugin: String,
        /// Where it was looked for.
        dirs: Vec<PathBuf>,
    },
    /// The plugin itself said no.
    #[error("CNI plugin {plugin} failed at {command}: {message}")]
    Plugin {
        /// The plugin's type.
        plugin: String,
        /// `CNI_COMMAND` of the call.
        command: &'static str,
        /// The plugin's message and details.
        message: String,
        /// The plugin's error code, where it gave one.
        code: Option<u64>,
    },
    /// The plugin did not answer in time; it and its process group were killed.
    #[error("CNI plugin {plugin} did not finish {command} within {} s and was killed", after.as_secs_f32())]
    Timeout {
        /// The plugin's type.
        plugin: String,
        /// `CNI_COMMAND` of the call.
        command: &'static str,
        /// The limit.
        after: Duration,
    },
    /// The plugin's output is not what the specification asks for.
    #[error("CNI plugin {plugin} answered {command} with {what}")]
    Output {
        /// The plugin's type.
        plugin: String,
        /// `CNI_COMMAND` of the call.
        command: &'static str,
        /// What was wrong, with the start of it.
        what: String,
    },
    /// The list and a plugin have no protocol version in common.
    #[error("CNI plugin {plugin} speaks versions up to {highest}, network {network} wants {wanted}")]
    Version {
        /// The plugin's type.
        plugin: String,
        /// The network's name.
        network: String,
        /// The list's version or versions.
        wanted: String,
        /// The highest that the plugin speaks.
        highest: String,
    },
    /// A value that may not be passed to a plugin.
    #[error("{what} {value:?} {why}")]
    Invalid {
        /// The field.
        what: &'static str,
        /// Its value.
        value: String,
        /// The rule it breaks.
        why: &'static str,
    },
    /// An attach failed, and so did the detach that should have undone it.
    #[error("{add}; undoing it failed as well and is left for later: {del}")]
    Undo {
        /// Why the attach failed.
        add: Box<Error>,
        /// Why the detach failed.
        del: Box<Error>,
    },
    /// CHECK was asked for a sandbox that has no confirmed attachment.
    #[error("sandbox {id} is not attached to a network")]
    NotAttached {
        /// The sandbox's id.
        id: String,
    },
}

impl Error {
    pub(crate) fn io(call: &'static str, path: &Path, source: impl Into<std::io::Error>) -> Self {
        Self::Io { call, path: path.to_owned(), source: source.into() }
    }
}

fn joined(dirs: &[PathBuf]) -> String {
    let dirs: Vec<_> = dirs.iter().map(|d| d.display().to_string()).collect();
    dirs.join(":")
}

fn told(skipped: &[Skipped]) -> String {
    skipped.iter().map(|s| format!("; {} is skipped: {}", s.path.display(), s.why)).collect()
}
