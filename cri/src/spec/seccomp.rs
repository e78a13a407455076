//! seccomp profile of a container.

use std::path::Path;

use husk_cri_api::LinuxContainerSecurityContext;
use husk_cri_api::security_profile::ProfileType;
use oci_spec::runtime::LinuxSeccomp;
use serde_json::Value;

use super::caps;
use crate::config::Config;
use crate::error::{Context, Error, Result};

/// OCI's `linux.seccomp`; none: unconfined, as where the client says nothing.
pub fn profile(daemon: &Config, context: &LinuxContainerSecurityContext) -> Result<Option<Value>> {
    let field = "config.linux.security_context.seccomp";
    let Some(wanted) = context.seccomp.as_ref().filter(|_| !context.privileged) else {
        return Ok(None);
    };
    match wanted.profile_type() {
        ProfileType::Unconfined => Ok(None),
        ProfileType::Localhost if wanted.localhost_ref.is_empty() => {
            Err(Error::missing(format!("{field}.localhost_ref")))
        }
        ProfileType::Localhost => {
            // Kubelets of old wrote localhost/PATH.
            let path = wanted.localhost_ref.strip_prefix("localhost/").unwrap_or(&wanted.localhost_ref);
            read(&format!("{field}.localhost_ref"), Path::new(path)).map(Some)
        }
        ProfileType::RuntimeDefault if !daemon.security.seccomp_profile.as_os_str().is_empty() => {
            read("security.seccomp_profile", &daemon.security.seccomp_profile).map(Some)
        }
        ProfileType::RuntimeDefault => {
            let names = caps::Sets::of(context)?.names();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            serde_json::to_value(husk_seccomp::default_profile(&names))
                .on("encode", "the default seccomp profile")
                .map(Some)
        }
    }
}

fn read(field: &str, path: &Path) -> Result<Value> {
    let bad = |why: String| Error::invalid(field, format!("{}: {why}", path.display()));
    if !path.is_absolute() {
        return Err(bad("is not an absolute path".into()));
    }
    let text = std::fs::read(path).map_err(|e| bad(e.to_string()))?;
    let profile: LinuxSeccomp = serde_json::from_slice(&text).map_err(|e| bad(e.to_string()))?;
    serde_json::to_value(profile).map_err(|e| bad(e.to_string()))
}
