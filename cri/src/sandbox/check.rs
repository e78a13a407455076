//! What a sandbox's config must say before anything is made.

use std::net::IpAddr;
use std::path::{Component, Path};

use husk_cni::PortMapping;
use husk_cri_api::{NamespaceMode, PodSandboxConfig, Protocol};

use super::namespace_options;
use crate::error::{Error, Result};
use crate::spec;

/// HOST_NAME_MAX of Linux.
const HOSTNAME_MAX: usize = 64;

/// Refuses a config that can't be carried out.
pub fn config(config: &PodSandboxConfig) -> Result<()> {
    let metadata = config.metadata.as_ref().ok_or_else(|| Error::missing("config.metadata"))?;
    if metadata.name.is_empty() {
        return Err(Error::missing("config.metadata.name"));
    }
    if config.windows.is_some() {
        return Err(Error::invalid("config.windows", "this is a Linux node"));
    }
    if !config.log_directory.is_empty() {
        plain_path("config.log_directory", &config.log_directory)?;
    }
    if config.hostname.len() > HOSTNAME_MAX || config.hostname.contains(['\0', '\n', '/']) {
        let why = format!("{:?} is no hostname of at most {HOSTNAME_MAX} bytes", config.hostname);
        return Err(Error::invalid("config.hostname", why));
    }
    for (name, lines) in dns(config) {
        if let Some(bad) = lines.iter().find(|line| line.contains(['\n', '\0'])) {
            return Err(Error::invalid(
                format!("config.dns_config.{name}"),
                format!("{bad:?} is more than a line"),
            ));
        }
    }
    spec::check_namespaces(
        "config.linux.security_context.namespace_options",
        &namespace_options(config),
        true,
    )?;
    ports(config)?;
    if let Some(linux) = &config.linux {
        if !linux.cgroup_parent.is_empty() {
            plain_path("config.linux.cgroup_parent", &linux.cgroup_parent)?;
        }
        for (key, value) in &linux.sysctls {
            sysctl(config, key, value)?;
        }
    }
    Ok(())
}

fn dns(config: &PodSandboxConfig) -> [(&'static str, &[String]); 3] {
    match &config.dns_config {
        Some(dns) => [("servers", &dns.servers), ("searches", &dns.searches), ("options", &dns.options)],
        None => [("servers", &[]), ("searches", &[]), ("options", &[])],
    }
}

fn plain_path(field: &str, path: &str) -> Result<()> {
    let bad = Path::new(path).components().any(|part| matches!(part, Component::ParentDir));
    if bad || !path.starts_with('/') || path.contains('\0') {
        return Err(Error::invalid(field, format!("{path:?} is not an absolute path without \"..\"")));
    }
    Ok(())
}

/// The client's port mappings for CNI.
pub fn ports(config: &PodSandboxConfig) -> Result<Vec<PortMapping>> {
    let mut out = Vec::new();
    for (index, port) in config.port_mappings.iter().enumerate() {
        let field = |name: &str| format!("config.port_mappings[{index}].{name}");
        let number = |name: &str, value: i32| {
            u16::try_from(value).map_err(|_| Error::invalid(field(name), format!("{value} is no port")))
        };
        let protocol = match Protocol::try_from(port.protocol) {
            Ok(Protocol::Tcp) => "tcp",
            Ok(Protocol::Udp) => "udp",
            Ok(Protocol::Sctp) => "sctp",
            Err(_) => {
                return Err(Error::invalid(field("protocol"), format!("no protocol {}", port.protocol)));
            }
        };
        let host_ip = match port.host_ip.as_str() {
            "" => None,
            text => {
                let ip: Result<IpAddr, _> = text.parse();
                Some(ip.map_err(|_| Error::invalid(field("host_ip"), format!("{text:?} is no address")))?)
            }
        };
        out.push(PortMapping {
            host_port: number("host_port", port.host_port)?,
            container_port: number("container_port", port.container_port)?,
            protocol,
            host_ip,
        });
    }
    Ok(out)
}

/// Only keys of a namespace that the pod has for itself, and one value each (CVE-2022-0811).
fn sysctl(config: &PodSandboxConfig, key: &str, value: &str) -> Result<()> {
    let field = format!("config.linux.sysctls[{key:?}]");
    let dotted = key.replace('/', ".");
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if !dotted.chars().all(plain) || dotted.split('.').any(str::is_empty) {
        return Err(Error::invalid(field, "is no sysctl name"));
    }
    if value.contains(['\n', '\0']) {
        return Err(Error::invalid(field, format!("{value:?} is more than one value")));
    }
    let options = namespace_options(config);
    let ipc = ["kernel.shm", "kernel.msg", "kernel.sem", "fs.mqueue."].iter().any(|p| dotted.starts_with(p));
    let host = if ipc {
        options.ipc() == NamespaceMode::Node
    } else if dotted.starts_with("net.") {
        options.network() == NamespaceMode::Node
    } else {
        return Err(Error::invalid(field, "is not namespaced: it would change the host"));
    };
    if host {
        return Err(Error::invalid(field, "would change the host, whose namespace this pod uses"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use husk_cri_api::{DnsConfig, LinuxPodSandboxConfig, PodSandboxMetadata, PortMapping as CriPort};

    use super::*;

    fn good() -> PodSandboxConfig {
        let metadata = PodSandboxMetadata { name: "p".into(), ..Default::default() };
        PodSandboxConfig { metadata: Some(metadata), ..Default::default() }
    }

    fn sysctls(key: &str, value: &str) -> PodSandboxConfig {
        let sysctls = [(key.to_owned(), value.to_owned())].into();
        PodSandboxConfig { linux: Some(LinuxPodSandboxConfig { sysctls, ..Default::default() }), ..good() }
    }

    #[test]
    fn each_bad_value_is_an_error_that_names_its_field() {
        config(&good()).unwrap();
        let bad = |c: PodSandboxConfig| config(&c).unwrap_err().to_string();
        assert!(bad(PodSandboxConfig::default()).starts_with("config.metadata:"));
        assert!(
            bad(PodSandboxConfig { log_directory: "/a/../b".into(), ..good() }).contains("log_directory")
        );
        assert!(bad(PodSandboxConfig { hostname: "a\nb".into(), ..good() }).contains("hostname"));
        let dns = DnsConfig { servers: vec!["1.1.1.1\nnameserver 6.6.6.6".into()], ..Default::default() };
        assert!(bad(PodSandboxConfig { dns_config: Some(dns), ..good() }).contains("dns_config.servers"));
        let port = CriPort { host_port: 70_000, ..Default::default() };
        assert!(
            bad(PodSandboxConfig { port_mappings: vec![port], ..good() })
                .contains("port_mappings[0].host_port")
        );
    }

    #[test]
    fn only_namespaced_sysctls_pass() {
        for (key, value) in [("net.ipv4.ip_forward", "1"), ("kernel/shmmax", "1"), ("fs.mqueue.msg_max", "9")]
        {
            config(&sysctls(key, value)).unwrap();
        }
        for (key, value) in [
            ("kernel.core_pattern", "|/x"),
            ("kernel.shm_rmid_forced", "1\n2"),
            ("net.ipv4/../../kernel/core_pattern", "x"),
            ("vm.swappiness", "1"),
        ] {
            assert!(config(&sysctls(key, value)).is_err(), "{key}");
        }
    }
}
