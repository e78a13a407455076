//! The container's cgroup: where it is to be, made, limited.

use super::scope::{self, Scope};
use crate::{
    cli::{Global, Rootless},
    log,
    state::State,
};
use anyhow::Context as _;
use husk_cgroup::{Cgroup, Hierarchy, Leniency, systemd::Name};
use oci_spec::runtime::{LinuxNamespaceType, LinuxResources, Spec};
use rustix::io::Errno;
use std::path::{Path, PathBuf};

/// Where the group is to be.
#[derive(Debug)]
pub enum Place {
    /// Nowhere: there is no cgroup2, and that is forgiven.
    None,
    /// A directory that husk makes.
    Directory(Cgroup),
    /// A scope that systemd makes.
    Scope(Name),
}

impl Place {
    /// For the state, so that whoever finds the rest of a killed husk knows what to remove.
    pub fn path(&self) -> Option<PathBuf> {
        match self {
            Self::Directory(cgroup) => Some(cgroup.path().to_owned()),
            Self::None | Self::Scope(_) => None,
        }
    }

    /// As [`Self::path`]: systemd's unit.
    pub fn unit(&self) -> Option<String> {
        match self {
            Self::Scope(name) => Some(name.unit.clone()),
            Self::None | Self::Directory(_) => None,
        }
    }
}

/// A group with its limits in force.
#[derive(Debug)]
pub struct Made {
    /// The group.
    pub cgroup: Cgroup,
    /// What is left to do where systemd has made it.
    pub scope: Option<Scope>,
}

/// Where the group is to be.
pub fn place(global: &Global, spec: &Spec, id: &str) -> anyhow::Result<Place> {
    let path = spec.linux().as_ref().and_then(|linux| linux.cgroups_path().as_deref());
    if global.systemd_cgroup {
        let name = Name::parse(path, id, scope::of_user()).context("config.json")?;
        return Ok(Place::Scope(name));
    }
    scope::check_form(path)?;
    let forgiving = forgives(global);
    let hierarchy = match Hierarchy::detect() {
        Ok(hierarchy) => hierarchy,
        Err(error) if forgiving => {
            log::debug(&format!("no cgroup: {error}"));
            return Ok(Place::None);
        }
        Err(error) => return Err(error.into()),
    };
    let rootless = !rustix::process::geteuid().is_root();
    let path = husk_cgroup::path::resolve(&hierarchy, path, id, rootless).context("config.json")?;
    let cgroup = Cgroup::open(path);
    // Before the state names it: with what is left of a killed husk its group goes, too, and all that is in it.
    cgroup.check_unused()?;
    Ok(Place::Directory(cgroup))
}

