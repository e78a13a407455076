//! Hooks: programs that run at six points of a container's life.

use super::{Error, Result};
use oci_spec::runtime::{Hook as OciHook, Hooks as OciHooks};
use std::{path::PathBuf, time::Duration};

/// One hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// `hooks.poststart[0]`, for messages.
    pub place: String,
    /// `poststart hook #0`, as runc calls it.
    pub title: String,
    /// Absolute path of the program.
    pub path: PathBuf,
    /// Its arguments, argv[0] included.
    pub args: Vec<String>,
    /// Its whole environment; without one it has that of the program (startContainer) or of husk, as with runc.
    pub env: Option<Vec<(String, String)>>,
    /// After which time it is killed.
    pub timeout: Option<Duration>,
}

/// All hooks, by the point at which they run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hooks {
    /// Runtime namespace, after the namespaces are made (deprecated form of `create_runtime`).
    pub prestart: Vec<Hook>,
    /// Runtime namespace, after the mounts, before pivot_root.
    pub create_runtime: Vec<Hook>,
    /// Container namespace, before pivot_root.
    pub create_container: Vec<Hook>,
    /// Container namespace, before the program.
    pub start_container: Vec<Hook>,
    /// Runtime namespace, after the program has been started.
    pub poststart: Vec<Hook>,
    /// Runtime namespace, after the container has been deleted.
    pub poststop: Vec<Hook>,
}

/// Plans the hooks.
pub fn plan(hooks: Option<&OciHooks>) -> Result<Hooks> {
    let Some(hooks) = hooks else { return Ok(Hooks::default()) };
    let prestart = hooks.prestart();
    Ok(Hooks {
        prestart: point("prestart", prestart.as_deref())?,
        create_runtime: point("createRuntime", hooks.create_runtime().as_deref())?,
        create_container: point("createContainer", hooks.create_container().as_deref())?,
        start_container: point("startContainer", hooks.start_container().as_deref())?,
        poststart: point("poststart", hooks.poststart().as_deref())?,
        poststop: point("poststop", hooks.poststop().as_deref())?,
    })
}

fn point(name: &str, hooks: Option<&[OciHook]>) -> Result<Vec<Hook>> {
    hooks.unwrap_or_default().iter().enumerate().map(|(index, hook)| one(name, index, hook)).collect()
}

fn one(name: &str, index: usize, hook: &OciHook) -> Result<Hook> {
    let place = format!("hooks.{name}[{index}]");
    if !hook.path().is_absolute() {
        let problem = format!("{:?} is not an absolute path", hook.path().display());
        return Err(Error::new(format!("{place}.path"), problem));
    }
    let mut env = hook.env().as_ref().map(|_| Vec::new());
    for (number, entry) in hook.env().iter().flatten().enumerate() {
        match entry.split_once('=') {
            Some((key, value)) if !key.is_empty() => {
                env.get_or_insert_default().push((key.to_owned(), value.to_owned()));
            }
            _ => {
                return Err(Error::new(
                    format!("{place}.env[{number}]"),
                    format!("{entry:?} is not NAME=value"),
                ));
            }
        }
    }
    let timeout = match hook.timeout() {
        None => None,
        Some(seconds) => match u64::try_from(seconds) {
            Ok(seconds) if seconds > 0 => Some(Duration::from_secs(seconds)),
            _ => {
                let problem = format!("{seconds} is not a number of seconds above 0");
                return Err(Error::new(format!("{place}.timeout"), problem));
            }
        },
    };
    let args = match hook.args() {
        Some(args) if !args.is_empty() => args.clone(),
        _ => vec![hook.path().display().to_string()],
    };
    let title = format!("{name} hook #{index}");
    Ok(Hook { place, title, path: hook.path().clone(), args, env, timeout })
}

#[cfg(test)]
mod tests {
    use super::plan;
    use oci_spec::runtime::Hooks;

    fn hooks(json: &str) -> Hooks {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_hook_has_its_own_environment_and_name() {
        let planned = plan(Some(&hooks(
            r#"{"poststart":[{"path":"/bin/h","env":["A=b=c"],"timeout":3}],"prestart":[{"path":"/p","args":["x"]}]}"#,
        )))
        .unwrap();
        assert_eq!(planned.poststart[0].args, ["/bin/h"]);
        assert_eq!(planned.poststart[0].env, Some(vec![("A".to_owned(), "b=c".to_owned())]));
        assert_eq!(planned.prestart[0].env, None);
        assert_eq!(planned.prestart[0].args, ["x"]);
    }

    #[test]
    fn wrong_hooks_name_their_place() {
        for (json, path) in [
            (r#"{"poststop":[{"path":"rel"}]}"#, "hooks.poststop[0].path"),
            (r#"{"createRuntime":[{"path":"/h","timeout":0}]}"#, "hooks.createRuntime[0].timeout"),
            (r#"{"startContainer":[{"path":"/h","env":["X"]}]}"#, "hooks.startContainer[0].env[0]"),
        ] {
            assert_eq!(plan(Some(&hooks(json))).unwrap_err().path, path, "{json}");
        }
    }
}
