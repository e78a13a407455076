//! Mounts: what the options of a mount mean for the kernel.

use super::{
    Error, Result, ids,
    namespaces::{self, Kind},
};
use oci_spec::runtime::Mount as OciMount;
use rustix::mount::{MountAttrFlags, MountPropagationFlags};
use std::path::{Component, Path, PathBuf};

/// What is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file or directory of the host.
    Bind {
        /// Absolute path on the host.
        path: PathBuf,
        /// With everything that is mounted below it.
        recursive: bool,
    },
    /// A new file system.
    Filesystem {
        /// Its type.
        kind: String,
        /// Its source.
        source: String,
        /// Its options: index in `options`, key, value.
        options: Vec<(usize, String, Option<String>)>,
    },
    /// The container's own view of cgroup2.
    Cgroup,
    /// Nothing new: other options for what is mounted at the destination already.
    Remount {
        /// Options of the file system: index in `options`, key, value.
        options: Vec<(usize, String, Option<String>)>,
    },
}

/// Change of attributes: bits set and bits cleared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Bits to set.
    pub set: MountAttrFlags,
    /// Bits to clear.
    pub clear: MountAttrFlags,
}

impl Change {
    const NONE: Self = Self { set: MountAttrFlags::empty(), clear: MountAttrFlags::empty() };

    /// Whether nothing changes.
    pub fn is_empty(self) -> bool {
        self.set.is_empty() && self.clear.is_empty()
    }

    fn set(&mut self, bits: MountAttrFlags) {
        self.set |= bits;
        self.clear -= bits;
    }

    fn clear(&mut self, bits: MountAttrFlags) {
        self.clear |= bits;
        self.set -= bits;
    }

    /// The three ways of access times are one number in the attributes, not bits: setting one clears the others.
    fn access_time(&mut self, mode: MountAttrFlags) {
        self.set -= ACCESS_TIME;
        self.set |= mode;
        self.clear |= ACCESS_TIME;
    }
}

/// MOUNT_ATTR__ATIME
const ACCESS_TIME: MountAttrFlags = MountAttrFlags::MOUNT_ATTR__ATIME;

/// Id mapping of a mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdMap {
    /// The mappings; none where the container's are to be used.
    pub maps: Option<ids::Maps>,
    /// Whether mounts below are mapped too.
    pub recursive: bool,
}

/// One mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Index in `mounts` of config.json.
    pub index: usize,
    /// Absolute path in the container, without `.` and `..`.
    pub destination: PathBuf,
    /// What is mounted.
    pub source: Source,
    /// Attributes of this mount.
    pub attributes: Change,
    /// Attributes of this mount and those below.
    pub recursive: Change,
    /// Propagation types to set, in order, and whether recursively.
    pub propagation: Vec<(MountPropagationFlags, bool)>,
    /// Copy what is at the destination into the new file system.
    pub copy_up: bool,
    /// Id mapping.
    pub idmap: Option<IdMap>,
}

impl Mount {
    /// Whether the mount is read-only in the end, though it may have to be filled first.
    pub fn is_readonly(&self) -> bool {
        self.attributes.set.contains(MountAttrFlags::MOUNT_ATTR_RDONLY)
    }

    /// `mounts[2] (/data)`, for messages.
    pub fn place(&self) -> String {
        format!("mounts[{}] ({})", self.index, self.destination.display())
    }
}

/// Plans all mounts.
pub fn plan(mounts: &[OciMount], namespaces: &namespaces::Plan) -> Result<Vec<Mount>> {
    mounts.iter().enumerate().map(|(index, mount)| one(index, mount, namespaces)).collect()
}

