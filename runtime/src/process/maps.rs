//! Writing the id mappings of a new user namespace, from outside.

use super::procfs::Proc;
use crate::plan::ids::{Maps, Range, render};
use anyhow::{Context as _, bail};
use std::{ffi::OsString, path::PathBuf, process::Command};

/// Gives the user namespace of process `pid` its mappings: directly where husk has the right, else by the setuid
/// programs newuidmap and newgidmap, else the caller's own id alone.
pub fn write(proc: &Proc, pid: i32, maps: &Maps) -> anyhow::Result<()> {
    let file = |name: &str| PathBuf::from(format!("{pid}/{name}"));
    let direct = |name: &str, ranges: &[Range]| proc.write(&file(name), render(ranges).as_bytes());
    if rustix::process::geteuid().is_root() {
        direct("uid_map", &maps.uids)
            .with_context(|| format!("write linux.uidMappings to /proc/{pid}/uid_map"))?;
        return direct("gid_map", &maps.gids)
            .with_context(|| format!("write linux.gidMappings to /proc/{pid}/gid_map"));
    }
    let own = |ranges: &[Range], id: u32| matches!(ranges, [one] if one.size == 1 && one.outside == id);
    if own(&maps.uids, rustix::process::geteuid().as_raw()) {
        direct("uid_map", &maps.uids).context("write linux.uidMappings")?;
    } else {
        by_program("newuidmap", pid, &maps.uids, "linux.uidMappings")?;
    }
    if own(&maps.gids, rustix::process::getegid().as_raw()) {
        // The kernel wants this before an ordinary user writes gid_map (user_namespaces(7)).
        proc.write(&file("setgroups"), b"deny").context("deny setgroups")?;
        direct("gid_map", &maps.gids).context("write linux.gidMappings")
    } else {
        by_program("newgidmap", pid, &maps.gids, "linux.gidMappings")
    }
}

fn by_program(program: &str, pid: i32, ranges: &[Range], field: &str) -> anyhow::Result<()> {
    let mut args: Vec<OsString> = vec![pid.to_string().into()];
    for range in ranges {
        args.extend([range.inside, range.outside, range.size].map(|number| number.to_string().into()));
    }
    let output = match Command::new(program).args(&args).output() {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => bail!(
            "{field}: an ordinary user can map other ids only by {program}, which is not installed (package uidmap)"
        ),
        Err(error) => return Err(error).with_context(|| format!("run {program}")),
    };
    if !output.status.success() {
        bail!("{field}: {program}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
