//! Who the program runs as: capabilities, groups, user.

use super::{
    channel::{Channel, Message},
    failure::{Failure, Result, Step as _},
};
use crate::plan::{caps, ids, process::Process};
use husk_sys::Errno;
use rustix::{
    fs::FileType,
    process::{Gid, Uid},
    thread::{CapabilitySet, CapabilitySets},
};
use std::os::fd::{AsFd as _, BorrowedFd};

/// Gives pipes and sockets among the standard streams to the user, who may then open /dev/stdout anew. Files and devices
/// are the host's and keep their owner.
pub fn give_streams(uid: u32, gid: u32) {
    let give = |fd: BorrowedFd<'_>| {
        let Ok(stat) = rustix::fs::fstat(fd) else { return };
        if matches!(FileType::from_raw_mode(stat.st_mode), FileType::Fifo | FileType::Socket) {
            // Not possible in every user namespace, and then as it always was.
            let _ = rustix::fs::fchown(fd, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
        }
    };
    give(std::io::stdin().as_fd());
    give(std::io::stdout().as_fd());
    give(std::io::stderr().as_fd());
}

/// As [`give_streams`], by husk itself: in its user namespace init has no rights on streams of the host's.
pub fn give_streams_from_host(process: &Process, maps: &ids::Maps) {
    let (uid, gid) = (ids::outside(&maps.uids, process.uid), ids::outside(&maps.gids, process.gid));
    if let (Some(uid), Some(gid), false) = (uid, gid, process.terminal) {
        give_streams(uid, gid);
    }
}

/// Takes the bounding set down. Needs CAP_SETPCAP, so it comes before the user changes.
pub fn drop_bounding(process: &Process) -> Result<()> {
    for number in 0..64 {
        if process.caps.bounding & (1 << number) != 0 {
            continue;
        }
        let capability = CapabilitySet::from_bits_retain(1 << number);
        match rustix::thread::remove_capability_from_bounding_set(capability) {
            Ok(()) => {}
            // Beyond the kernel's last capability.
            Err(Errno::INVAL) => break,
            Err(errno) => {
                let name = caps::name(number).unwrap_or_default();
                return Err(Failure::call(format!("drop {name} from the bounding set"), errno));
            }
        }
    }
    Ok(())
}

/// Becomes the user. Capabilities are kept, for [`set_capabilities`] to reduce.
pub fn become_user(process: &Process) -> Result<()> {
    rustix::thread::set_keep_capabilities(true).step(|| "prctl(PR_SET_KEEPCAPS)".into())?;
    let groups: Vec<Gid> = process.groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
    match rustix::thread::set_thread_groups(&groups) {
        // In a user namespace whose setgroups is "deny" (rootless without newgidmap) there are no groups to drop.
        Err(Errno::PERM) if groups.is_empty() => {}
        result => result.step(|| format!("set additional groups {:?} (process.user)", process.groups))?,
    }
    let gid = Gid::from_raw(process.gid);
    rustix::thread::set_thread_res_gid(gid, gid, gid)
        .step(|| format!("set group id {} (process.user.gid); is it mapped?", process.gid))?;
    let uid = Uid::from_raw(process.uid);
    rustix::thread::set_thread_res_uid(uid, uid, uid)
        .step(|| format!("set user id {} (process.user.uid); is it mapped?", process.uid))?;
    Ok(())
}

/// Sets the capability sets. What can't be granted is left out with a warning (config.md, "capabilities").
pub fn set_capabilities(process: &Process, channel: &Channel) -> Result<()> {
    let own = rustix::thread::capabilities(None).step(|| "capget".into())?;
    let available = own.permitted.bits();
    let wanted = process.caps;
    let missing = (wanted.permitted | wanted.inheritable) & !available;
    if missing != 0 {
        let text = format!("husk itself lacks {}: the container does not get them", caps::names(missing));
        channel.report(&Message::Warning(text))?;
    }
    let permitted = wanted.permitted & available;
    // What is in this process's permitted set may become inheritable, unless the bounding set has it not (capset(2)).
    let inheritable = wanted.inheritable & available & wanted.bounding;
    let ambient = wanted.ambient & permitted & inheritable;
    let cut = |set: &str, mask: u64, why: &str| {
        if mask == 0 {
            return Ok(());
        }
        let names = caps::names(mask);
        channel.report(&Message::Warning(format!("can't {set} capability {names}: {why}")))
    };
    // The first words of the last one are those that runc says.
    cut("make effective", wanted.effective & !wanted.permitted, "process.capabilities.permitted lacks it")?;
    let unbound = wanted.inheritable & available & !wanted.bounding;
    cut("make inheritable", unbound, "process.capabilities.bounding lacks it")?;
    cut("raise ambient", wanted.ambient & !ambient, "it is not both permitted and inheritable")?;
    let sets = CapabilitySets {
        permitted: CapabilitySet::from_bits_retain(permitted),
        effective: CapabilitySet::from_bits_retain(wanted.effective & permitted),
        inheritable: CapabilitySet::from_bits_retain(inheritable),
    };
    rustix::thread::set_capabilities(None, sets).step(|| "capset".into())?;
    rustix::thread::clear_ambient_capability_set().step(|| "clear the ambient set".into())?;
    for number in (0..64).filter(|number| ambient & (1 << number) != 0) {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        rustix::thread::configure_capability_in_ambient_set(capability, true)
            .step(|| format!("raise {} to ambient", caps::name(number).unwrap_or_default()))?;
    }
    Ok(())
}
