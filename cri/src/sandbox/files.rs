//! Files that every container of a sandbox sees: resolv.conf, hosts, hostname. And its /dev/shm.

use std::fmt::Write;
use std::path::Path;

use husk_cri_api::{DnsConfig, PodSandboxConfig};
use rustix::mount::{MountFlags, mount};

use super::{host_network, hostname};
use crate::error::{Context, Result};

/// Bytes of a sandbox's /dev/shm, as the field's other runtimes have it.
const SHM: &std::ffi::CStr = c"mode=1777,size=67108864";

/// Writes the files into `dir`.
pub fn write(dir: &Path, config: &PodSandboxConfig) -> Result<()> {
    let put = |name: &str, text: &[u8]| {
        let path = dir.join(name);
        std::fs::write(&path, text).on("write", path.display().to_string())
    };
    let name = hostname(config);
    put("hostname", format!("{name}\n").as_bytes())?;
    let of_host = |name: &str| std::fs::read(Path::new("/etc").join(name)).unwrap_or_default();
    match host_network(config) {
        true => put("hosts", &of_host("hosts"))?,
        false => put("hosts", hosts(&name).as_bytes())?,
    }
    match &config.dns_config {
        Some(dns) => put("resolv.conf", resolv_conf(dns).as_bytes()),
        None => put("resolv.conf", &of_host("resolv.conf")),
    }
}

/// Mounts the sandbox's /dev/shm.
pub fn mount_shm(dir: &Path) -> Result<()> {
    let shown = dir.display().to_string();
    std::fs::create_dir_all(dir).on("create", &shown)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("shm", dir, "tmpfs", flags, SHM).on("mount tmpfs on", shown)
}

fn hosts(name: &str) -> String {
    let base = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n";
    if name.is_empty() || name == "localhost" { base.into() } else { format!("{base}127.0.1.1\t{name}\n") }
}

fn resolv_conf(dns: &DnsConfig) -> String {
    let mut text = String::new();
    if !dns.searches.is_empty() {
        let _ = writeln!(text, "search {}", dns.searches.join(" "));
    }
    for server in &dns.servers {
        let _ = writeln!(text, "nameserver {server}");
    }
    if !dns.options.is_empty() {
        let _ = writeln!(text, "options {}", dns.options.join(" "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolv_conf_has_a_line_for_each_thing_asked_for() {
        let dns = DnsConfig {
            servers: vec!["10.0.0.1".into(), "10.0.0.2".into()],
            searches: vec!["a.example".into(), "b.example".into()],
            options: vec!["ndots:5".into()],
        };
        let text = "search a.example b.example\nnameserver 10.0.0.1\nnameserver 10.0.0.2\noptions ndots:5\n";
        assert_eq!(resolv_conf(&dns), text);
        assert_eq!(resolv_conf(&DnsConfig::default()), "");
    }
}
