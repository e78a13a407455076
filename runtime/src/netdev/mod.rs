//! `linux.netDevices`: network devices of husk's namespace that become the container's (config-linux.md, "Network Devices").
//!
//! husk moves them as soon as the container's init is in its network namespace, so that `linux.sysctl` and hooks find them
//! there. From then on they are the namespace's: husk takes nothing back when the container ends.

mod link;
mod netlink;

use crate::{plan::net_devices::Device, process::procfs::Proc};
use anyhow::{Context as _, bail};
use husk_sys::Errno;
use link::{Address, Link};
use netlink::Socket;
use rustix::{fs::OFlags, thread::LinkNameSpaceType};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

/// A network namespace: its file, and a socket in it.
struct Side {
    file: OwnedFd,
    socket: Socket,
}

/// What is to be known of a device that was moved.
struct Moved {
    from: String,
    to: String,
    up: bool,
    addresses: Vec<Address>,
}

/// Moves the devices to the network namespace of process `pid`. Where one can't be moved, those before it come back: with a
/// new namespace they would be lost.
pub fn move_all(devices: &[Device], proc: &Proc, pid: i32) -> anyhow::Result<()> {
    let host =
        Side { file: open_namespace(proc, "self")?, socket: Socket::open().context("netlink socket")? };
    let file = open_namespace(proc, &pid.to_string())?;
    let link = |who: &str| proc.link(std::path::Path::new(&format!("{who}/ns/net")));
    if link("self")? == link(&pid.to_string())? {
        bail!("linux.netDevices: the container's network namespace is the one that husk runs in");
    }
    let container = Side { socket: socket_in(&file, &host.file)?, file };
    let mut moved = Vec::new();
    for device in devices {
        if let Err(error) = move_one(device, &host, &container, &mut moved) {
            for device in moved.iter().rev() {
                // The first error is the one to tell; this one is of the same kind.
                let _ = give_back(device, &host, &container);
            }
            return Err(error);
        }
    }
    Ok(())
}

fn open_namespace(proc: &Proc, who: &str) -> anyhow::Result<OwnedFd> {
    proc.behind(&format!("{who}/ns"), "net", OFlags::RDONLY)
        .with_context(|| format!("open /proc/{who}/ns/net"))
}

/// A socket belongs to the namespace in which it is opened. husk has one thread, so nothing else is led astray.
fn socket_in(namespace: &OwnedFd, back: &OwnedFd) -> anyhow::Result<Socket> {
    let enter =
        |to: BorrowedFd<'_>| rustix::thread::move_into_link_name_space(to, Some(LinkNameSpaceType::Network));
    enter(namespace.as_fd()).context("linux.netDevices: enter the container's network namespace: setns")?;
    let socket = Socket::open();
    enter(back.as_fd()).context("return from the container's network namespace: setns")?;
    socket.context("netlink socket in the container's network namespace")
}

fn move_one(device: &Device, host: &Side, container: &Side, moved: &mut Vec<Moved>) -> anyhow::Result<()> {
    let place = || format!("linux.netDevices.{}", device.name);
    let found = link::find(&host.socket, &device.name)
        .with_context(|| format!("{}: find it in the network namespace of husk", place()))?;
    // Before it goes down, by which it loses addresses of IPv6.
    let addresses = link::lasting_addresses(&host.socket, found)
        .with_context(|| format!("{}: read its addresses", place()))?;
    let taken = link::names(&container.socket)
        .with_context(|| format!("{}: list the container's devices", place()))?;
    let to = new_name(&device.new_name, &taken);
    let moving = || format!("{}: move it to the container's network namespace as {to:?}", place());
    // The kernel would move it first and then find that it can't rename it.
    if taken.contains(&to) {
        return Err(anyhow::Error::new(Errno::EXIST).context(moving()));
    }
    if found.up {
        // A device that is up can't be renamed.
        link::set_up(&host.socket, found, false).with_context(|| format!("{}: set it down", place()))?;
    }
    let device = Moved { from: device.name.clone(), to: to.clone(), up: found.up, addresses };
    if let Err(errno) = link::relocate(&host.socket, found, container.file.as_fd(), &to) {
        let _ = match link::find(&host.socket, &device.from) {
            Ok(still) => restore(&device, &host.socket, still),
            // Somebody took the name meanwhile: it was moved under its old one.
            Err(_) => give_back(&Moved { to: device.from.clone(), ..device }, host, container),
        };
        return Err(anyhow::Error::new(errno).context(moving()));
    }
    moved.push(device);
    let Some(device) = moved.last() else { return Ok(()) };
    let now = link::find(&container.socket, &device.to)
        .with_context(|| format!("{}: find it in the container as {:?}", place(), device.to))?;
    set_addresses(device, &container.socket, now).with_context(place)?;
    link::set_up(&container.socket, now, true)
        .with_context(|| format!("{}: set it up in the container", place()))
}

/// The name in the container. The kernel, too, takes `%d` for the first number that is free.
fn new_name(wanted: &str, taken: &[String]) -> String {
    let mut candidates = (0..=taken.len()).map(|number| wanted.replace("%d", &number.to_string()));
    candidates.find(|name| !taken.contains(name)).unwrap_or_else(|| wanted.to_owned())
}

fn set_addresses(device: &Moved, socket: &Socket, now: Link) -> anyhow::Result<()> {
    for address in &device.addresses {
        link::add_address(socket, now, address).with_context(|| format!("set its address {address}"))?;
    }
    Ok(())
}

/// Makes a device what it was before.
fn restore(device: &Moved, socket: &Socket, now: Link) -> anyhow::Result<()> {
    set_addresses(device, socket, now)?;
    if device.up {
        link::set_up(socket, now, true)?;
    }
    Ok(())
}

fn give_back(device: &Moved, host: &Side, container: &Side) -> anyhow::Result<()> {
    let now = link::find(&container.socket, &device.to)?;
    link::set_up(&container.socket, now, false)?;
    link::relocate(&container.socket, now, host.file.as_fd(), &device.from)?;
    restore(device, &host.socket, link::find(&host.socket, &device.from)?)
}
