//! Checkpoint and restore through criu: what both commands share, and how each request is put together.
//!
//! husk says what is not criu's to save (mounts of the host, joined namespaces, standard streams), makes the state and the
//! cgroup as `create` does, and leaves processes, memory and the container's own mounts to criu.

pub mod criu;
pub mod dump;
pub mod flags;
mod log;
mod mounts;
mod outside;
pub mod restore;
mod rpc;
mod stage;
mod view;
mod wire;

use crate::{cli::Global, plan::namespaces::Kind};
use anyhow::bail;
use criu::Criu;
use flags::Dirs;
use oci_spec::runtime::Spec;
use rpc::Response;

/// Whether checkpoint and restore can be had: by this user, with a criu that is installed, new enough and at work on this
/// kernel.
pub fn works(global: &Global) -> bool {
    need_root().is_ok() && Criu::find(&global.criu).is_ok()
}

/// criu traces processes and makes namespaces with rights of the machine's root.
fn need_root() -> anyhow::Result<()> {
    if !rustix::process::geteuid().is_root() || crate::launch::cgroup::in_user_namespace() {
        bail!("checkpoint and restore need root of the machine: criu has to trace and to make any process");
    }
    Ok(())
}

/// criu's own configuration for this container: what the annotation names (nothing where it is empty), or the file for all.
fn config_file(spec: &Spec) -> Option<String> {
    let named = spec.annotations().as_ref().and_then(|annotations| annotations.get("org.criu.config"));
    match named {
        Some(path) => Some(path.clone()).filter(|path| !path.is_empty()),
        None => ["/etc/criu/husk.conf", "/etc/criu/runc.conf"]
            .into_iter()
            .find(|path| std::path::Path::new(path).exists())
            .map(str::to_owned),
    }
}

/// Flags of clone for the namespaces that are left empty.
fn empty_ns(empty: bool) -> u32 {
    if empty { Kind::Network.flag().bits() } else { 0 }
}

/// The sentence about a request that failed.
fn failed(what: &str, dirs: &Dirs, log: &str, response: &Response) -> anyhow::Error {
    let log = dirs.logs.join(log);
    let why = match log::errors(&log) {
        why if !why.is_empty() => why,
        _ if !response.message.is_empty() => response.message.clone(),
        _ if response.errno != 0 => std::io::Error::from_raw_os_error(response.errno).to_string(),
        _ => "it did not say why".to_owned(),
    };
    anyhow::anyhow!("{what}: criu: {why} (see {})", log.display())
}
