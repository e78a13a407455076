//! Network lists of a configuration directory.

use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::attach::check_name;
use crate::error::Error;

/// A configuration file is some hundred bytes long; what is longer than this is not one.
const MAX_FILE: u64 = 1 << 20;
/// Chains have two to five plugins.
const MAX_PLUGINS: usize = 64;

/// A network: a chain of plugins.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// Its name.
    pub name: String,
    /// Versions of the protocol that the list allows, highest first.
    pub versions: Vec<String>,
    /// The list says that CHECK must not be called.
    pub disable_check: bool,
    /// The list says that GC must not be called.
    pub disable_gc: bool,
    /// The plugins' objects in the order of the chain; each has a `type`.
    pub plugins: Vec<Map<String, Value>>,
    /// The file it was read from.
    pub path: PathBuf,
}

/// A file of the configuration directory that can't be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub why: String,
}

impl Network {
    /// Reads the first usable file of `dir` in name order (`.conflist`, `.conf`, `.json`), and tells
    /// which files before it can't be used.
    ///
    /// # Errors
    /// No file is usable, or the directory can't be read.
    pub fn load(dir: &Path) -> Result<(Self, Vec<Skipped>), Error> {
        let mut skipped = Vec::new();
        for path in conf_files(dir, &["conf", "conflist", "json"])? {
            match Self::read(&path) {
                Ok(network) => return Ok((network, skipped)),
                Err(why) => skipped.push(Skipped { path, why }),
            }
        }
        Err(Error::NoNetwork { dir: dir.to_owned(), skipped })
    }

    fn read(path: &Path) -> Result<Self, String> {
        let object = read_object(path)?;
        let list = if object.contains_key("plugins") { object } else { wrapped(object) };
        Self::from_list(list, path)
    }

    /// Checks a list's object; `path` is told in errors and searched for plugins in files of their own.
    pub(crate) fn from_list(mut list: Map<String, Value>, path: &Path) -> Result<Self, String> {
        let name = text(&list, "name")?;
        check_name("network name", &name).map_err(|e| e.to_string())?;
        let versions = versions(&list)?;
        let mut plugins = match list.remove("plugins") {
            Some(Value::Array(items)) => items.into_iter().map(object).collect::<Result<Vec<_>, _>>()?,
            _ => return Err("plugins is not an array".into()),
        };
        if !flag(&list, "loadOnlyInlinedPlugins")? {
            plugins.extend(plugins_of_their_own(path, &name)?);
        }
        if plugins.is_empty() || plugins.len() > MAX_PLUGINS {
            return Err(format!("plugins has {} entries, not 1 to {MAX_PLUGINS}", plugins.len()));
        }
        for (index, plugin) in plugins.iter().enumerate() {
            let kind = text(plugin, "type").map_err(|e| format!("plugins[{index}].{e}"))?;
            // The type becomes a file name in a plugin directory: it must not lead elsewhere.
            check_name("plugin type", &kind).map_err(|e| format!("plugins[{index}].type: {e}"))?;
        }
        let disable_check = flag(&list, "disableCheck")?;
        let disable_gc = flag(&list, "disableGC")?;
        Ok(Self { name, versions, disable_check, disable_gc, plugins, path: path.to_owned() })
    }

    /// The list as an object again, for the cache.
    pub(crate) fn to_list(&self) -> Value {
        serde_json::json!({
            "name": self.name, "cniVersion": self.versions.first(), "cniVersions": self.versions,
            "disableCheck": self.disable_check, "disableGC": self.disable_gc,
            // The cache holds the plugins that were called: files added since must not join them.
            "loadOnlyInlinedPlugins": true, "plugins": self.plugins,
        })
    }
}

/// The type of a checked plugin object.
pub(crate) fn kind(plugin: &Map<String, Value>) -> &str {
    plugin.get("type").and_then(Value::as_str).unwrap_or_default()
}

/// A `.conf` file is one plugin; its network has the same name and version.
fn wrapped(plugin: Map<String, Value>) -> Map<String, Value> {
    let mut list = Map::new();
    for key in ["name", "cniVersion", "cniVersions"] {
        if let Some(value) = plugin.get(key) {
            list.insert(key.into(), value.clone());
        }
    }
    list.insert("loadOnlyInlinedPlugins".into(), Value::Bool(true));
    list.insert("plugins".into(), Value::Array(vec![Value::Object(plugin)]));
    list
}

/// CNI 1.1: `DIR/NAME/*.conf` beside the list are plugins that join the chain's end.
fn plugins_of_their_own(list: &Path, name: &str) -> Result<Vec<Map<String, Value>>, String> {
    let Some(dir) = list.parent().map(|d| d.join(name)).filter(|d| d.is_dir()) else {
        return Ok(Vec::new());
    };
    let files = conf_files(&dir, &["conf"]).map_err(|e| e.to_string())?;
    files.iter().map(|f| read_object(f).map_err(|e| format!("{}: {e}", f.display()))).collect()
}

fn conf_files(dir: &Path, endings: &[&str]) -> Result<Vec<PathBuf>, Error> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Error::io("open", dir, e)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(|e| Error::io("getdents64", dir, e))?.path();
        if path.extension().and_then(|e| e.to_str()).is_some_and(|e| endings.contains(&e)) && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read_object(path: &Path) -> Result<Map<String, Value>, String> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|e| format!("open: {e}"))?;
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(|e| format!("read: {e}"))?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(format!("longer than {MAX_FILE} bytes"));
    }
    object(serde_json::from_slice(&bytes).map_err(|e| format!("not JSON: {e}"))?)
}

