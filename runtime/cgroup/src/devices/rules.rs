//! Device rules: the spec's, and those every container has.

use oci_spec::runtime::{LinuxDeviceCgroup, LinuxDeviceType};

use crate::{Error, Result};

/// Bits of an access, as the kernel hands them to a device program (`BPF_DEVCG_ACC_*`).
pub(super) const MKNOD: u8 = 1;
pub(super) const READ: u8 = 2;
pub(super) const WRITE: u8 = 4;
pub(super) const ALL: u8 = MKNOD | READ | WRITE;

/// What kind of node a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Any,
    Block,
    Char,
}

/// One rule; None is any number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rule {
    pub allow: bool,
    pub kind: Kind,
    pub major: Option<u32>,
    pub minor: Option<u32>,
    pub access: u8,
}

const fn allow(kind: Kind, major: Option<u32>, minor: Option<u32>, access: u8) -> Rule {
    Rule { allow: true, kind, major, minor, access }
}

/// What every container may do, whatever its spec says, as with runc: the nodes of "Default Devices" in the spec's
/// config-linux.md, ptys, tun (VPN software in containers relies on it), and mknod of anything, since a node that
/// cannot be opened is harmless and image unpacking in containers needs it.
const DEFAULT: [Rule; 11] = [
    allow(Kind::Char, None, None, MKNOD),
    allow(Kind::Block, None, None, MKNOD),
    allow(Kind::Char, Some(1), Some(3), ALL),
    allow(Kind::Char, Some(1), Some(5), ALL),
    allow(Kind::Char, Some(1), Some(7), ALL),
    allow(Kind::Char, Some(1), Some(8), ALL),
    allow(Kind::Char, Some(1), Some(9), ALL),
    allow(Kind::Char, Some(5), Some(0), ALL),
    allow(Kind::Char, Some(5), Some(2), ALL),
    allow(Kind::Char, Some(136), None, ALL),
    allow(Kind::Char, Some(10), Some(200), ALL),
];

/// The spec's rules in their order, then the default ones.
pub(super) fn all(devices: &[LinuxDeviceCgroup]) -> Result<Vec<Rule>> {
    let own = devices.iter().enumerate().map(|(index, device)| rule(index, device));
    own.chain(DEFAULT.into_iter().map(Ok)).collect()
}

fn rule(index: usize, device: &LinuxDeviceCgroup) -> Result<Rule> {
    let invalid = |name, reason: String| Error::Invalid {
        field: format!("linux.resources.devices[{index}].{name}"),
        reason,
    };
    let kind = match device.typ() {
        None | Some(LinuxDeviceType::A) => Kind::Any,
        Some(LinuxDeviceType::B) => Kind::Block,
        Some(LinuxDeviceType::C) => Kind::Char,
        Some(other) => return Err(invalid("type", format!("{other:?} is not one of a, b, c"))),
    };
    let number = |name, value: Option<i64>| match value {
        None | Some(-1) => Ok(None),
        // The kernel's dev_t has 12 bits of major and 20 of minor; more could never fit any device.
        Some(value) => match u32::try_from(value) {
            Ok(number) if number < 1 << 20 => Ok(Some(number)),
            _ => Err(invalid(name, format!("{value} is not a device number; -1 is any"))),
        },
    };
    let mut access = 0;
    for letter in device.access().as_deref().unwrap_or("rwm").chars() {
        access |= match letter {
            'r' => READ,
            'w' => WRITE,
            'm' => MKNOD,
            _ => return Err(invalid("access", format!("{letter:?} is not one of r, w, m"))),
        };
    }
    // An empty text is what Go writes for unset.
    let access = if access == 0 { ALL } else { access };
    let (major, minor) = (number("major", device.major())?, number("minor", device.minor())?);
    Ok(Rule { allow: device.allow(), kind, major, minor, access })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Vec<Rule>> {
        let devices: Vec<LinuxDeviceCgroup> = serde_json::from_str(json).unwrap();
        let mut rules = all(&devices)?;
        assert_eq!(rules.split_off(rules.len() - DEFAULT.len()), DEFAULT);
        Ok(rules)
    }

    #[test]
    fn wildcards() {
        let any = Rule { allow: false, kind: Kind::Any, major: None, minor: None, access: ALL };
        assert_eq!(read(r#"[{"allow":false,"access":"rwm"}]"#).unwrap(), [any]);
        assert_eq!(read(r#"[{"allow":false,"type":"a","major":-1,"minor":-1,"access":""}]"#).unwrap(), [any]);
        assert_eq!(
            read(r#"[{"allow":true,"type":"c","major":10,"minor":229,"access":"rw"}]"#).unwrap(),
            [allow(Kind::Char, Some(10), Some(229), READ | WRITE)]
        );
    }

    #[test]
    fn bad_rules_name_their_place() {
        for (json, wanted) in [
            (r#"[{"allow":true},{"allow":true,"access":"rx"}]"#, "devices[1].access: 'x'"),
            (r#"[{"allow":true,"type":"p"}]"#, "devices[0].type"),
            (r#"[{"allow":true,"major":-2}]"#, "devices[0].major: -2"),
            (r#"[{"allow":true,"minor":99999999}]"#, "devices[0].minor: 99999999"),
        ] {
            let text = read(json).unwrap_err().to_string();
            assert!(text.contains(wanted), "{text}");
        }
    }
}
