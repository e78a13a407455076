//! `linux.mountLabel`: SELinux labels of new file systems.

use crate::{
    plan::{Plan, namespaces::Kind},
    process::failure::{Result, Step as _},
};
use rustix::fs::{Mode, OFlags, XattrFlags};
use std::os::fd::BorrowedFd;

/// Those of which there is one, however often it is mounted, with the labels that the policy gives its files: the kernel refuses
/// a context for what is mounted without one already. mqueue is one for each IPC namespace.
const SHARED: [&str; 11] = [
    "proc",
    "sysfs",
    "mqueue",
    "devtmpfs",
    "securityfs",
    "debugfs",
    "tracefs",
    "configfs",
    "fusectl",
    "efivarfs",
    "selinuxfs",
];

/// All that the kernel lets a user namespace give a context (selinux_set_mnt_opts).
const OF_USER_NAMESPACES: [&str; 4] = ["tmpfs", "ramfs", "devpts", "overlay"];

/// The context for a new file system; none where its own options have one.
pub fn context<'a>(
    plan: &'a Plan,
    kind: &str,
    options: &[(usize, String, Option<String>)],
) -> Option<&'a str> {
    let own = ["context", "fscontext", "defcontext", "rootcontext"];
    if SHARED.contains(&kind)
        || (plan.namespaces.has_own_or_joined(Kind::User) && !OF_USER_NAMESPACES.contains(&kind))
        || options.iter().any(|(_, key, _)| own.contains(&key.as_str()))
    {
        return None;
    }
    plan.mount_label.as_deref()
}

/// Labels the directory of the message queues. Not the host's, which others use.
pub fn queues(plan: &Plan, tree: BorrowedFd<'_>, place: &str) -> Result<()> {
    let Some(label) = &plan.mount_label else { return Ok(()) };
    if !plan.namespaces.has_own_or_joined(Kind::Ipc) {
        return Ok(());
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(tree, ".", flags, Mode::empty())
        .and_then(|dir| {
            rustix::fs::fsetxattr(&dir, "security.selinux", label.as_bytes(), XattrFlags::empty())
        })
        .step(|| format!("mount {place}: set linux.mountLabel {label:?}"))
}