fn object(value: Value) -> Result<Map<String, Value>, String> {
    match value {
        Value::Object(map) => Ok(map),
        other => Err(format!("an object is wanted, not {}", crate::plugin::start_of(&other.to_string()))),
    }
}

fn text(map: &Map<String, Value>, key: &str) -> Result<String, String> {
    match map.get(key) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(format!("{key} is not a string")),
        None => Err(format!("{key} is missing")),
    }
}

/// Booleans; the specification's own examples write some of them as strings.
fn flag(map: &Map<String, Value>, key: &str) -> Result<bool, String> {
    match map.get(key) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(on)) => Ok(*on),
        Some(Value::String(text)) if text == "true" || text == "false" => Ok(text == "true"),
        Some(_) => Err(format!("{key} is not true or false")),
    }
}

/// `cniVersion` and CNI 1.1's `cniVersions`, highest first.
fn versions(list: &Map<String, Value>) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    if list.contains_key("cniVersion") {
        found.push(text(list, "cniVersion")?);
    }
    for more in list.get("cniVersions").and_then(Value::as_array).into_iter().flatten() {
        found.push(more.as_str().ok_or("cniVersions holds something that is not a string")?.to_owned());
    }
    if found.is_empty() {
        return Err("cniVersion is missing".into());
    }
    let usable = crate::version::usable(&found);
    if usable.is_empty() {
        let all = crate::version::SPOKEN.join(", ");
        return Err(format!("cniVersion {} is none that husk speaks ({all})", found.join(", ")));
    }
    Ok(usable)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dir(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        dir
    }

    #[test]
    fn the_first_usable_file_wins_and_the_others_are_told() {
        let dir = dir(&[
            ("00-broken.conflist", "{"),
            ("05-no-type.conf", r#"{"cniVersion":"1.0.0","name":"a"}"#),
            ("07-notes.txt", "not looked at"),
            ("10-good.conflist", r#"{"cniVersion":"1.0.0","name":"good","plugins":[{"type":"bridge"}]}"#),
            ("20-other.conflist", r#"{"cniVersion":"1.0.0","name":"other","plugins":[{"type":"ptp"}]}"#),
        ]);
        let (network, skipped) = Network::load(dir.path()).unwrap();
        assert_eq!((network.name.as_str(), kind(&network.plugins[0])), ("good", "bridge"));
        let why: Vec<_> = skipped.iter().map(|s| s.why.as_str()).collect();
        assert!(why[0].contains("not JSON") && why[1].contains("plugins[0].type is missing"), "{why:?}");
        assert_eq!(why.len(), 2);
    }

    #[test]
    fn bad_lists_say_what_is_wrong() {
        let cases = [
            ("[]", "an object is wanted"),
            (r#"{"name":"a","plugins":[{"type":"x"}]}"#, "cniVersion is missing"),
            (
                r#"{"cniVersion":"9.0.0","name":"a","plugins":[{"type":"x"}]}"#,
                "9.0.0 is none that husk speaks",
            ),
            (r#"{"cniVersion":"1.0.0","name":"../a","plugins":[{"type":"x"}]}"#, "network name"),
            (r#"{"cniVersion":"1.0.0","name":"a","plugins":[]}"#, "plugins has 0 entries"),
            (r#"{"cniVersion":"1.0.0","name":"a","plugins":{}}"#, "plugins is not an array"),
            (r#"{"cniVersion":"1.0.0","name":"a","plugins":[{"type":"../../bin/sh"}]}"#, "plugins[0].type"),
            (r#"{"cniVersion":"1.0.0","name":"a","plugins":[3]}"#, "an object is wanted, not 3"),
        ];
        for (text, expected) in cases {
            let dir = dir(&[("a.conflist", text)]);
            let said = Network::load(dir.path()).unwrap_err().to_string();
            assert!(said.contains(expected), "{text}: {said}");
        }
    }

    #[test]
    fn an_absent_directory_is_no_network() {
        let said = Network::load(Path::new("/nonexistent/net.d")).unwrap_err().to_string();
        assert_eq!(said, "no CNI network in /nonexistent/net.d");
    }

    #[test]
    fn plugins_in_files_join_unless_the_list_says_no() {
        let list = |only| {
            format!(
                r#"{{"cniVersion":"1.1.0","name":"n","loadOnlyInlinedPlugins":{only},"plugins":[{{"type":"a"}}]}}"#
            )
        };
        for (only, expected) in [(false, vec!["a", "b"]), (true, vec!["a"])] {
            let dir = dir(&[("1.conflist", &list(only)), ("n/5.conf", r#"{"type":"b"}"#)]);
            let (network, _) = Network::load(dir.path()).unwrap();
            assert_eq!(network.plugins.iter().map(kind).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn a_list_survives_the_cache() {
        let text = r#"{"cniVersion":"0.4.0","cniVersions":["1.0.0"],"name":"n","disableCheck":"true","plugins":[{"type":"a"}]}"#;
        let dir = dir(&[("1.conflist", text)]);
        let (network, _) = Network::load(dir.path()).unwrap();
        assert_eq!(network.versions, ["1.0.0", "0.4.0"]);
        let again = Network::from_list(object(network.to_list()).unwrap(), &network.path).unwrap();
        assert_eq!(again, network);
    }
}
