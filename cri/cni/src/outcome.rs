//! What an ADD gave.

use std::net::IpAddr;

use serde::Deserialize;
use serde_json::Value;

/// The last plugin's result.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Outcome {
    /// Interfaces made, on the node and in the sandbox.
    pub interfaces: Vec<Interface>,
    /// Addresses given.
    pub ips: Vec<Ip>,
    /// The whole result as the plugin wrote it.
    #[serde(skip)]
    pub raw: Value,
}

/// An interface that a plugin made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its hardware address.
    pub mac: String,
    /// Path of the namespace it is in; empty on the node.
    pub sandbox: String,
}

/// An address that a plugin gave.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Ip {
    /// Address with prefix length.
    pub address: String,
    /// Gateway, if any.
    #[serde(default)]
    pub gateway: Option<String>,
    /// Index in [`Outcome::interfaces`].
    #[serde(default)]
    pub interface: Option<usize>,
}

impl Outcome {
    /// Parses a result of version 0.3.0 or later.
    pub(crate) fn parse(raw: Value) -> Result<Self, String> {
        let mut outcome: Self = serde_json::from_value(raw.clone()).map_err(|e| e.to_string())?;
        for ip in &outcome.ips {
            ip.addr().ok_or_else(|| format!("{:?} for an address", ip.address))?;
        }
        outcome.raw = raw;
        Ok(outcome)
    }

    /// The sandbox's addresses on interface `ifname`, in the plugin's order, the first one being the main one.
    pub fn ips_of(&self, ifname: &str) -> Vec<IpAddr> {
        let ours = |ip: &&Ip| match ip.interface.and_then(|i| self.interfaces.get(i)) {
            Some(on) => on.name == ifname && !on.sandbox.is_empty(),
            None => true,
        };
        self.ips.iter().filter(ours).filter_map(Ip::addr).collect()
    }
}

impl Ip {
    /// The address without its prefix.
    pub fn addr(&self) -> Option<IpAddr> {
        self.address.split('/').next()?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn addresses_of_other_interfaces_are_not_the_sandbox_s() {
        let raw = json!({
            "cniVersion": "1.0.0",
            "interfaces": [{"name": "br0"}, {"name": "eth0", "sandbox": "/ns"}],
            "ips": [
                {"address": "10.0.0.1/24", "interface": 0},
                {"address": "10.0.0.7/24", "interface": 1},
                {"address": "fd00::7/64"},
            ],
        });
        let ips = Outcome::parse(raw).unwrap().ips_of("eth0");
        assert_eq!(ips, ["10.0.0.7".parse::<IpAddr>().unwrap(), "fd00::7".parse().unwrap()]);
    }

    #[test]
    fn an_address_that_is_none_is_told() {
        let said = Outcome::parse(json!({"ips": [{"address": "10.0.0/24"}]})).unwrap_err();
        assert!(said.contains("10.0.0/24"), "{said}");
    }
}
