//! What the caller asks for: one interface of one sandbox.

use std::net::IpAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::error::Error;

/// One interface of one sandbox.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// The sandbox's id (`CNI_CONTAINERID`).
    pub id: String,
    /// Path of its network namespace (`CNI_NETNS`).
    pub netns: PathBuf,
    /// Name of the interface inside (`CNI_IFNAME`); empty stands for `eth0`.
    pub ifname: String,
    /// Key-value pairs for `CNI_ARGS`; see [`Attachment::kubernetes`].
    pub args: Vec<(String, String)>,
    /// Values for capabilities by name; a plugin gets those that it declares.
    pub capabilities: Map<String, Value>,
}

/// A port of the node that leads to a port of the sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortMapping {
    /// Port on the node; 0 means that none was asked for and the mapping is left out.
    pub host_port: u16,
    /// Port in the sandbox.
    pub container_port: u16,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: &'static str,
    /// Address on the node; all of them if absent.
    pub host_ip: Option<IpAddr>,
}

/// Rates in bits per second, bursts in bits; 0 means no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bandwidth {
    /// Towards the sandbox.
    pub ingress_rate: u64,
    /// Towards the sandbox.
    pub ingress_burst: u64,
    /// From the sandbox.
    pub egress_rate: u64,
    /// From the sandbox.
    pub egress_burst: u64,
}

/// Resolver settings for plugins with the `dns` capability.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dns {
    /// Name servers.
    pub servers: Vec<String>,
    /// Search domains.
    pub searches: Vec<String>,
    /// resolv.conf options.
    pub options: Vec<String>,
}

impl Attachment {
    /// The interface `eth0` of sandbox `id` in `netns`.
    pub fn new(id: impl Into<String>, netns: impl Into<PathBuf>) -> Self {
        Self { id: id.into(), netns: netns.into(), ifname: "eth0".into(), ..Self::default() }
    }

    /// Adds the `K8S_POD_*` arguments that Kubernetes' plugins expect.
    #[must_use]
    pub fn kubernetes(mut self, namespace: &str, name: &str, uid: &str) -> Self {
        let pairs = [
            ("IgnoreUnknown", "1"),
            ("K8S_POD_NAMESPACE", namespace),
            ("K8S_POD_NAME", name),
            ("K8S_POD_INFRA_CONTAINER_ID", &self.id),
            ("K8S_POD_UID", uid),
        ];
        let pairs = pairs.map(|(k, v)| (k.to_owned(), v.to_owned()));
        self.args.extend(pairs);
        self
    }

    /// Sets capability `portMappings`.
    #[must_use]
    pub fn port_mappings(mut self, ports: &[PortMapping]) -> Self {
        let wanted: Vec<_> = ports.iter().filter(|p| p.host_port != 0).map(PortMapping::to_json).collect();
        if !wanted.is_empty() {
            self.capabilities.insert("portMappings".into(), Value::Array(wanted));
        }
        self
    }

    /// Sets capability `bandwidth`.
    #[must_use]
    pub fn bandwidth(mut self, limit: Bandwidth) -> Self {
        if limit != Bandwidth::default() {
            let value = json!({
                "ingressRate": limit.ingress_rate, "ingressBurst": limit.ingress_burst,
                "egressRate": limit.egress_rate, "egressBurst": limit.egress_burst,
            });
            self.capabilities.insert("bandwidth".into(), value);
        }
        self
    }

    /// Sets capability `dns`.
    #[must_use]
    pub fn dns(mut self, dns: &Dns) -> Self {
        if *dns != Dns::default() {
            let value = json!({"servers": dns.servers, "searches": dns.searches, "options": dns.options});
            self.capabilities.insert("dns".into(), value);
        }
        self
    }

    /// Sets capability `ipRanges` to one set per CIDR, as a node's pod range is given.
    #[must_use]
    pub fn ip_ranges(mut self, cidrs: &[String]) -> Self {
        if !cidrs.is_empty() {
            let sets: Vec<_> = cidrs.iter().map(|c| json!([{"subnet": c}])).collect();
            self.capabilities.insert("ipRanges".into(), Value::Array(sets));
        }
        self
    }

    /// Refuses what the specification forbids, and what could become another argument or another file.
    pub(crate) fn checked(mut self) -> Result<Self, Error> {
        if self.ifname.is_empty() {
            self.ifname = "eth0".into();
        }
        check_name("sandbox id", &self.id)?;
        // IFNAMSIZ is 16 with the final zero.
        let bad_char = |c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control();
        if self.ifname.len() > 15 || self.ifname.starts_with('.') || self.ifname.contains(bad_char) {
            let why = "is no interface name (1 to 15 characters without '/', ':' or blanks)";
            return Err(Error::Invalid { what: "interface", value: self.ifname, why });
        }
        for text in self.args.iter().flat_map(|(k, v)| [k, v]) {
            if text.contains([';', '=', '\0', '\n']) {
                let why = "can't be passed in CNI_ARGS, where ';' and '=' have a meaning";
                return Err(Error::Invalid { what: "CNI argument", value: text.clone(), why });
            }
        }
        Ok(self)
    }

    /// `CNI_ARGS`: pairs joined by `;`.
    pub(crate) fn joined_args(&self) -> String {
        let pairs: Vec<_> = self.args.iter().map(|(k, v)| format!("{k}={v}")).collect();
        pairs.join(";")
    }
}

impl PortMapping {
    fn to_json(&self) -> Value {
        let mut value = json!({
            "hostPort": self.host_port, "containerPort": self.container_port, "protocol": self.protocol,
        });
        if let Some(ip) = self.host_ip {
            value["hostIP"] = json!(ip.to_string());
        }
        value
    }
}

/// Names become file names and arguments: `[A-Za-z0-9][A-Za-z0-9_.-]*`.
pub(crate) fn check_name(what: &'static str, name: &str) -> Result<(), Error> {
    let first = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    let rest = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'));
    if first && rest && name.len() <= 200 {
        return Ok(());
    }
    let why = "is not a name (a letter or digit, then letters, digits, '_', '.', '-'; at most 200)";
    Err(Error::Invalid { what, value: name.to_owned(), why })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_argument_cannot_smuggle_in_another() {
        let bad = Attachment::new("a1", "/ns").kubernetes("default", "pod;K8S_POD_NAME=other", "u");
        let said = bad.checked().unwrap_err().to_string();
        assert!(said.contains("CNI_ARGS") && said.contains("other"), "{said}");
    }

    #[test]
    fn ids_and_interfaces_that_are_paths_are_refused() {
        for id in ["", "../x", "a/b", "-x", "a b"] {
            assert!(Attachment::new(id, "/ns").checked().is_err(), "{id:?} passed");
        }
        for ifname in ["a/b", "..", "sixteen-letters!", "a b", "a:1"] {
            let bad = Attachment { ifname: ifname.into(), ..Attachment::new("a", "/ns") };
            assert!(bad.checked().is_err(), "{ifname:?} passed");
        }
        assert_eq!(
            Attachment { ifname: String::new(), ..Attachment::new("a", "/n") }.checked().unwrap().ifname,
            "eth0"
        );
    }

    #[test]
    fn ports_without_a_host_port_are_left_out() {
        let port = |host_port| PortMapping { host_port, container_port: 80, protocol: "tcp", host_ip: None };
        assert!(Attachment::new("a", "/n").port_mappings(&[port(0)]).capabilities.is_empty());
        let two = Attachment::new("a", "/n").port_mappings(&[port(0), port(8080)]);
        assert_eq!(
            two.capabilities["portMappings"],
            json!([{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}])
        );
    }
}
