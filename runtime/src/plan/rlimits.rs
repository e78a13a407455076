//! Resource limits of the process.

use super::{Error, Result};
use oci_spec::runtime::{PosixRlimit, PosixRlimitType as Type};
use rustix::process::{Resource, Rlimit};

/// One limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Index in `process.rlimits`.
    pub index: usize,
    /// The specification's name.
    pub name: String,
    /// Which one.
    pub resource: Resource,
    /// Soft and hard limit; none is no limit.
    pub limit: Rlimit,
}

/// Plans the limits.
pub fn plan(limits: &[PosixRlimit]) -> Result<Vec<Limit>> {
    let mut planned: Vec<Limit> = Vec::new();
    for (index, limit) in limits.iter().enumerate() {
        let resource = resource(limit.typ());
        let name = limit.typ().to_string();
        if planned.iter().any(|other| other.resource == resource) {
            let problem = format!("{name} is there twice");
            return Err(Error::new(format!("process.rlimits[{index}].type"), problem));
        }
        if limit.soft() > limit.hard() {
            let problem = format!("{} is more than the hard limit {} of {name}", limit.soft(), limit.hard());
            return Err(Error::new(format!("process.rlimits[{index}].soft"), problem));
        }
        let value = |limit: u64| (limit != u64::MAX).then_some(limit);
        let limit = Rlimit { current: value(limit.soft()), maximum: value(limit.hard()) };
        planned.push(Limit { index, name, resource, limit });
    }
    Ok(planned)
}

fn resource(kind: Type) -> Resource {
    match kind {
        Type::RlimitCpu => Resource::Cpu,
        Type::RlimitFsize => Resource::Fsize,
        Type::RlimitData => Resource::Data,
        Type::RlimitStack => Resource::Stack,
        Type::RlimitCore => Resource::Core,
        Type::RlimitRss => Resource::Rss,
        Type::RlimitNproc => Resource::Nproc,
        Type::RlimitNofile => Resource::Nofile,
        Type::RlimitMemlock => Resource::Memlock,
        Type::RlimitAs => Resource::As,
        Type::RlimitLocks => Resource::Locks,
        Type::RlimitSigpending => Resource::Sigpending,
        Type::RlimitMsgqueue => Resource::Msgqueue,
        Type::RlimitNice => Resource::Nice,
        Type::RlimitRtprio => Resource::Rtprio,
        Type::RlimitRttime => Resource::Rttime,
    }
}

#[cfg(test)]
mod tests {
    use super::plan;

    #[test]
    fn limits_are_checked() {
        let parse = |json: &str| plan(&serde_json::from_str::<Vec<_>>(json).unwrap());
        let limits = parse(r#"[{"type":"RLIMIT_CORE","soft":0,"hard":18446744073709551615}]"#).unwrap();
        assert_eq!((limits[0].limit.current, limits[0].limit.maximum), (Some(0), None));
        let error = parse(r#"[{"type":"RLIMIT_CORE","soft":2,"hard":1}]"#).unwrap_err();
        assert_eq!(error.path, "process.rlimits[0].soft");
        let twice = r#"[{"type":"RLIMIT_AS","soft":1,"hard":1},{"type":"RLIMIT_AS","soft":1,"hard":1}]"#;
        assert_eq!(parse(twice).unwrap_err().path, "process.rlimits[1].type");
    }
}