fn one(index: usize, mount: &OciMount, namespaces: &namespaces::Plan) -> Result<Mount> {
    let at = |field: &str| format!("mounts[{index}].{field}");
    if mount.destination().as_os_str().is_empty() {
        return Err(Error::new(at("destination"), "is empty"));
    }
    let destination = normalize(mount.destination());
    if destination == Path::new("/") {
        return Err(Error::new(at("destination"), "is the root itself"));
    }
    let mut parsed = Parsed::default();
    for (number, option) in mount.options().iter().flatten().enumerate() {
        parsed.option(number, option);
    }
    let kind = mount.typ().as_deref().unwrap_or_default();
    let source = match (parsed.bind, kind) {
        (Some(_), _) if parsed.remount => Source::Remount { options: Vec::new() },
        (None, _) if parsed.remount => Source::Remount { options: parsed.other.clone() },
        (Some(recursive), _) => bind(index, mount, recursive)?,
        (None, "bind") => bind(index, mount, false)?,
        (None, "") => {
            return Err(Error::new(at("type"), "is missing, and options have neither bind nor rbind"));
        }
        (None, "cgroup" | "cgroup2") => Source::Cgroup,
        (None, kind) => Source::Filesystem {
            kind: kind.to_owned(),
            source: mount.source().as_ref().map_or_else(|| kind.to_owned(), |s| s.display().to_string()),
            options: parsed.other.clone(),
        },
    };
    if let Source::Bind { .. } = source
        && let Some((number, key, _)) = parsed.other.iter().find(|(_, key, _)| !for_other_tools(key))
    {
        let problem = format!("{key:?} is not an option of a bind mount");
        return Err(Error::new(format!("mounts[{index}].options[{number}]"), problem));
    }
    if parsed.copy_up && kind != "tmpfs" {
        return Err(Error::new(at("options"), "has tmpcopyup, which is for type tmpfs only"));
    }
    let idmap = idmap(index, mount, &parsed, &source, namespaces)?;
    Ok(Mount {
        index,
        destination,
        source,
        attributes: parsed.attributes,
        recursive: parsed.recursive,
        propagation: parsed.propagation,
        copy_up: parsed.copy_up,
        idmap,
    })
}

fn bind(index: usize, mount: &OciMount, recursive: bool) -> Result<Source> {
    match mount.source() {
        Some(path) if !path.as_os_str().is_empty() => Ok(Source::Bind { path: path.clone(), recursive }),
        _ => Err(Error::new(format!("mounts[{index}].source"), "is missing: a bind mount needs one")),
    }
}

fn idmap(
    index: usize,
    mount: &OciMount,
    parsed: &Parsed,
    source: &Source,
    namespaces: &namespaces::Plan,
) -> Result<Option<IdMap>> {
    let at = |field: &str| format!("mounts[{index}].{field}");
    let uids = ids::plan(&at("uidMappings"), mount.uid_mappings().as_deref().unwrap_or_default())?;
    let gids = ids::plan(&at("gidMappings"), mount.gid_mappings().as_deref().unwrap_or_default())?;
    let maps = ids::Maps { uids, gids };
    if maps.is_empty() && parsed.idmap.is_none() {
        return Ok(None);
    }
    if !matches!(source, Source::Bind { .. }) {
        return Err(Error::new(at("options"), "an id mapping is for bind mounts only"));
    }
    if maps.is_empty() && !namespaces.has_own_or_joined(Kind::User) {
        let problem =
            "idmap without mappings of the mount needs a user namespace, whose mappings are then used";
        return Err(Error::new(at("options"), problem));
    }
    if !maps.is_empty() && (maps.uids.is_empty() || maps.gids.is_empty()) {
        let field = if maps.uids.is_empty() { "uidMappings" } else { "gidMappings" };
        return Err(Error::new(at(field), "is missing: both kinds of mappings must be there, or none"));
    }
    Ok(Some(IdMap { maps: (!maps.is_empty()).then_some(maps), recursive: parsed.idmap.unwrap_or(false) }))
}

/// Options of fstab and of container engines that mean nothing to the kernel.
fn for_other_tools(key: &str) -> bool {
    key.starts_with("x-")
        || [
            "defaults", "nofail", "noauto", "auto", "_netdev", "user", "nouser", "users", "z", "Z", "U",
            "copy",
        ]
        .contains(&key)
        || ["nocopy", "comment", "owner", "group", "nosharecache"].contains(&key)
        // mount(2) passes over these where nothing new is made.
        || ["sync", "dirsync", "lazytime", "mand"].contains(&key)
}

#[derive(Debug)]
struct Parsed {
    attributes: Change,
    recursive: Change,
    propagation: Vec<(MountPropagationFlags, bool)>,
    bind: Option<bool>,
    copy_up: bool,
    idmap: Option<bool>,
    remount: bool,
    other: Vec<(usize, String, Option<String>)>,
}

impl Default for Parsed {
    fn default() -> Self {
        Self {
            attributes: Change::NONE,
            recursive: Change::NONE,
            propagation: Vec::new(),
            bind: None,
            copy_up: false,
            idmap: None,
            remount: false,
            other: Vec::new(),
        }
    }
}

