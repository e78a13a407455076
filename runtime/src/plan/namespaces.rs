//! Which namespaces are made, joined, or left to be the host's.

use super::{Error, Result, ids};
use oci_spec::runtime::{Linux, LinuxNamespaceType};
use rustix::thread::{LinkNameSpaceType, UnshareFlags};
use std::path::PathBuf;

/// Type of a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Mounts.
    Mount,
    /// cgroup root.
    Cgroup,
    /// Host name.
    Uts,
    /// System V IPC and POSIX message queues.
    Ipc,
    /// User and group ids, capabilities.
    User,
    /// Process ids.
    Pid,
    /// Network.
    Network,
    /// Monotonic and boot-time clocks.
    Time,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 8] =
        [Self::Mount, Self::Cgroup, Self::Uts, Self::Ipc, Self::User, Self::Pid, Self::Network, Self::Time];

    /// The type of the specification as ours.
    pub fn of(kind: LinuxNamespaceType) -> Self {
        match kind {
            LinuxNamespaceType::Mount => Self::Mount,
            LinuxNamespaceType::Cgroup => Self::Cgroup,
            LinuxNamespaceType::Uts => Self::Uts,
            LinuxNamespaceType::Ipc => Self::Ipc,
            LinuxNamespaceType::User => Self::User,
            LinuxNamespaceType::Pid => Self::Pid,
            LinuxNamespaceType::Network => Self::Network,
            LinuxNamespaceType::Time => Self::Time,
        }
    }

    /// The flag that makes one.
    pub fn flag(self) -> UnshareFlags {
        match self {
            Self::Mount => UnshareFlags::NEWNS,
            Self::Cgroup => UnshareFlags::NEWCGROUP,
            Self::Uts => UnshareFlags::NEWUTS,
            Self::Ipc => UnshareFlags::NEWIPC,
            Self::User => UnshareFlags::NEWUSER,
            Self::Pid => UnshareFlags::NEWPID,
            Self::Network => UnshareFlags::NEWNET,
            Self::Time => UnshareFlags::NEWTIME,
        }
    }

    /// The type that setns checks.
    pub fn link(self) -> LinkNameSpaceType {
        match self {
            Self::Mount => LinkNameSpaceType::Mount,
            Self::Cgroup => LinkNameSpaceType::ControlGroup,
            Self::Uts => LinkNameSpaceType::HostNameAndNISDomainName,
            Self::Ipc => LinkNameSpaceType::InterProcessCommunication,
            Self::User => LinkNameSpaceType::User,
            Self::Pid => LinkNameSpaceType::ProcessID,
            Self::Network => LinkNameSpaceType::Network,
            Self::Time => LinkNameSpaceType::Time,
        }
    }

    /// The specification's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Mount => "mount",
            Self::Cgroup => "cgroup",
            Self::Uts => "uts",
            Self::Ipc => "ipc",
            Self::User => "user",
            Self::Pid => "pid",
            Self::Network => "network",
            Self::Time => "time",
        }
    }
}

/// An offset of a clock in a new time namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeOffset {
    /// `monotonic` or `boottime`.
    pub clock: String,
    /// Seconds.
    pub secs: i64,
    /// Nanoseconds, below 10^9.
    pub nanosecs: u32,
}

/// Namespaces of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// To be made.
    pub new: Vec<Kind>,
    /// To be joined, by path.
    pub join: Vec<(Kind, PathBuf)>,
    /// Mappings of a new user namespace; for one that is joined, what the configuration says that they are.
    pub maps: ids::Maps,
    /// Offsets of a new time namespace.
    pub time_offsets: Vec<TimeOffset>,
}

impl Plan {
    /// Whether a namespace of this type is made.
    pub fn is_new(&self, kind: Kind) -> bool {
        self.new.contains(&kind)
    }

    /// Whether a namespace of this type is joined.
    pub fn is_joined(&self, kind: Kind) -> bool {
        self.join.iter().any(|(joined, _)| *joined == kind)
    }

    /// Whether the container does not share the creator's namespace of this type.
    pub fn has_own_or_joined(&self, kind: Kind) -> bool {
        self.is_new(kind) || self.is_joined(kind)
    }

    /// Flags for one clone3.
    pub fn clone_flags(&self) -> UnshareFlags {
        self.new.iter().filter(|kind| !self.is_late(**kind)).fold(UnshareFlags::empty(), |f, k| f | k.flag())
    }

    /// Flags of what the child makes itself.
    pub fn late_flags(&self) -> UnshareFlags {
        self.new.iter().filter(|kind| self.is_late(**kind)).fold(UnshareFlags::empty(), |f, k| f | k.flag())
    }

    /// A cgroup namespace would get the parent's group as its root, with `CLONE_INTO_CGROUP`; and the message queues of an
    /// IPC namespace belong to whoever makes it, who is nobody in a user namespace before the child is its root.
    fn is_late(&self, kind: Kind) -> bool {
        kind == Kind::Cgroup || (kind == Kind::Ipc && self.has_own_or_joined(Kind::User))
    }

    /// Whether a process in between is needed: a PID or time namespace is only entered by children; the namespaces
    /// that are made must belong to a user namespace that is joined; and what belongs to the host's user namespace
    /// must be joined before a new one is made.
    pub fn needs_stage(&self) -> bool {
        [Kind::Pid, Kind::Time, Kind::User].iter().any(|kind| self.is_joined(*kind))
            // Offsets can only be written before the first process is in the namespace.
            || self.is_new(Kind::Time)
            || (self.is_new(Kind::User) && !self.join.is_empty())
    }
}

