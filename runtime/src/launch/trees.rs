//! Mounts that husk opens for a container in a user namespace: their sources may lie where its root may not go, and only
//! the owner of a file system may map its ids.

use crate::{
    init::{needs_parent, open_bind, open_root, propagate, set_mount_attributes},
    plan::{
        Plan, ids,
        mounts::{IdMap, Mount, Source},
        namespaces::Kind,
    },
    process::{
        channel::{Channel, Message},
        procfs::Proc,
    },
};
use anyhow::Context as _;
use husk_sys::{
    clone::{Fork, clone3},
    mount::{Attributes, set_attributes},
};
use rustix::{fs::OFlags, mount::MountPropagationFlags, process::Signal};
use std::os::fd::{AsFd as _, OwnedFd};

/// Opens and sends the mounts. Those that husk has no right to open are left to init, which says what is wrong with them.
pub fn send(plan: &Plan, proc: &Proc, pid: i32, channel: &Channel) -> anyhow::Result<()> {
    let own_user = plan.namespaces.has_own_or_joined(Kind::User);
    // Mount events of the host go in, those of the container do not come out.
    let shared = plan.propagation.kind == MountPropagationFlags::SHARED;
    let closed = |tree: &OwnedFd| {
        if shared { Ok(()) } else { propagate(tree.as_fd(), MountPropagationFlags::DOWNSTREAM, true) }
    };
    if own_user {
        let Ok(root) = open_root(&plan.rootfs) else { return send_idmapped(plan, proc, pid, channel) };
        closed(&root).context("set the propagation of the root filesystem")?;
        channel.send_with(&Message::Tree(None), Some(root.as_fd()))?;
    }
    for mount in &plan.mounts {
        let Source::Bind { path, recursive } = &mount.source else { continue };
        // What is in the root filesystem may be there by an earlier mount only: init opens it when its turn has come.
        if !needs_parent(plan, mount) || plan.inner(path).is_some() {
            continue;
        }
        let tree = open_bind(&plan.bundle.join(path), *recursive, &mount.place())?;
        closed(&tree).with_context(|| format!("set the propagation of {}", mount.place()))?;
        prepare(mount, &tree, proc, pid)?;
        channel.send_with(&Message::Tree(Some(mount.index)), Some(tree.as_fd()))?;
    }
    Ok(())
}

/// Without the right to open mounts, an id-mapped one can't be had.
fn send_idmapped(plan: &Plan, _proc: &Proc, _pid: i32, _channel: &Channel) -> anyhow::Result<()> {
    match plan.mounts.iter().find(|mount| mount.idmap.is_some()) {
        Some(mount) => anyhow::bail!("{}: an id-mapped mount needs CAP_SYS_ADMIN on the host", mount.place()),
        None => Ok(()),
    }
}

fn prepare(mount: &Mount, tree: &OwnedFd, proc: &Proc, pid: i32) -> anyhow::Result<()> {
    set_mount_attributes(tree.as_fd(), mount)?;
    map_ids(mount, tree, proc, pid)
}

/// Gives a detached mount its id mapping, if it is to have one.
pub fn map_ids(mount: &Mount, tree: &OwnedFd, proc: &Proc, pid: i32) -> anyhow::Result<()> {
    let Some(idmap) = &mount.idmap else { return Ok(()) };
    let namespace =
        user_namespace(idmap, proc, pid).with_context(|| format!("id mapping of {}", mount.place()))?;
    let attributes = Attributes { idmap: Some(namespace.as_fd()), ..Attributes::default() };
    set_attributes(tree.as_fd(), attributes, idmap.recursive).with_context(|| {
        format!(
            "id mapping of {}: mount_setattr; does its file system support id-mapped mounts?",
            mount.place()
        )
    })
}

/// A user namespace with the mapping: the container's, or one made for this.
fn user_namespace(idmap: &IdMap, proc: &Proc, pid: i32) -> anyhow::Result<OwnedFd> {
    match &idmap.maps {
        None => open_user_namespace(proc, pid),
        Some(maps) => make_user_namespace(maps, proc),
    }
}

fn open_user_namespace(proc: &Proc, pid: i32) -> anyhow::Result<OwnedFd> {
    proc.behind(&format!("{pid}/ns"), "user", OFlags::RDONLY)
        .with_context(|| format!("open /proc/{pid}/ns/user"))
}

fn make_user_namespace(maps: &ids::Maps, proc: &Proc) -> anyhow::Result<OwnedFd> {
    // A namespace is made together with a process; it lives on by the descriptor when the process is killed.
    let child = match clone3(Kind::User.flag(), 0, None).context("make a user namespace")? {
        Fork::Child => {
            // It would outlive a husk that is killed just now.
            let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
            loop {
                std::thread::sleep(std::time::Duration::from_secs(3600));
            }
        }
        Fork::Parent(child) => child,
    };
    let result = crate::process::maps::write(proc, child.pid, maps)
        .and_then(|()| open_user_namespace(proc, child.pid));
    let _ = rustix::process::pidfd_send_signal(&child.pidfd, Signal::KILL);
    let _ = rustix::process::waitid(
        rustix::process::WaitId::PidFd(child.pidfd.as_fd()),
        rustix::process::WaitIdOptions::EXITED,
    );
    result
}
