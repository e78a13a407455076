//! Which version of the protocol is spoken with a chain of plugins.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use serde_json::{Value, json};

use crate::conf::{Network, kind};
use crate::error::Error;
use crate::plugin::{Call, Plugin};

/// Versions that husk speaks, lowest first. Before 0.3.0 results looked different and lists did not exist.
pub(crate) const SPOKEN: [&str; 5] = ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"];

/// Those of `wanted` that husk speaks, highest first, each once.
pub(crate) fn usable(wanted: &[String]) -> Vec<String> {
    SPOKEN.iter().rev().filter(|s| wanted.iter().any(|w| w == *s)).map(|s| (*s).to_owned()).collect()
}

/// True if `version` is at least `least`, both of [`SPOKEN`].
pub(crate) fn at_least(version: &str, least: &str) -> bool {
    let rank = |v: &str| SPOKEN.iter().position(|s| *s == v);
    rank(version) >= rank(least)
}

/// When the program was last changed, and what it said.
type Asked = (Option<SystemTime>, Vec<String>);

/// What each plugin program said to VERSION, until the program changes.
#[derive(Debug, Default)]
pub(crate) struct Versions {
    asked: Mutex<HashMap<PathBuf, Asked>>,
}

impl Versions {
    /// The highest version that the list allows and each of its plugins speaks.
    pub(crate) fn agree(&self, network: &Network, plugins: &[Plugin]) -> Result<String, Error> {
        let mut common = network.versions.clone();
        for (plugin, object) in plugins.iter().zip(&network.plugins) {
            let spoken = self.of(plugin, &network.name)?;
            common.retain(|v| spoken.contains(v));
            if common.is_empty() {
                return Err(Error::Version {
                    plugin: kind(object).to_owned(),
                    network: network.name.clone(),
                    wanted: network.versions.join(" or "),
                    highest: spoken.last().cloned().unwrap_or_else(|| "none".into()),
                });
            }
        }
        Ok(common.swap_remove(0))
    }

    fn of(&self, plugin: &Plugin, network: &str) -> Result<Vec<String>, Error> {
        let stamp = modified(&plugin.program);
        // A thread that panicked left a whole map behind: entries are only ever inserted.
        let known = self.asked.lock().unwrap_or_else(PoisonError::into_inner).get(&plugin.program).cloned();
        if let Some((_, spoken)) = known.filter(|(at, _)| *at == stamp) {
            return Ok(spoken);
        }
        let conf = json!({"cniVersion": "1.0.0", "name": network, "type": plugin.kind});
        let answer = plugin.run(&Call::bare("VERSION"), &conf)?;
        let spoken = supported(&answer).ok_or_else(|| Error::Output {
            plugin: plugin.kind.clone(),
            command: "VERSION",
            what: "no supportedVersions".into(),
        })?;
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.insert(plugin.program.clone(), (stamp, spoken.clone()));
        Ok(spoken)
    }
}

fn supported(answer: &Value) -> Option<Vec<String>> {
    let list = answer.get("supportedVersions")?.as_array()?;
    Some(list.iter().filter_map(|v| Some(v.as_str()?.to_owned())).collect())
}

fn modified(program: &Path) -> Option<SystemTime> {
    std::fs::metadata(program).and_then(|m| m.modified()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ranked() {
        let wanted: Vec<_> = ["0.4.0", "1.1.0", "7.0.0", "0.4.0"].map(String::from).into();
        assert_eq!(usable(&wanted), ["1.1.0", "0.4.0"]);
        assert!(at_least("1.0.0", "0.4.0") && at_least("0.4.0", "0.4.0") && !at_least("0.3.1", "0.4.0"));
    }
}
