//! AppArmor profile of a container.

use husk_cri_api::LinuxContainerSecurityContext;
use husk_cri_api::security_profile::ProfileType;

use crate::error::{Error, Result};

const FIELD: &str = "config.linux.security_context.apparmor";

/// OCI's `process.apparmorProfile`. A profile that is asked for by name is loaded by the node's administrator; husk-cri
/// brings none of its own, so that the runtime's default is no profile.
pub fn profile(context: &LinuxContainerSecurityContext) -> Result<Option<String>> {
    let enabled =
        std::fs::read("/sys/module/apparmor/parameters/enabled").is_ok_and(|text| text.starts_with(b"Y"));
    wanted(context, enabled)
}

fn wanted(context: &LinuxContainerSecurityContext, enabled: bool) -> Result<Option<String>> {
    let Some(asked) = context.apparmor.as_ref().filter(|_| !context.privileged) else {
        return Ok(None);
    };
    if asked.profile_type() != ProfileType::Localhost {
        return Ok(None);
    }
    let name = asked.localhost_ref.strip_prefix("localhost/").unwrap_or(&asked.localhost_ref);
    if name.is_empty() {
        return Err(Error::missing(format!("{FIELD}.localhost_ref")));
    }
    if !enabled {
        let why = format!("{name:?} can't be enforced: AppArmor is not enabled on this host");
        return Err(Error::invalid(format!("{FIELD}.localhost_ref"), why));
    }
    Ok(Some(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use husk_cri_api::SecurityProfile;

    use super::*;

    fn ask(kind: ProfileType, name: &str) -> LinuxContainerSecurityContext {
        let profile = SecurityProfile { profile_type: kind as i32, localhost_ref: name.into() };
        LinuxContainerSecurityContext { apparmor: Some(profile), ..Default::default() }
    }

    #[test]
    fn a_profile_is_enforced_or_refused() {
        let local = ask(ProfileType::Localhost, "localhost/mine");
        assert_eq!(wanted(&local, true).unwrap().as_deref(), Some("mine"));
        assert!(wanted(&local, false).unwrap_err().to_string().contains("mine"));
        assert!(wanted(&ask(ProfileType::Localhost, ""), true).is_err());
        assert_eq!(wanted(&ask(ProfileType::RuntimeDefault, ""), true).unwrap(), None);
    }
}
