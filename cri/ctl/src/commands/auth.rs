//! Credentials: from the command line, or from the docker configuration.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::path::{Path, PathBuf};

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use husk_cri_api::AuthConfig;
use serde::Deserialize;

use crate::cli::AuthArgs;

/// Docker's name for its own registry in its configuration.
const DOCKER_HUB: &str = "index.docker.io/v1";

/// `~/.docker/config.json`, of which only stored credentials are read; helpers are programs, and not run.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct DockerConfig {
    auths: BTreeMap<String, Entry>,
}

#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
struct Entry {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
    registrytoken: String,
}

/// Where credentials come from.
#[derive(Debug, Default)]
pub struct Credentials {
    given: Option<AuthConfig>,
    config: DockerConfig,
}

impl Credentials {
    /// Reads what the command line names, once for all images.
    pub fn read(args: &AuthArgs) -> anyhow::Result<Self> {
        if let Some(username) = &args.username {
            let password = if args.password_stdin { first_line()? } else { String::new() };
            let given = AuthConfig { username: username.clone(), password, ..AuthConfig::default() };
            return Ok(Self { given: Some(given), config: DockerConfig::default() });
        }
        let config = match (&args.authfile, default_file()) {
            (Some(named), _) => read_config(named)?,
            (None, Some(usual)) if usual.exists() => read_config(&usual)?,
            _ => DockerConfig::default(),
        };
        Ok(Self { given: None, config })
    }

    /// The credentials for `image`, if there are any.
    pub fn of(&self, image: &str) -> anyhow::Result<Option<AuthConfig>> {
        if self.given.is_some() {
            return Ok(self.given.clone());
        }
        let wanted = repository(image);
        let matches =
            |key: &str| wanted == key || wanted.strip_prefix(key).is_some_and(|rest| rest.starts_with('/'));
        let keys = self.config.auths.iter().map(|(key, entry)| (bare(key), key, entry));
        // The longest key is the most specific: HOST/ORG goes before HOST.
        let best = keys.filter(|(bare, ..)| matches(bare)).max_by_key(|(bare, ..)| bare.len());
        best.map(|(_, key, entry)| decoded(entry).with_context(|| format!("credentials for {key}")))
            .transpose()
    }
}

fn first_line() -> anyhow::Result<String> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).context("read the password from standard input")?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn default_file() -> Option<PathBuf> {
    let dir = std::env::var_os("DOCKER_CONFIG").map(PathBuf::from);
    let dir = dir.or_else(|| Some(Path::new(&std::env::var_os("HOME")?).join(".docker")))?;
    Some(dir.join("config.json"))
}

fn read_config(path: &Path) -> anyhow::Result<DockerConfig> {
    let bytes = std::fs::read(path).with_context(|| format!("open {}", path.display()))?;
    serde_json::from_slice(&bytes).with_context(|| format!("read {}", path.display()))
}

/// `HOST/PATH` of a reference, with Docker's registry where no host is given.
fn repository(image: &str) -> String {
    let name = image.split('@').next().unwrap_or(image);
    match name.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => name.to_owned(),
        _ => format!("{DOCKER_HUB}/{name}"),
    }
}

fn bare(key: &str) -> &str {
    let key = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    match key.trim_end_matches('/') {
        "docker.io" | "index.docker.io" => DOCKER_HUB,
        other => other,
    }
}

fn decoded(entry: &Entry) -> anyhow::Result<AuthConfig> {
    let mut auth = AuthConfig {
        username: entry.username.clone(),
        password: entry.password.clone(),
        identity_token: entry.identitytoken.clone(),
        registry_token: entry.registrytoken.clone(),
        ..AuthConfig::default()
    };
    if !entry.auth.is_empty() {
        let text = String::from_utf8(STANDARD.decode(entry.auth.trim()).context("auth is not base64")?);
        let text = text.context("auth is not UTF-8")?;
        let (name, password) = text.split_once(':').context("auth has no ':'")?;
        auth.username = name.to_owned();
        // Old configurations were padded with zero bytes.
        auth.password = password.trim_end_matches('\0').to_owned();
    }
    Ok(auth)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials(json: &str) -> Credentials {
        Credentials { given: None, config: serde_json::from_str(json).unwrap() }
    }

    #[test]
    fn the_registry_of_an_image_is_found() {
        let all = credentials(
            r#"{"auths": {
                "https://index.docker.io/v1/": {"auth": "aHViOnB3"},
                "127.0.0.1:5000": {"auth": "bG9jYWw6cHc="},
                "127.0.0.1:5000/team": {"username": "team", "password": "x:y"},
                "ghcr.io": {"identitytoken": "t"}}, "credsStore": "desktop"}"#,
        );
        let name = |image: &str| all.of(image).unwrap().map(|a| a.username);
        assert_eq!(name("busybox").as_deref(), Some("hub"));
        assert_eq!(name("library/busybox:1").as_deref(), Some("hub"));
        assert_eq!(name("127.0.0.1:5000/a:1").as_deref(), Some("local"));
        assert_eq!(name("127.0.0.1:5000/team/a@sha256:0").as_deref(), Some("team"));
        assert_eq!(name("127.0.0.1:5000/teams/a").as_deref(), Some("local"));
        assert_eq!(name("quay.io/a"), None);
        assert_eq!(all.of("ghcr.io/a").unwrap().unwrap().identity_token, "t");
    }

    #[test]
    fn a_broken_entry_is_named() {
        for auth in ["!", "aHVi", "/w=="] {
            let all = credentials(&format!(r#"{{"auths": {{"q.io": {{"auth": "{auth}"}}}}}}"#));
            assert!(format!("{:#}", all.of("q.io/a").unwrap_err()).starts_with("credentials for q.io: "));
            assert!(all.of("other.io/a").unwrap().is_none());
        }
    }
}