/// Makes the group and sets its limits. Nothing where rights are lacking and that is forgiven.
pub fn make(global: &Global, place: &Place, spec: &Spec, state: &State) -> anyhow::Result<Option<Made>> {
    let resources = spec.linux().as_ref().and_then(|linux| linux.resources().as_ref());
    let (cgroup, scope, resources) = match place {
        Place::None => return Ok(None),
        Place::Directory(placed) => match Cgroup::create(placed.path()) {
            Ok(cgroup) => (cgroup, None, resources.cloned()),
            Err(error) if forgives(global) && lacks_rights(&error) => {
                if resources.is_some_and(limits_anything) {
                    log::warn(&format!("the container has no cgroup and no limits: {error}"));
                }
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        },
        Place::Scope(name) => {
            let (scope, cgroup, now) = Scope::make(name, &state.id, resources, &state.annotations)?;
            (cgroup, Some(scope), now)
        }
    };
    let ready = limit(&cgroup, resources.as_ref(), forgives(global)).and_then(|()| match owner(spec) {
        Some(uid) => give(&cgroup, uid, forgives(global)),
        None => Ok(()),
    });
    match ready {
        Ok(()) => Ok(Some(Made { cgroup, scope })),
        Err(error) => {
            match scope {
                Some(scope) => scope.undo(&cgroup),
                None => drop(cgroup.delete()),
            }
            Err(error)
        }
    }
}

fn limit(cgroup: &Cgroup, resources: Option<&LinuxResources>, forgiving: bool) -> anyhow::Result<()> {
    if let Some(resources) = resources {
        for skipped in cgroup.apply(resources, leniency())? {
            log::warn(&format!("{} is not in force: {}", skipped.field, skipped.reason));
        }
    }
    let rules = resources.and_then(|resources| resources.devices().as_deref()).unwrap_or_default();
    match cgroup.apply_devices(rules) {
        // Loading a BPF program needs a right of the host's; without mknod there are no devices to guard either.
        Err(error) if forgiving && lacks_rights(&error) => Ok(()),
        result => result.map_err(Into::into),
    }
}

/// The host's id of the user to whom the group is given: where the container has a cgroup namespace of its own and may write
/// to the groups that are mounted there.
fn owner(spec: &Spec) -> Option<u32> {
    let linux = spec.linux().as_ref()?;
    let made = |kind| {
        let mut all = linux.namespaces().iter().flatten();
        all.any(|namespace| namespace.typ() == kind && namespace.path().is_none())
    };
    let writable = spec.mounts().iter().flatten().any(|mount| {
        mount.destination() == Path::new("/sys/fs/cgroup")
            && matches!(mount.typ().as_deref(), Some("cgroup" | "cgroup2"))
            && !mount.options().iter().flatten().any(|option| option == "ro")
    });
    if !(made(LinuxNamespaceType::Cgroup) && writable) {
        return None;
    }
    let uid = spec.process().as_ref().map_or(0, |process| process.user().uid());
    let mut joined = linux.namespaces().iter().flatten();
    if !joined.any(|namespace| namespace.typ() == LinuxNamespaceType::User) {
        return Some(uid);
    }
    // A user without a mapping is refused elsewhere; what a namespace that is joined maps is not in the spec.
    linux.uid_mappings().iter().flatten().find_map(|map| {
        let offset = uid.checked_sub(map.container_id()).filter(|offset| *offset < map.size())?;
        map.host_id().checked_add(offset)
    })
}

fn give(cgroup: &Cgroup, uid: u32, forgiving: bool) -> anyhow::Result<()> {
    match cgroup.give(uid) {
        // An ordinary user can't give to others what is its own.
        Err(error) if forgiving && lacks_rights(&error) => Ok(()),
        result => result.map_err(Into::into),
    }
}

/// A limit whose controller is missing is an error, unless the caller says that it may be left out.
fn leniency() -> Leniency {
    match std::env::var_os("HUSK_LENIENT_CGROUP") {
        Some(value) if value == "1" => Leniency::Skip,
        _ => Leniency::Strict,
    }
}

fn forgives(global: &Global) -> bool {
    match global.rootless {
        Rootless::True => true,
        Rootless::False => false,
        Rootless::Auto => !rustix::process::geteuid().is_root() || in_user_namespace(),
    }
}

/// Whether husk runs in a user namespace other than the first: there root has few rights on the host's cgroups.
pub fn in_user_namespace() -> bool {
    std::fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| {
        let numbers: Vec<_> = map.split_whitespace().collect();
        numbers != ["0", "0", "4294967295"]
    })
}

fn lacks_rights(error: &husk_cgroup::Error) -> bool {
    let lacking = [Errno::ACCESS, Errno::PERM, Errno::ROFS].map(Errno::raw_os_error);
    error.errno().is_some_and(|errno| lacking.contains(&errno))
}

fn limits_anything(resources: &LinuxResources) -> bool {
    resources.memory().is_some()
        || resources.cpu().is_some()
        || resources.pids().is_some()
        || resources.block_io().is_some()
        || resources.unified().as_ref().is_some_and(|unified| !unified.is_empty())
}