/// Plans the namespaces.
pub fn plan(linux: &Linux) -> Result<Plan> {
    let mut plan = Plan::default();
    for (index, namespace) in linux.namespaces().iter().flatten().enumerate() {
        let kind = Kind::of(namespace.typ());
        if plan.has_own_or_joined(kind) {
            let problem = format!("is a second namespace of type {:?}", kind.word());
            return Err(Error::new(format!("linux.namespaces[{index}]"), problem));
        }
        match namespace.path() {
            Some(path) if !path.as_os_str().is_empty() => {
                if !path.is_absolute() {
                    let problem = format!("{:?} is not an absolute path", path.display());
                    return Err(Error::new(format!("linux.namespaces[{index}].path"), problem));
                }
                plan.join.push((kind, path.clone()));
            }
            _ => plan.new.push(kind),
        }
    }
    let uids = linux.uid_mappings().as_deref().unwrap_or_default();
    let gids = linux.gid_mappings().as_deref().unwrap_or_default();
    plan.maps = ids::Maps {
        uids: ids::plan("linux.uidMappings", uids)?,
        gids: ids::plan("linux.gidMappings", gids)?,
    };
    check_maps(&plan)?;
    plan.time_offsets = time_offsets(linux, &plan)?;
    Ok(plan)
}

fn check_maps(plan: &Plan) -> Result<()> {
    if plan.is_new(Kind::User) {
        for (field, ranges) in [("uidMappings", &plan.maps.uids), ("gidMappings", &plan.maps.gids)] {
            if ranges.is_empty() {
                let problem = "is missing: a new user namespace needs mappings";
                return Err(Error::new(format!("linux.{field}"), problem));
            }
        }
    } else if !plan.maps.is_empty() && !plan.is_joined(Kind::User) {
        return Err(Error::new(
            "linux.uidMappings",
            "has no effect without a user namespace in linux.namespaces",
        ));
    }
    Ok(())
}

fn time_offsets(linux: &Linux, plan: &Plan) -> Result<Vec<TimeOffset>> {
    let mut offsets = Vec::new();
    for (clock, offset) in linux.time_offsets().iter().flatten() {
        let path = format!("linux.timeOffsets.{clock}");
        if !["monotonic", "boottime"].contains(&clock.as_str()) {
            return Err(Error::new(path, "is not a clock that has offsets: use monotonic or boottime"));
        }
        let nanosecs = offset.nanosecs().unwrap_or(0);
        if nanosecs >= 1_000_000_000 {
            return Err(Error::new(format!("{path}.nanosecs"), format!("{nanosecs} is a second or more")));
        }
        offsets.push(TimeOffset { clock: clock.clone(), secs: offset.secs().unwrap_or(0), nanosecs });
    }
    if !offsets.is_empty() && !plan.is_new(Kind::Time) {
        return Err(Error::new("linux.timeOffsets", "needs a new time namespace in linux.namespaces"));
    }
    offsets.sort_by(|a, b| a.clock.cmp(&b.clock));
    Ok(offsets)
}

#[cfg(test)]
mod tests {
    use super::{Kind, plan};
    use oci_spec::runtime::Linux;

    fn linux(json: &str) -> Linux {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn new_joined_and_host() {
        let plan = plan(&linux(
            r#"{"namespaces":[{"type":"pid"},{"type":"network","path":"/run/netns/a"},{"type":"cgroup"}]}"#,
        ))
        .unwrap();
        assert!(plan.is_new(Kind::Pid) && plan.is_joined(Kind::Network));
        assert!(!plan.has_own_or_joined(Kind::Uts));
        assert_eq!(plan.clone_flags(), Kind::Pid.flag());
        assert!(!plan.needs_stage());
        assert_eq!(plan.late_flags(), Kind::Cgroup.flag());
    }

    #[test]
    fn a_process_in_between_only_where_it_must_be() {
        let needs = |json: &str| plan(&linux(json)).unwrap().needs_stage();
        let maps = r#""uidMappings":[{"containerID":0,"hostID":1,"size":1}],
            "gidMappings":[{"containerID":0,"hostID":1,"size":1}]"#;
        assert!(needs(r#"{"namespaces":[{"type":"pid","path":"/proc/1/ns/pid"}]}"#));
        assert!(needs(r#"{"namespaces":[{"type":"time"}]}"#));
        assert!(!needs(&format!(r#"{{"namespaces":[{{"type":"user"}}],{maps}}}"#)));
        let both = format!(r#"{{"namespaces":[{{"type":"user"}},{{"type":"network","path":"/n"}}],{maps}}}"#);
        assert!(needs(&both));
    }

    #[test]
    fn contradictions_name_their_place() {
        for (json, path) in [
            (r#"{"namespaces":[{"type":"pid"},{"type":"pid"}]}"#, "linux.namespaces[1]"),
            (r#"{"namespaces":[{"type":"pid","path":"rel"}]}"#, "linux.namespaces[0].path"),
            (r#"{"namespaces":[{"type":"user"}]}"#, "linux.uidMappings"),
            (r#"{"uidMappings":[{"containerID":0,"hostID":1,"size":1}]}"#, "linux.uidMappings"),
            (r#"{"timeOffsets":{"monotonic":{"secs":1}}}"#, "linux.timeOffsets"),
            (
                r#"{"namespaces":[{"type":"time"}],"timeOffsets":{"realtime":{"secs":1}}}"#,
                "linux.timeOffsets.realtime",
            ),
            (
                r#"{"namespaces":[{"type":"time"}],"timeOffsets":{"boottime":{"nanosecs":1000000000}}}"#,
                "linux.timeOffsets.boottime.nanosecs",
            ),
        ] {
            assert_eq!(plan(&linux(json)).unwrap_err().path, path, "{json}");
        }
    }
}
