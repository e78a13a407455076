//! Which sysctls a pod may set: those of a namespace that it has for itself, one key, one value (CVE-2022-0811).

use husk_shim_api::Namespace;

/// Keys of the IPC namespace, beside `fs.mqueue.*`.
const IPC: [&str; 8] = ["sem", "msgmax", "msgmnb", "msgmni", "shmall", "shmmax", "shmmni", "shm_rmid_forced"];

/// A sysctl that a pod may not set.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SysctlError {
    /// Not of any namespace.
    #[error("sysctl {0:?} is not namespaced: it would change the node")]
    Node(String),
    /// Of a namespace that is the host's.
    #[error("sysctl {0:?} needs a {1} namespace of the pod's own")]
    Host(String, &'static str),
    /// Not a key.
    #[error("sysctl {0:?} is not a sysctl name")]
    Name(String),
    /// A value that would be read as more than one.
    #[error("value of sysctl {0:?} has a control character")]
    Value(String),
}

/// The path below /proc/sys, or why not. Names may use `.` or `/`; where the first separator is `/`, dots belong to
/// names (`net/ipv4/conf/eth0.100/forwarding`), as sysctl(8) has it.
pub fn check(name: &str, value: &str, own: &[Namespace]) -> Result<String, SysctlError> {
    let slashes = name.find(['.', '/']).is_some_and(|at| name.as_bytes()[at] == b'/');
    let parts: Vec<String> = if slashes {
        name.split('/').map(str::to_owned).collect()
    } else {
        name.split('.').map(|part| part.replace('/', ".")).collect()
    };
    let odd = |part: &String| {
        part.is_empty()
            || part == "."
            || part == ".."
            || part.chars().any(|c| c.is_whitespace() || c.is_control())
    };
    if parts.len() < 2 || parts.iter().any(odd) {
        return Err(SysctlError::Name(name.into()));
    }
    if value.chars().any(|c| c.is_control() && c != '\t') {
        return Err(SysctlError::Value(name.into()));
    }
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let needs = match parts.as_slice() {
        ["net", ..] => Namespace::Net,
        ["kernel", key] if IPC.contains(key) => Namespace::Ipc,
        ["fs", "mqueue", _] => Namespace::Ipc,
        _ => return Err(SysctlError::Node(name.into())),
    };
    if !own.contains(&needs) {
        return Err(SysctlError::Host(name.into(), if needs == Namespace::Net { "network" } else { "IPC" }));
    }
    Ok(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::{SysctlError, check};
    use husk_shim_api::Namespace::{Ipc, Net};

    #[test]
    fn namespaced_keys_pass() {
        let path = |name| check(name, "1", &[Net, Ipc]).unwrap();
        assert_eq!(path("net.ipv4.ip_unprivileged_port_start"), "net/ipv4/ip_unprivileged_port_start");
        assert_eq!(path("net/ipv4/conf/eth0.100/forwarding"), "net/ipv4/conf/eth0.100/forwarding");
        assert_eq!(path("net.ipv4.conf.eth0/100.forwarding"), "net/ipv4/conf/eth0.100/forwarding");
        assert_eq!(path("kernel.shm_rmid_forced"), "kernel/shm_rmid_forced");
        assert_eq!(path("fs.mqueue.msg_max"), "fs/mqueue/msg_max");
    }

    /// CVE-2022-0811: `+` in a value smuggled a second sysctl in; here a key is one path and a value one write.
    #[test]
    fn cve_2022_0811_nothing_else_passes() {
        let refused = |name: &str, value: &str| check(name, value, &[Net, Ipc]).unwrap_err();
        assert!(matches!(refused("kernel.core_pattern", "|/x"), SysctlError::Node(_)));
        assert!(matches!(refused("kernel.shm_rmid_forced.x", "1"), SysctlError::Node(_)));
        assert!(matches!(
            refused("kernel.shm_rmid_forced", "1\nkernel.core_pattern=x"),
            SysctlError::Value(_)
        ));
        assert!(matches!(refused("net/../kernel/core_pattern", "x"), SysctlError::Name(_)));
        // A slash in dotted notation stands for a dot in a name: `..` can't be made of it unseen.
        assert!(matches!(refused("net.//.kernel", "x"), SysctlError::Name(_)));
        assert!(matches!(refused("net", "x"), SysctlError::Name(_)));
        assert!(matches!(refused("", "x"), SysctlError::Name(_)));
        assert!(matches!(refused("net.ipv4.x y", "1"), SysctlError::Name(_)));
        assert!(matches!(check("net.ipv4.ip_forward", "1", &[Ipc]), Err(SysctlError::Host(..))));
        assert!(matches!(check("kernel.sem", "1", &[Net]), Err(SysctlError::Host(..))));
        // An own IPC namespace has no say over a pod's UTS name: that is the hostname's field.
        assert!(matches!(refused("kernel.hostname", "x"), SysctlError::Node(_)));
    }
}
