//! `linux.netDevices`: which devices are moved, and what they are called then.

use super::{
    Error, Result,
    namespaces::{Kind, Plan},
};
use oci_spec::runtime::LinuxNetDevice;
use std::collections::HashMap;

/// A device to move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its name in husk's network namespace.
    pub name: String,
    /// Its name in the container's; `%d` in it stands for the first number that is free.
    pub new_name: String,
}

/// Plans the devices, in the order of their names.
pub fn plan(devices: Option<&HashMap<String, LinuxNetDevice>>, namespaces: &Plan) -> Result<Vec<Device>> {
    let Some(devices) = devices.filter(|devices| !devices.is_empty()) else { return Ok(Vec::new()) };
    if !namespaces.has_own_or_joined(Kind::Network) {
        let problem = "needs a network namespace in linux.namespaces: the container is in husk's own";
        return Err(Error::new("linux.netDevices", problem));
    }
    let mut planned: Vec<Device> = Vec::new();
    for (name, device) in devices {
        let place = format!("linux.netDevices.{name}");
        check(&place, name)?;
        let new_name = device.name().as_ref().filter(|name| !name.is_empty()).unwrap_or(name).clone();
        check(&format!("{place}.name"), &new_name)?;
        if new_name != *name && new_name.replacen("%d", "", 1).contains('%') {
            let problem = format!("{new_name:?} has a % that is not the only one, or not %d");
            return Err(Error::new(format!("{place}.name"), problem));
        }
        planned.push(Device { name: name.clone(), new_name });
    }
    planned.sort_by(|a, b| a.name.cmp(&b.name));
    let twice = |(index, device): &(usize, &Device)| {
        !device.new_name.contains("%d")
            && planned.iter().take(*index).any(|other| other.new_name == device.new_name)
    };
    match planned.iter().enumerate().find(twice) {
        Some((_, device)) => {
            let problem = format!("{:?} is the name of a second device", device.new_name);
            Err(Error::new(format!("linux.netDevices.{}.name", device.name), problem))
        }
        None => Ok(planned),
    }
}

/// What the kernel takes as a name (dev_valid_name).
fn check(place: &str, name: &str) -> Result<()> {
    let wrong = |problem: String| Err(Error::new(place, problem));
    if name.is_empty() || name == "." || name == ".." {
        return wrong(format!("{name:?} is not a name of a network device"));
    }
    // IFNAMSIZ
    if name.len() > 15 {
        return wrong(format!("{name:?} has {} bytes; a network device's name has at most 15", name.len()));
    }
    match name.chars().find(|c| matches!(c, '/' | ':' | '\0') || c.is_ascii_whitespace() || *c == '\x0b') {
        Some(c) => wrong(format!("{name:?} has {c:?} in it, which a network device's name can't have")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::Device;
    use crate::plan::testing::plan_with;
    use serde_json::{Value, json};

    fn planned(devices: &Value) -> crate::plan::Result<Vec<Device>> {
        plan_with(|spec| {
            spec["linux"]["netDevices"] = devices.clone();
            spec["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "network"}));
        })
        .map(|plan| plan.net_devices)
    }

    #[test]
    fn names_stay_or_change() {
        let devices = planned(&json!({"b": {"name": "eth%d"}, "a": {}, "c": {"name": ""}})).unwrap();
        let names: Vec<_> = devices.iter().map(|d| (d.name.as_str(), d.new_name.as_str())).collect();
        assert_eq!(names, [("a", "a"), ("b", "eth%d"), ("c", "c")]);
    }

    #[test]
    fn wrong_names_name_their_place() {
        for (devices, place) in [
            (json!({"": {}}), "linux.netDevices."),
            (json!({"..": {}}), "linux.netDevices..."),
            (json!({"a b": {}}), "linux.netDevices.a b"),
            (json!({"a": {"name": "b/c"}}), "linux.netDevices.a.name"),
            (json!({"a": {"name": "eth0:1"}}), "linux.netDevices.a.name"),
            (json!({"a": {"name": "abcdefghijklmnop"}}), "linux.netDevices.a.name"),
            (json!({"a": {"name": "%d%d"}}), "linux.netDevices.a.name"),
            (json!({"a": {"name": "x%s"}}), "linux.netDevices.a.name"),
            (json!({"a": {}, "b": {"name": "a"}}), "linux.netDevices.b.name"),
        ] {
            assert_eq!(planned(&devices).unwrap_err().path, place, "{devices}");
        }
    }

    #[test]
    fn in_husks_own_namespace_there_is_nowhere_to_move_to() {
        let error = plan_with(|spec| spec["linux"]["netDevices"] = json!({"a": {}})).unwrap_err();
        assert_eq!(error.path, "linux.netDevices");
    }
}
