//! The program of a container, and a command in it.

use std::path::Path;

use husk_cri_api::{ContainerConfig, LinuxContainerSecurityContext};
use husk_image::ImageConfig;
use serde_json::{Value, json};

use super::caps::{self, Sets};
use super::{Input, apparmor};
use crate::error::{Context, Error, Result};
use crate::store::User;

const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// OCI's `process` of the container's init.
pub fn init(input: &Input<'_>, context: &LinuxContainerSecurityContext) -> Result<Value> {
    let config = input.config;
    let mut process = json!({
        "terminal": config.tty,
        "args": args(config, input.image)?,
        "env": env(config, input.image, input.hostname)?,
        "cwd": cwd(config, input.image)?,
        "user": user(input.user),
        "capabilities": Sets::of(context)?.to_oci(),
        "noNewPrivileges": context.no_new_privs,
    });
    if let Some(adj) = oom_score_adj(super::resources::requested(config).oom_score_adj)? {
        process["oomScoreAdj"] = json!(adj);
    }
    if let Some(profile) = apparmor::profile(context)? {
        process["apparmorProfile"] = json!(profile);
    }
    Ok(process)
}

/// OCI's `process` of a command: as the container's program, in the same directory, with the same rights.
pub fn exec(init: &Value, command: &[String], terminal: bool) -> Value {
    let mut process = init.clone();
    process["args"] = json!(command);
    process["terminal"] = json!(terminal);
    process
}

fn user(user: &User) -> Value {
    json!({"uid": user.uid, "gid": user.gid, "additionalGids": user.groups})
}

/// `command` stands for the image's entry point, `args` for its cmd; an entry point of one's own goes without the image's cmd.
fn args(config: &ContainerConfig, image: &ImageConfig) -> Result<Vec<String>> {
    let own = !config.command.is_empty();
    let mut args = if own { config.command.clone() } else { image.entrypoint.clone() };
    if !config.args.is_empty() {
        args.extend(config.args.iter().cloned());
    } else if !own {
        args.extend(image.cmd.iter().cloned());
    }
    if args.is_empty() {
        return Err(Error::invalid("config.command", "is empty, and the image names no program either"));
    }
    if args.iter().any(|arg| arg.contains('\0')) {
        return Err(Error::invalid("config.command", "has a zero byte"));
    }
    Ok(args)
}

/// The image's environment, changed by the container's.
fn env(config: &ContainerConfig, image: &ImageConfig, hostname: &str) -> Result<Vec<String>> {
    let mut env = vec![PATH.to_owned(), format!("HOSTNAME={hostname}")];
    if config.tty {
        env.push("TERM=xterm".into());
    }
    let mut set = |key: &str, line: String| {
        let same = |old: &&mut String| old.split_once('=').is_some_and(|(name, _)| name == key);
        match env.iter_mut().find(same) {
            Some(old) => *old = line,
            None => env.push(line),
        }
    };
    for line in &image.env {
        match line.split_once('=') {
            Some((key, _)) if !key.is_empty() && !line.contains('\0') => set(key, line.clone()),
            _ => tracing::warn!(line, "the image's environment has a line that is no NAME=value; left out"),
        }
    }
    for (index, pair) in config.envs.iter().enumerate() {
        let field = format!("config.envs[{index}]");
        if pair.key.is_empty() || pair.key.contains(['=', '\0']) {
            return Err(Error::invalid(format!("{field}.key"), format!("{:?} is no name", pair.key)));
        }
        // config.json is JSON, whose strings are Unicode: other bytes have no place in it.
        let value = std::str::from_utf8(&pair.value)
            .map_err(|e| Error::invalid(format!("{field}.value"), format!("of {}: {e}", pair.key)))?;
        if value.contains('\0') {
            return Err(Error::invalid(
                format!("{field}.value"),
                format!("of {}: has a zero byte", pair.key),
            ));
        }
        set(&pair.key, format!("{}={value}", pair.key));
    }
    Ok(env)
}

/// The working directory.
fn cwd(config: &ContainerConfig, image: &ImageConfig) -> Result<String> {
    let given = if config.working_dir.is_empty() { &image.working_dir } else { &config.working_dir };
    match given.as_str() {
        "" => Ok("/".into()),
        path if Path::new(path).is_absolute() => Ok(path.into()),
        path => Err(Error::invalid("config.working_dir", format!("{path:?} is not an absolute path"))),
    }
}

/// What can be set of a wanted oom_score_adj. Without CAP_SYS_RESOURCE a process can't go below its own value (it gets
/// EACCES); the container then keeps that.
fn oom_score_adj(wanted: i64) -> Result<Option<i64>> {
    if !(-1000..=1000).contains(&wanted) {
        let why = format!("{wanted} is not between -1000 and 1000");
        return Err(Error::invalid("linux.resources.oom_score_adj", why));
    }
    let path = "/proc/self/oom_score_adj";
    let own: i64 = std::fs::read_to_string(path).on("read", path)?.trim().parse().on("parse", path)?;
    if wanted < own && !caps::has("SYS_RESOURCE")? {
        tracing::debug!(wanted, own, "oom_score_adj stays: husk-cri lacks CAP_SYS_RESOURCE");
        return Ok(None);
    }
    Ok(Some(wanted))
}
