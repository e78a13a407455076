//! Which process `husk exec` runs: that of a file, or the container's own, changed by flags.

use super::Args;
use super::user;
use crate::plan::config;
use anyhow::{Context as _, bail};
use oci_spec::runtime::{Capabilities, Capability, LinuxCapabilities, Process, Spec, User};
use std::ffi::OsString;

/// The process in the specification's form.
pub fn resolve(args: &Args, spec: &Spec) -> anyhow::Result<Process> {
    let own = spec.process().as_ref();
    let process = match &args.process {
        Some(path) => {
            let text = std::fs::read(path).with_context(|| format!("read --process {}", path.display()))?;
            let process = config::process(&text, &format!("--process {}", path.display()))?;
            with_defaults(process, own)
        }
        None => by_flags(args, own)?,
    };
    if process.args().as_ref().is_none_or(Vec::is_empty) {
        bail!("no program is given: husk exec CONTAINER-ID COMMAND [ARGUMENT...], or --process FILE");
    }
    Ok(process)
}

/// What a process file leaves out and the container has is the container's: its rights must not be wider than the
/// container's because a tool said nothing.
fn with_defaults(mut process: Process, own: Option<&Process>) -> Process {
    let Some(own) = own else { return process };
    if process.capabilities().is_none() {
        process.set_capabilities(own.capabilities().clone());
    }
    if process.apparmor_profile().as_ref().is_none_or(String::is_empty) {
        process.set_apparmor_profile(own.apparmor_profile().clone());
    }
    if process.selinux_label().as_ref().is_none_or(String::is_empty) {
        process.set_selinux_label(own.selinux_label().clone());
    }
    if process.rlimits().is_none() {
        process.set_rlimits(own.rlimits().clone());
    }
    if process.no_new_privileges().is_none() {
        process.set_no_new_privileges(own.no_new_privileges());
    }
    if process.oom_score_adj().is_none() {
        process.set_oom_score_adj(own.oom_score_adj());
    }
    process
}

fn by_flags(args: &Args, own: Option<&Process>) -> anyhow::Result<Process> {
    let Some(own) = own else { bail!("the container has no process in its config.json: use --process FILE") };
    let mut process = own.clone();
    let command = args.command.iter().map(|arg| text("COMMAND", arg)).collect::<anyhow::Result<Vec<_>>>()?;
    process.set_args(Some(command));
    if let Some(cwd) = &args.cwd {
        if !cwd.is_absolute() {
            bail!("--cwd {:?}: must be an absolute path in the container", cwd.display().to_string());
        }
        process.set_cwd(cwd.clone());
    }
    let mut env = process.env().clone().unwrap_or_default();
    for entry in &args.env {
        let entry = text("--env", entry)?;
        if !entry.contains('=') || entry.starts_with('=') {
            bail!("--env {entry:?}: must be NAME=VALUE");
        }
        env.push(entry);
    }
    process.set_env(Some(env));
    process.set_terminal(Some(args.tty));
    // The size of the container's terminal says nothing about this one's.
    process.set_console_size(None);
    if let Some(profile) = &args.apparmor {
        process.set_apparmor_profile(Some(profile.clone()));
    }
    if let Some(label) = &args.process_label {
        process.set_selinux_label(Some(label.clone()));
    }
    if args.no_new_privs {
        process.set_no_new_privileges(Some(true));
    }
    set_user(args, process.user_mut())?;
    if !args.cap.is_empty() {
        let capabilities = add_capabilities(process.capabilities().clone(), &args.cap)?;
        process.set_capabilities(Some(capabilities));
    }
    Ok(process)
}

fn set_user(args: &Args, user: &mut User) -> anyhow::Result<()> {
    if let Some(text) = &args.user {
        let (uid, gid) = user::parse(text).with_context(|| format!("--user {text:?}"))?;
        user.set_uid(uid);
        if let Some(gid) = gid {
            user.set_gid(gid);
        }
    }
    let mut groups = user.additional_gids().clone().unwrap_or_default();
    for text in &args.additional_gids {
        groups.push(user::id(text).with_context(|| format!("--additional-gids {text:?}"))?);
    }
    user.set_additional_gids(Some(groups));
    Ok(())
}

/// To bounding, effective and permitted, and of those that the container's programs may inherit to ambient, as runc does.
fn add_capabilities(own: Option<LinuxCapabilities>, names: &[String]) -> anyhow::Result<LinuxCapabilities> {
    let mut added = Capabilities::new();
    for name in names {
        let capability: Capability = serde_json::from_value(name.as_str().into())
            .map_err(|_| anyhow::anyhow!("--cap {name:?}: there is no such capability"))?;
        added.insert(capability);
    }
    let joined = |set: &Option<Capabilities>| {
        Some(set.iter().flatten().copied().chain(added.iter().copied()).collect())
    };
    let none = || {
        let mut none = LinuxCapabilities::default();
        none.set_bounding(None)
            .set_effective(None)
            .set_permitted(None)
            .set_inheritable(None)
            .set_ambient(None);
        none
    };
    let own = own.unwrap_or_else(none);
    let mut capabilities = own.clone();
    capabilities
        .set_bounding(joined(own.bounding()))
        .set_effective(joined(own.effective()))
        .set_permitted(joined(own.permitted()));
    if let Some(inheritable) = own.inheritable() {
        let ambient: Capabilities = added.intersection(inheritable).copied().collect();
        if !ambient.is_empty() {
            capabilities.set_ambient(Some(
                ambient.into_iter().chain(own.ambient().iter().flatten().copied()).collect(),
            ));
        }
    }
    Ok(capabilities)
}

fn text(flag: &str, value: &OsString) -> anyhow::Result<String> {
    value
        .clone()
        .into_string()
        .map_err(|value| anyhow::anyhow!("{flag} {:?}: is not UTF-8", value.display().to_string()))
}

#[cfg(test)]
#[path = "process_tests.rs"]
mod tests;
