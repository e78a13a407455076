//! Kernel parameters: only those that belong to a namespace of the container may be set (CVE-2022-0811's class).

use super::{
    Error, Result,
    namespaces::{self, Kind},
};
use std::{
    collections::HashMap,
    path::{Component, Path, PathBuf},
};

/// Parameters of the IPC namespace.
const IPC: [&str; 8] = [
    "kernel/msgmax",
    "kernel/msgmnb",
    "kernel/msgmni",
    "kernel/sem",
    "kernel/shmall",
    "kernel/shmmax",
    "kernel/shmmni",
    "kernel/shm_rmid_forced",
];

/// Plans the parameters: path below /proc/sys and value, sorted by path.
pub fn plan(
    sysctls: Option<&HashMap<String, String>>,
    domainname: Option<&str>,
    namespaces: &namespaces::Plan,
) -> Result<Vec<(PathBuf, String)>> {
    let mut planned = Vec::new();
    for (key, value) in sysctls.into_iter().flatten() {
        let at = || format!("linux.sysctl[{key:?}]");
        let path = path(key);
        if path.components().any(|part| !matches!(part, Component::Normal(_))) || key.contains('\0') {
            return Err(Error::new(at(), "is not the name of a kernel parameter"));
        }
        // One key, one value: a file below /proc/sys takes the first line; more is not what anybody means.
        if value.contains(['\n', '\0']) {
            return Err(Error::new(at(), format!("{value:?} has a line break in it")));
        }
        let text = path.to_string_lossy();
        let needed = if IPC.contains(&text.as_ref()) || text.starts_with("fs/mqueue/") {
            Kind::Ipc
        } else if text.starts_with("net/") {
            Kind::Network
        } else if text == "kernel/domainname" || text == "kernel/hostname" {
            Kind::Uts
        } else if text.starts_with("user/") {
            Kind::User
        } else {
            return Err(Error::new(at(), "is not in a namespace: it would change the host"));
        };
        if !namespaces.has_own_or_joined(needed) {
            let problem =
                format!("needs a {} namespace in linux.namespaces: it would change the host", needed.word());
            return Err(Error::new(at(), problem));
        }
        if text == "kernel/hostname" {
            return Err(Error::new(at(), "is set by the hostname field"));
        }
        if text == "kernel/domainname" && domainname.is_some_and(|name| name != value) {
            return Err(Error::new(at(), format!("{value:?} is not what the domainname field says")));
        }
        planned.push((path, value.clone()));
    }
    planned.sort();
    Ok(planned)
}

/// `net.ipv4.ip_forward` and `net/ipv4/ip_forward` mean the same; as for sysctl(8), the first separator decides, and
/// the other character then stands for itself, swapped.
fn path(key: &str) -> PathBuf {
    let slash_first = key.find(['.', '/']).is_some_and(|at| key.as_bytes().get(at) == Some(&b'/'));
    if slash_first {
        return Path::new(key).to_path_buf();
    }
    let swapped: String = key
        .chars()
        .map(|c| {
            if c == '.' {
                '/'
            } else if c == '/' {
                '.'
            } else {
                c
            }
        })
        .collect();
    PathBuf::from(swapped)
}

#[cfg(test)]
mod tests {
    use super::{namespaces, path, plan};
    use crate::plan::namespaces::Kind;
    use std::{collections::HashMap, path::Path};

    fn try_one(key: &str, value: &str) -> super::Result<()> {
        let namespaces =
            namespaces::Plan { new: vec![Kind::Network, Kind::Ipc], ..namespaces::Plan::default() };
        plan(Some(&HashMap::from([(key.to_owned(), value.to_owned())])), None, &namespaces).map(|_| ())
    }

    #[test]
    fn a_domainname_is_told_once_or_twice_the_same() {
        let namespaces = namespaces::Plan { new: vec![Kind::Uts], ..namespaces::Plan::default() };
        let sysctls = HashMap::from([("kernel.domainname".to_owned(), "a".to_owned())]);
        for (domainname, valid) in [(None, true), (Some("a"), true), (Some("b"), false)] {
            assert_eq!(plan(Some(&sysctls), domainname, &namespaces).is_ok(), valid, "{domainname:?}");
        }
    }

    #[test]
    fn both_separators() {
        assert_eq!(path("net.ipv4.conf.eth0/1.forwarding"), Path::new("net/ipv4/conf/eth0.1/forwarding"));
        assert_eq!(path("net/ipv4/conf/eth0.1/forwarding"), Path::new("net/ipv4/conf/eth0.1/forwarding"));
    }

    #[test]
    fn only_parameters_of_own_namespaces() {
        assert!(try_one("net.ipv4.ip_forward", "1").is_ok());
        assert!(try_one("kernel.shmmax", "1").is_ok());
        assert!(try_one("fs.mqueue.msg_max", "1").is_ok());
        for (key, value) in [
            ("kernel.core_pattern", "|/evil"),
            ("vm.overcommit_memory", "1"),
            ("net.ipv4.ip_forward", "1\nkernel.core_pattern=|/evil"),
            ("net/../kernel/core_pattern", "x"),
            ("/kernel/core_pattern", "x"),
            ("kernel.domainname", "x"),
            ("", "x"),
        ] {
            assert!(try_one(key, value).is_err(), "{key}");
        }
    }
}
