//! Capability sets as bit masks.

use husk_sys::caps::NAMES;
use oci_spec::runtime::{Capability, LinuxCapabilities};

/// Five capability sets; bit n is capability number n.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Caps {
    /// Bounding set.
    pub bounding: u64,
    /// Effective set.
    pub effective: u64,
    /// Permitted set.
    pub permitted: u64,
    /// Inheritable set: what config.json asks for, and nothing by itself (CVE-2022-27650, CVE-2022-29162).
    pub inheritable: u64,
    /// Ambient set.
    pub ambient: u64,
}

/// Takes the sets over. Without `process.capabilities` a container has none.
pub fn plan(capabilities: Option<&LinuxCapabilities>) -> Caps {
    let Some(capabilities) = capabilities else { return Caps::default() };
    let mask = |set: &Option<std::collections::HashSet<Capability>>| {
        set.iter().flatten().fold(0, |mask, capability| mask | 1 << number(*capability))
    };
    Caps {
        bounding: mask(capabilities.bounding()),
        effective: mask(capabilities.effective()),
        permitted: mask(capabilities.permitted()),
        inheritable: mask(capabilities.inheritable()),
        ambient: mask(capabilities.ambient()),
    }
}

/// A capability's number, from its name with or without `CAP_`, in any case.
pub fn by_name(name: &str) -> Option<u32> {
    let upper = name.to_ascii_uppercase();
    let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
    NAMES.iter().position(|known| *known == bare).map(|number| number as u32)
}

/// A capability's name.
pub fn name(number: u32) -> Option<String> {
    NAMES.get(number as usize).map(|name| format!("CAP_{name}"))
}

/// The names of the capabilities of a mask, for messages.
pub fn names(mask: u64) -> String {
    let names: Vec<_> = (0..64).filter(|bit| mask & (1 << bit) != 0).filter_map(name).collect();
    names.join(", ")
}

fn number(capability: Capability) -> u32 {
    // The type's text form is its name; it has no numbers of its own.
    by_name(&capability.to_string()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{by_name, name, number, plan};
    use husk_sys::caps::NAMES;
    use oci_spec::runtime::{Capability, LinuxCapabilities};

    #[test]
    fn every_name_of_the_crate_has_its_number() {
        for (expected, name) in NAMES.iter().enumerate() {
            let parsed: Capability = serde_json::from_str(&format!("\"CAP_{name}\"")).unwrap();
            assert_eq!(number(parsed), expected as u32, "{name}");
        }
        assert_eq!(by_name("cap_sys_admin"), Some(21));
        assert_eq!(by_name("NET_RAW"), Some(13));
        assert_eq!(by_name("CAP_WORLD"), None);
        assert_eq!(name(40).as_deref(), Some("CAP_CHECKPOINT_RESTORE"));
    }

    #[test]
    fn sets_are_what_was_asked_for() {
        let caps: LinuxCapabilities = serde_json::from_str(
            r#"{"bounding":["CAP_KILL","CAP_CHOWN"],"permitted":["CAP_KILL","CAP_CHOWN"],
                "inheritable":["CAP_KILL","CAP_CHOWN"],"ambient":["CAP_KILL","CAP_FOWNER"]}"#,
        )
        .unwrap();
        let caps = plan(Some(&caps));
        assert_eq!(caps.inheritable, 1 << 5 | 1);
        assert_eq!(caps.ambient, 1 << 5 | 1 << 3);
        assert_eq!(caps.bounding, 1 << 5 | 1);
        assert_eq!(plan(None).bounding, 0);
    }
}
