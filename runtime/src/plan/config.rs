//! Reading config.json, and what husk knows but does not do.

use super::{Error, Result, json, names};
use anyhow::{Context as _, bail};
use oci_spec::runtime::{Linux, LinuxResources, Process, Spec};
use serde_json::{Map, Value};
use std::{io::Read as _, path::Path};

/// Largest config.json: beyond what any tool writes, and small enough to be held in memory.
const MAX: u64 = 64 << 20;

/// Reads and parses a bundle's configuration. Gives the text too, with corrected names, for the copy in the state directory.
pub fn read(path: &Path) -> anyhow::Result<(Spec, Vec<u8>)> {
    let text = text_of(path)?;
    let text = names::corrected(&text);
    let spec = parse(&text)?;
    Ok((spec, text.into_owned()))
}

/// Reads and parses the copy that [`read`] gave the text of.
pub fn read_copy(path: &Path) -> anyhow::Result<Spec> {
    parse(&text_of(path)?)
}

fn text_of(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut text = Vec::new();
    let file = std::fs::File::open(path).with_context(|| format!("open {}", path.display()))?;
    file.take(MAX + 1).read_to_end(&mut text).with_context(|| format!("read {}", path.display()))?;
    if text.len() as u64 > MAX {
        bail!("{} is larger than {} MiB", path.display(), MAX >> 20);
    }
    Ok(text)
}

/// Parses a configuration whose names are corrected already. An error names the place in it.
pub fn parse(text: &[u8]) -> anyhow::Result<Spec> {
    let mut spec: Spec = completed(text, "config.json", "/process")?;
    let resources = spec.linux_mut().as_mut().and_then(|linux| linux.resources_mut().as_mut());
    let zero = |resources: &&mut LinuxResources| resources.pids().is_some_and(|pids| pids.limit() == 0);
    if let Some(resources) = resources.filter(zero) {
        let whole: Value = json::parse(text, "config.json")?;
        unset_pids(resources, whole.pointer("/linux/resources"));
    }
    Ok(spec)
}

/// `linux.resources` alone.
pub fn resources(value: &Value) -> serde_json::Result<LinuxResources> {
    let mut resources = serde_json::from_value(value.clone())?;
    unset_pids(&mut resources, Some(value));
    Ok(resources)
}

/// `linux.resources` as a file of its own. An error names the file and the place in it.
pub fn resources_file(text: &[u8], file: &str) -> anyhow::Result<LinuxResources> {
    let text = names::corrected(text);
    let mut resources = json::parse(&text, file)?;
    let whole: Value = json::parse(&text, file)?;
    unset_pids(&mut resources, Some(&whole));
    Ok(resources)
}

/// `pids` without `limit` asks for nothing since 1.3 of the specification; the type can't tell that from a limit of 0.
fn unset_pids(resources: &mut LinuxResources, value: Option<&Value>) {
    if value.is_some_and(|value| value.pointer("/pids/limit").is_none()) {
        resources.set_pids(None);
    }
}

/// Parses a process, as `exec --process` is given it. An error names the file and the place in it.
pub fn process(text: &[u8], file: &str) -> anyhow::Result<Process> {
    completed(&names::corrected(text), file, "")
}

/// Parses what has a process in it. The document is only gone through again where it could not be read as it is.
fn completed<T: serde::de::DeserializeOwned>(text: &[u8], file: &str, process: &str) -> anyhow::Result<T> {
    json::parse(text, file).or_else(|error| {
        let mut document: Value = serde_json::from_slice(text).unwrap_or_default();
        if document.pointer_mut(process).and_then(Value::as_object_mut).is_some_and(mended) {
            return json::parse(&serde_json::to_vec(&document)?, file);
        }
        Err(error)
    })
}

/// Brings a process into the form that its type wants, and says whether there was anything to do.
fn mended(process: &mut Map<String, Value>) -> bool {
    let mut changed = false;
    // Without a user it is root's (config-schema.json requires `cwd` alone).
    if !process.contains_key("user") {
        process.insert("user".to_owned(), serde_json::json!({"uid": 0, "gid": 0}));
        changed = true;
    }
    // The type has names of its own for two flags of the specification.
    let flags = process.get_mut("scheduler").and_then(|scheduler| scheduler.get_mut("flags"));
    for flag in flags.and_then(Value::as_array_mut).into_iter().flatten() {
        let own = match flag.as_str() {
            Some("SCHED_FLAG_RESET_ON_FORK") => "SCHED_RESET_ON_FORK",
            Some("SCHED_FLAG_DL_OVERRUN") => "SCHED_FLAG_D_L_OVERRUN",
            _ => continue,
        };
        *flag = own.into();
        changed = true;
    }
    changed
}

/// Adds a variable to the program's environment.
pub fn add_variable(spec: &mut Spec, variable: String) {
    if let Some(process) = spec.process_mut() {
        let mut env = process.env_mut().take().unwrap_or_default();
        env.push(variable);
        process.set_env(Some(env));
    }
}

