//! What the command line says about a container that is to be made: the flags that `create` and `run` share.

use crate::launch::Options;
use std::path::PathBuf;

/// Flags of a new container, and its id.
#[derive(clap::Args, Debug)]
pub struct New {
    /// Directory of the bundle, which holds config.json (default: the current directory)
    #[arg(long, short, value_name = "DIR")]
    pub bundle: Option<PathBuf>,
    /// Unix socket to send the terminal's master descriptor to; needed where process.terminal is true and husk does not stay
    #[arg(long, value_name = "PATH")]
    pub console_socket: Option<PathBuf>,
    /// Unix socket to send a pidfd of the container's init process to
    #[arg(long, value_name = "PATH")]
    pub pidfd_socket: Option<PathBuf>,
    /// File to write the process id of the container's init process to
    #[arg(long, value_name = "FILE")]
    pub pid_file: Option<PathBuf>,
    /// Move the root mount instead of calling pivot_root, which does not work on a ramdisk
    #[arg(long)]
    pub no_pivot: bool,
    /// Keep the caller's session keyring instead of making a new one
    #[arg(long)]
    pub no_new_keyring: bool,
    /// Number of further descriptors to pass on, from 3 upwards and after those of $LISTEN_FDS
    #[arg(long, value_name = "N", default_value_t = 0, allow_hyphen_values = true)]
    pub preserve_fds: u32,
    /// Id of the container: letters, digits and _ + - ., at most 255; unique below --root
    #[arg(value_name = "CONTAINER-ID")]
    pub id: String,
}

impl New {
    /// The options of a container that `start` will start; `run` changes what differs.
    pub fn options(&self) -> Options<'_> {
        Options {
            id: &self.id,
            bundle: self.bundle.as_deref(),
            console_socket: self.console_socket.as_deref(),
            pidfd_socket: self.pidfd_socket.as_deref(),
            pid_file: self.pid_file.as_deref(),
            no_pivot: self.no_pivot,
            no_new_keyring: self.no_new_keyring,
            preserve_fds: self.preserve_fds,
            detach: true,
            fifo: true,
        }
    }
}
