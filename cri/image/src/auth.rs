//! Credentials of one pull.

use std::fmt;
use std::hash::{Hash, Hasher};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::Error;

/// Credentials as CRI's `AuthConfig` has them. `Debug` shows the kind alone.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Auth {
    /// None.
    #[default]
    Anonymous,
    /// User and password, for the registry itself or for its token server.
    Basic {
        /// User name.
        username: String,
        /// Password.
        password: String,
    },
    /// A long-lived token that the token server changes into short-lived ones (`identity_token`).
    Identity(String),
    /// A token sent to the registry as it is (`registry_token`).
    Bearer(String),
}

impl Auth {
    /// From the fields of CRI's `AuthConfig`; empty ones are absent.
    ///
    /// # Errors
    /// `auth` is set, but is not base64 of `user:password`.
    pub fn from_cri(
        username: &str,
        password: &str,
        auth: &str,
        identity_token: &str,
        registry_token: &str,
    ) -> Result<Auth, Error> {
        if !registry_token.is_empty() {
            return Ok(Auth::Bearer(registry_token.into()));
        }
        if !identity_token.is_empty() {
            return Ok(Auth::Identity(identity_token.into()));
        }
        if !username.is_empty() {
            return Ok(Auth::Basic { username: username.into(), password: password.into() });
        }
        if auth.is_empty() {
            return Ok(Auth::Anonymous);
        }
        let bad = || Error::BadConfig("auth is not base64 of user:password".into());
        let plain = STANDARD.decode(auth.trim()).map_err(|_| bad())?;
        let plain = String::from_utf8(plain).map_err(|_| bad())?;
        let (username, password) = plain.split_once(':').ok_or_else(bad)?;
        // Some writers of such files pad the password with NUL bytes.
        Ok(Auth::Basic { username: username.into(), password: password.trim_end_matches('\0').into() })
    }
}

impl Hash for Auth {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Auth::Anonymous => 0_u8.hash(state),
            Auth::Basic { username, password } => (1_u8, username, password).hash(state),
            Auth::Identity(token) => (2_u8, token).hash(state),
            Auth::Bearer(token) => (3_u8, token).hash(state),
        }
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Auth::Anonymous => "Anonymous",
            Auth::Basic { .. } => "Basic(..)",
            Auth::Identity(_) => "Identity(..)",
            Auth::Bearer(_) => "Bearer(..)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_cri_become_one_kind() {
        let basic = Auth::Basic { username: "u".into(), password: "p:q".into() };
        assert_eq!(Auth::from_cri("", "", "", "", "").unwrap(), Auth::Anonymous);
        assert_eq!(Auth::from_cri("u", "p:q", "", "", "").unwrap(), basic);
        assert_eq!(Auth::from_cri("", "", &STANDARD.encode("u:p:q"), "", "").unwrap(), basic);
        assert_eq!(Auth::from_cri("u", "p", "", "i", "").unwrap(), Auth::Identity("i".into()));
        assert_eq!(Auth::from_cri("u", "p", "", "i", "r").unwrap(), Auth::Bearer("r".into()));
        assert!(Auth::from_cri("", "", "no base64!", "", "").is_err());
        assert!(Auth::from_cri("", "", &STANDARD.encode("nocolon"), "", "").is_err());
    }

    #[test]
    fn secrets_do_not_show() {
        let auth = Auth::Basic { username: "u".into(), password: "secret".into() };
        assert!(!format!("{auth:?}").contains("secret"));
    }
}
