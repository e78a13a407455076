//! Capabilities: the default set, changed by what the container adds and drops.

use std::collections::BTreeSet;

use husk_cri_api::LinuxContainerSecurityContext;
use husk_sys::caps::NAMES;
use serde_json::{Value, json};

use crate::error::{Context, Error, Result};

/// What a container has that asks for nothing.
const DEFAULT: [&str; 14] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "NET_RAW",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

type Set = BTreeSet<&'static str>;

/// Bounding, effective and permitted sets, and the ambient one. Only ambient capabilities are inheritable
/// (CVE-2022-29162).
pub struct Sets {
    main: Set,
    ambient: Set,
}

impl Sets {
    /// The sets of a container, of which nothing can be outside husk-cri's own bounding set.
    pub fn of(context: &LinuxContainerSecurityContext) -> Result<Self> {
        let own = bounding()?;
        if context.privileged {
            return Ok(Self { main: own, ambient: Set::new() });
        }
        let wanted = context.capabilities.clone().unwrap_or_default();
        let field = "config.linux.security_context.capabilities";
        let (add, add_all) = parse(&format!("{field}.add_capabilities"), &wanted.add_capabilities)?;
        let (drop, drop_all) = parse(&format!("{field}.drop_capabilities"), &wanted.drop_capabilities)?;
        let (ambient, _) =
            parse(&format!("{field}.add_ambient_capabilities"), &wanted.add_ambient_capabilities)?;
        if let Some(name) = add.iter().chain(&ambient).find(|name| !own.contains(*name)) {
            return Err(Error::invalid(field, format!("husk-cri itself lacks CAP_{name}")));
        }
        // ALL first, then single names: `drop: [ALL], add: [CHOWN]` leaves CHOWN, as `add: [ALL], drop: [CHOWN]` all others.
        let mut main: Set = match (add_all, drop_all) {
            (true, _) => own,
            (false, true) => Set::new(),
            (false, false) => DEFAULT.into_iter().filter(|name| own.contains(name)).collect(),
        };
        main.extend(add.iter().chain(&ambient));
        main.retain(|name| !drop.contains(name));
        let ambient = ambient.into_iter().filter(|name| main.contains(name)).collect();
        Ok(Self { main, ambient })
    }

    /// Names with `CAP_`, of the main set.
    pub fn names(&self) -> Vec<String> {
        full(&self.main)
    }

    /// OCI's `process.capabilities`.
    pub fn to_oci(&self) -> Value {
        let (main, ambient) = (full(&self.main), full(&self.ambient));
        json!({
            "bounding": main, "effective": main, "permitted": main, "inheritable": ambient, "ambient": ambient,
        })
    }
}

fn full(set: &Set) -> Vec<String> {
    set.iter().map(|name| format!("CAP_{name}")).collect()
}

/// Names with or without `CAP_`, in any case; whether ALL is among them.
fn parse(field: &str, given: &[String]) -> Result<(Set, bool)> {
    let (mut set, mut all) = (Set::new(), false);
    for name in given {
        let upper = name.to_uppercase();
        let plain = upper.strip_prefix("CAP_").unwrap_or(&upper);
        if plain == "ALL" {
            all = true;
        } else if let Some(known) = NAMES.iter().find(|known| **known == plain) {
            set.insert(known);
        } else {
            return Err(Error::invalid(field, format!("no capability {name:?}")));
        }
    }
    Ok((set, all))
}

/// husk-cri's bounding set.
fn bounding() -> Result<Set> {
    let bits = status_field("CapBnd")?;
    Ok(NAMES.iter().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1).map(|(_, name)| *name).collect())
}

/// Whether husk-cri may do what needs `name`.
pub fn has(name: &str) -> Result<bool> {
    let bits = status_field("CapEff")?;
    Ok(NAMES.iter().position(|known| *known == name).is_some_and(|bit| bits >> bit & 1 == 1))
}

fn status_field(name: &str) -> Result<u64> {
    let path = "/proc/self/status";
    let text = std::fs::read_to_string(path).on("read", path)?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    u64::from_str_radix(line.unwrap_or_default().trim(), 16).on("parse", format!("{name} in {path}"))
}

#[cfg(test)]
mod tests {
    use husk_cri_api::Capability;

    use super::*;

    fn names(add: &[&str], drop: &[&str]) -> Result<Vec<String>> {
        let list = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
        let capabilities = Capability {
            add_capabilities: list(add),
            drop_capabilities: list(drop),
            ..Capability::default()
        };
        let context =
            LinuxContainerSecurityContext { capabilities: Some(capabilities), ..Default::default() };
        Ok(Sets::of(&context)?.names())
    }

    #[test]
    fn names_are_added_and_dropped() {
        assert!(names(&[], &["CHOWN"]).unwrap().iter().all(|n| n != "CAP_CHOWN"));
        assert_eq!(names(&["cap_kill"], &["ALL"]).unwrap(), ["CAP_KILL"]);
        let all = names(&["ALL"], &["KILL"]).unwrap();
        assert!(all.len() > 14 && !all.contains(&"CAP_KILL".to_owned()), "{all:?}");
    }

    #[test]
    fn an_unknown_name_is_an_error_that_names_it() {
        let error = names(&["FLY"], &[]).unwrap_err().to_string();
        assert!(error.contains("add_capabilities") && error.contains("FLY"), "{error}");
    }

    #[test]
    fn nothing_is_inheritable() {
        let sets = Sets::of(&LinuxContainerSecurityContext::default()).unwrap().to_oci();
        assert_eq!(sets["inheritable"], json!([]));
    }
}
