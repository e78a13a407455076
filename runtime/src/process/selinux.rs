//! SELinux: whether labels mean anything here, and the label of the program.

use super::{
    failure::{Result, Step as _},
    procfs::Proc,
};
use crate::plan::process::Process;
use anyhow::bail;
use std::path::Path;

/// Whether the kernel has SELinux on, with a policy. Until it gets its first one it takes any label, and they all mean the same.
/// Asked by the host's procfs, since selinuxfs need not be mounted where husk runs.
pub fn is_on(proc: &Proc) -> bool {
    let registered = proc
        .read(Path::new("filesystems"))
        .is_ok_and(|text| text.split_whitespace().any(|word| word == "selinuxfs"));
    registered
        && proc
            .read(Path::new("thread-self/attr/current"))
            .is_ok_and(|label| label.trim_end_matches(['\0', '\n']) != "kernel")
}

/// A label that would mean nothing is an error.
pub fn check(process: &Process, proc: &Proc) -> anyhow::Result<()> {
    match &process.selinux {
        Some(label) if !is_on(proc) => {
            bail!("process.selinuxLabel {label:?}: SELinux is not on in this kernel, or has no policy")
        }
        _ => Ok(()),
    }
}

/// Labels the keys that this process makes from now on until it executes the program: a container may not use those of husk's
/// domain. There are kernels without keys.
pub fn label_keys(process: &Process, proc: &Proc) -> Result<()> {
    let Some(label) = &process.selinux else { return Ok(()) };
    proc.write(Path::new("thread-self/attr/keycreate"), label.as_bytes()).step(|| {
        format!("set process.selinuxLabel {label:?} of the session keyring; does the policy know it?")
    })
}

/// Has the next program that this process executes begin with the label.
pub fn label_program(process: &Process, proc: &Proc) -> Result<()> {
    let Some(label) = &process.selinux else { return Ok(()) };
    proc.write(Path::new("thread-self/attr/exec"), label.as_bytes())
        .step(|| format!("set process.selinuxLabel {label:?}; does the policy know it?"))
}
