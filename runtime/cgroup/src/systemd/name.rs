//! `slice:prefix:name` of `linux.cgroupsPath`, as unit names.

use std::path::Path;

use crate::{Error, Result};

/// Longest name of a unit that systemd takes (`UNIT_NAME_MAX` with its NUL is 256).
const LONGEST: usize = 255;

/// Which scope a container gets, and in which slice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// The slice, for example `system.slice`; `-.slice` is the root of the tree.
    pub slice: String,
    /// The scope, for example `husk-web.scope`.
    pub unit: String,
}

impl Name {
    /// Reads `slice:prefix:name`, as runc has it: `prefix-name.scope` in `slice`. An empty slice is `system.slice`, and
    /// `user.slice` of a user's own manager; an empty prefix leaves `name.scope`. No path at all is `:husk:ID`.
    ///
    /// What a unit's name may not have (such as the `+` of a container's id) is written as `\x2b`, systemd's own escape.
    pub fn parse(cgroups_path: Option<&Path>, id: &str, user: bool) -> Result<Self> {
        let default = format!(":{}:{id}", crate::path::DEFAULT_PARENT);
        let value = match cgroups_path.filter(|path| !path.as_os_str().is_empty()) {
            None => default.clone(),
            Some(path) => path.to_string_lossy().into_owned(),
        };
        let bad = |reason| Error::Path { value: value.clone(), reason };
        let parts: Vec<&str> = value.split(':').collect();
        let [slice, prefix, name] = parts[..] else {
            return Err(bad("has not the form slice:prefix:name, which --systemd-cgroup needs"));
        };
        let slice = match slice {
            "" if user => "user.slice".to_string(),
            "" => "system.slice".to_string(),
            "-" => "-.slice".to_string(),
            slice => slice.to_string(),
        };
        if !is_slice(&slice) {
            return Err(bad("names no slice before the first colon: that is a name like a-b.slice"));
        }
        if name.is_empty() {
            return Err(bad("has no name after the last colon"));
        }
        if name.ends_with(".slice") {
            return Err(bad("names a slice after the last colon, and a slice holds no processes"));
        }
        let joined = if prefix.is_empty() { name.to_string() } else { format!("{prefix}-{name}") };
        let unit = format!("{}.scope", escape(joined.trim_end_matches(".scope")));
        if unit.len() > LONGEST || slice.len() > LONGEST {
            return Err(bad("makes a unit's name of more than 255 bytes"));
        }
        Ok(Self { slice, unit })
    }
}

/// systemd.slice(5): parts joined by single dashes, each a parent of the next.
fn is_slice(name: &str) -> bool {
    let Some(stem) = name.strip_suffix(".slice") else { return false };
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"_.\\@-".contains(&byte);
    stem == "-"
        || (!stem.is_empty() && stem.bytes().all(legal) && stem.split('-').all(|part| !part.is_empty()))
}

/// systemd.unit(5), "String Escaping", without the part for paths.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(path: &str, user: bool) -> Result<(String, String)> {
        Name::parse(Some(Path::new(path)), "web", user).map(|name| (name.slice, name.unit))
    }

    fn pair(slice: &str, unit: &str) -> (String, String) {
        (slice.to_string(), unit.to_string())
    }

    #[test]
    fn forms() {
        assert_eq!(parse("a-b.slice:p:n", false).unwrap(), pair("a-b.slice", "p-n.scope"));
        assert_eq!(parse(":p:n", false).unwrap(), pair("system.slice", "p-n.scope"));
        assert_eq!(parse(":p:n", true).unwrap(), pair("user.slice", "p-n.scope"));
        assert_eq!(parse("-:p:n", false).unwrap(), pair("-.slice", "p-n.scope"));
        assert_eq!(parse("-.slice::n", false).unwrap(), pair("-.slice", "n.scope"));
        assert_eq!(parse("x.slice::n.scope", false).unwrap(), pair("x.slice", "n.scope"));
        assert_eq!(parse("", false).unwrap(), pair("system.slice", "husk-web.scope"));
        assert_eq!(Name::parse(None, "a+b", true).unwrap().unit, "husk-a\\x2bb.scope");
    }

    #[test]
    fn what_cannot_be_meant() {
        for (path, wanted) in [
            ("/a/b", "slice:prefix:name"),
            ("a:b", "slice:prefix:name"),
            ("a.slice:b:c:d", "slice:prefix:name"),
            ("system:husk:c", "names no slice"),
            ("a--b.slice:p:n", "names no slice"),
            ("-a.slice:p:n", "names no slice"),
            ("../x.slice:p:n", "names no slice"),
            ("x.slice:p:", "no name"),
            ("x.slice:p:y.slice", "holds no processes"),
        ] {
            let text = parse(path, false).unwrap_err().to_string();
            assert!(text.contains(wanted) && text.contains("cgroupsPath"), "{path}: {text}");
        }
        assert!(parse(&format!(":p:{}", "n".repeat(250)), false).is_err());
    }
}