/// husk knows versions 1.x of the specification; a later one of the same major version only adds fields.
pub fn check_version(version: &str) -> Result<()> {
    let wrong = |problem: &str| Err(Error::new("ociVersion", format!("{version:?} {problem}")));
    let numbers = version.split(['-', '+']).next().unwrap_or_default();
    let parts: Vec<_> = numbers.split('.').map(str::parse::<u32>).collect();
    match parts.as_slice() {
        [Ok(1), Ok(_), Ok(_)] => Ok(()),
        [Ok(_), Ok(_), Ok(_)] => wrong("is not supported: husk implements version 1"),
        _ => wrong("is not a version such as 1.2.0"),
    }
}

/// Fields that are in the specification and that husk does not do: saying so is better than a container without them.
pub fn refuse_unsupported(linux: &Linux) -> Result<()> {
    if linux.intel_rdt().is_some() {
        return Err(Error::new(
            "linux.intelRdt",
            "is not supported: husk does not manage the resctrl filesystem",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{check_version, parse, process};

    #[test]
    fn wrong_types_name_the_place_and_the_value() {
        let error = parse(br#"{"ociVersion":"1.0.0","process":{"cwd":"/","user":{"uid":"root","gid":0}}}"#)
            .unwrap_err()
            .to_string();
        assert!(error.contains("process.user.uid") && error.contains("\"root\""), "{error}");
        let error = parse(br#"{"ociVersion":"1.0.0","linux":{"namespaces":[{"type":"pids"}]}}"#)
            .unwrap_err()
            .to_string();
        assert!(error.contains("linux.namespaces[0].type") && error.contains("pids"), "{error}");
    }

    #[test]
    fn a_process_without_user_is_roots() {
        let spec = parse(br#"{"ociVersion":"1.0.0","process":{"cwd":"/","args":["a"]}}"#).unwrap();
        assert_eq!(spec.process().as_ref().unwrap().user().uid(), 0);
        assert_eq!(process(br#"{"cwd":"/","args":["a"]}"#, "p").unwrap().user().gid(), 0);
        let flags = r#"["SCHED_FLAG_RESET_ON_FORK","SCHED_FLAG_DL_OVERRUN","SCHED_FLAG_KEEP_POLICY"]"#;
        let text = format!(r#"{{"cwd":"/","scheduler":{{"policy":"SCHED_OTHER","flags":{flags}}}}}"#);
        let flagged = process(text.as_bytes(), "p").unwrap();
        let scheduler = crate::plan::sched::scheduler(flagged.scheduler().as_ref().unwrap()).unwrap();
        assert_eq!(scheduler.flags, 0x0d);
        // A user that is there is whole, and what else is wrong is still told.
        let error = process(br#"{"cwd":"/","user":{"uid":"x"}}"#, "p").unwrap_err().to_string();
        assert!(error.starts_with("p: user.uid: "), "{error}");
        let error = process(br#"{"cwd":7}"#, "p").unwrap_err().to_string();
        assert!(error.starts_with("p: cwd: "), "{error}");
    }

    #[test]
    fn bad_text_is_an_error_and_no_crash() {
        for text in [&b""[..], b"{", b"null", b"{\"ociVersion\":1}", b"\xff\xfe", b"{} {}"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
        let deep = [b"{\"unknown\":".as_slice(), &b"[".repeat(100_000)].concat();
        assert!(parse(&deep).is_err());
        let double = br#"{"ociVersion":"1.0.0","ociVersion":"1.1.0"}"#;
        assert!(parse(double).unwrap_err().to_string().contains("duplicate field"));
    }

    #[test]
    fn unknown_fields_are_tolerated() {
        assert!(parse(br#"{"ociVersion":"1.0.0","future":{"x":[1]},"linux":{"more":true}}"#).is_ok());
    }

    #[test]
    fn pids_without_a_limit_are_not_limited() {
        let limit = |pids: &str| {
            let text = format!(r#"{{"ociVersion":"1.3.0","linux":{{"resources":{{"pids":{pids}}}}}}}"#);
            let spec = parse(text.as_bytes()).unwrap();
            let linux = spec.linux().as_ref().unwrap();
            linux.resources().as_ref().unwrap().pids().map(|pids| pids.limit())
        };
        assert_eq!((limit("{}"), limit(r#"{"limit":0}"#), limit(r#"{"limit":7}"#)), (None, Some(0), Some(7)));
    }

    #[test]
    fn versions() {
        for good in ["1.0.0", "1.0.2-dev", "1.3.0", "1.9.1+build"] {
            assert!(check_version(good).is_ok(), "{good}");
        }
        for bad in ["", "1", "2.0.0", "0.9.0", "one"] {
            assert!(check_version(bad).is_err(), "{bad}");
        }
    }
}