impl Parsed {
    fn option(&mut self, number: usize, option: &str) {
        if attribute(&mut self.attributes, option) {
            return;
        }
        match option {
            "bind" => self.bind = Some(self.bind.unwrap_or(false)),
            "rbind" => self.bind = Some(true),
            "tmpcopyup" => self.copy_up = true,
            "idmap" => self.idmap = Some(self.idmap.unwrap_or(false)),
            "ridmap" => self.idmap = Some(true),
            "remount" => self.remount = true,
            // The kernel counts changes of inodes by itself, or not, whatever is asked for; what is quiet is said to nobody.
            "defaults" | "" | "loud" | "silent" | "iversion" | "noiversion" => {}
            // Of a file system: the last one counts.
            "async" | "nomand" | "nolazytime" => {
                let opposite = match option {
                    "async" => "sync",
                    "nomand" => "mand",
                    _ => "lazytime",
                };
                self.other.retain(|(_, key, _)| key != opposite);
            }
            _ => {
                if let Some((kind, recursive)) = propagation(option) {
                    self.propagation.push((kind, recursive));
                } else if let Some(rest) = option.strip_prefix('r')
                    && attribute(&mut self.recursive, rest)
                {
                } else {
                    let (key, value) = match option.split_once('=') {
                        // Quotes are for mount(2), where a comma in a label would end the option.
                        Some((key, value)) if key.ends_with("context") => {
                            (key, Some(value.trim_matches('"').to_owned()))
                        }
                        Some((key, value)) => (key, Some(value.to_owned())),
                        None => (option, None),
                    };
                    self.other.push((number, key.to_owned(), value));
                }
            }
        }
    }
}

/// Takes an attribute option; false when it is none.
fn attribute(change: &mut Change, option: &str) -> bool {
    use MountAttrFlags as A;
    match option {
        "ro" => change.set(A::MOUNT_ATTR_RDONLY),
        "rw" => change.clear(A::MOUNT_ATTR_RDONLY),
        "nosuid" => change.set(A::MOUNT_ATTR_NOSUID),
        "suid" => change.clear(A::MOUNT_ATTR_NOSUID),
        "nodev" => change.set(A::MOUNT_ATTR_NODEV),
        "dev" => change.clear(A::MOUNT_ATTR_NODEV),
        "noexec" => change.set(A::MOUNT_ATTR_NOEXEC),
        "exec" => change.clear(A::MOUNT_ATTR_NOEXEC),
        "nodiratime" => change.set(A::MOUNT_ATTR_NODIRATIME),
        "diratime" => change.clear(A::MOUNT_ATTR_NODIRATIME),
        "nosymfollow" => change.set(A::MOUNT_ATTR_NOSYMFOLLOW),
        "symfollow" => change.clear(A::MOUNT_ATTR_NOSYMFOLLOW),
        "noatime" => change.access_time(A::MOUNT_ATTR_NOATIME),
        "strictatime" => change.access_time(A::MOUNT_ATTR_STRICTATIME),
        // Relative is the kernel's default, so "not strict" and "not none" come to it.
        "relatime" | "atime" | "norelatime" | "nostrictatime" => change.access_time(A::MOUNT_ATTR_RELATIME),
        _ => return false,
    }
    true
}

/// A propagation option.
pub fn propagation(option: &str) -> Option<(MountPropagationFlags, bool)> {
    Some(match option {
        "private" => (MountPropagationFlags::PRIVATE, false),
        "rprivate" => (MountPropagationFlags::PRIVATE, true),
        "slave" => (MountPropagationFlags::DOWNSTREAM, false),
        "rslave" => (MountPropagationFlags::DOWNSTREAM, true),
        "shared" => (MountPropagationFlags::SHARED, false),
        "rshared" => (MountPropagationFlags::SHARED, true),
        "unbindable" => (MountPropagationFlags::UNBINDABLE, false),
        "runbindable" => (MountPropagationFlags::UNBINDABLE, true),
        _ => return None,
    })
}

/// Destinations may be given as paths of the host in the root filesystem, as runc takes them, too.
pub fn strip_root(mounts: &mut [Mount], rootfs: &Path) -> Result<()> {
    for mount in mounts {
        if let Some(inner) = below(rootfs, &mount.destination) {
            if inner == Path::new("/") {
                return Err(Error::new(format!("mounts[{}].destination", mount.index), "is the root itself"));
            }
            mount.destination = inner;
        }
    }
    Ok(())
}

/// The path in the container of a path of the host; none for what is outside of the root filesystem. Where that is the host's
/// own root, a path says nothing.
pub fn below(rootfs: &Path, path: &Path) -> Option<PathBuf> {
    let rootfs = normalize(rootfs);
    if rootfs == Path::new("/") {
        return None;
    }
    path.strip_prefix(rootfs).ok().map(|rest| Path::new("/").join(rest))
}

/// A path in the container: absolute (a relative one counts from `/`), without `.` and `..`.
pub fn normalize(path: &Path) -> PathBuf {
    let mut out = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::Normal(name) => out.push(name),
            Component::ParentDir => {
                out.pop();
            }
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    out
}

#[cfg(test)]
#[path = "mounts_tests.rs"]
mod tests;
