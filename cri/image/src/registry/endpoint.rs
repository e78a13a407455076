//! Which servers to ask for an image, and how to connect to them.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::{Client, Url, redirect};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::{Config, Error, HostConfig, Result};

/// One server that may have the image.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    /// `http[s]://host[:port][/prefix]` without a slash at the end.
    pub base: String,
    /// For messages.
    pub host: String,
    /// Credentials are for the registry itself, never for its mirrors.
    pub is_mirror: bool,
    pub client: Client,
}

/// Connections are kept between pulls.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    by_host: Mutex<HashMap<(String, bool), Client>>,
}

impl Clients {
    /// Mirrors first, then the registry itself.
    pub(super) fn endpoints(&self, config: &Config, host: &str) -> Result<Vec<Endpoint>> {
        let settings = config.hosts.get(host).cloned().unwrap_or_default();
        let mut endpoints = Vec::new();
        for mirror in &settings.mirrors {
            let base = mirror.trim_end_matches('/').to_owned();
            let (url, mirror_host) = parse(&base)?;
            let own = config.hosts.get(&mirror_host).cloned().unwrap_or_default();
            let client = self.client(config, &mirror_host, &own, url.scheme() == "http")?;
            endpoints.push(Endpoint { base, host: mirror_host, is_mirror: true, client });
        }
        if settings.mirrors_only && !endpoints.is_empty() {
            return Ok(endpoints);
        }
        // The one registry whose name is not its address.
        let address = if host == "docker.io" { "registry-1.docker.io" } else { host };
        let plain = is_plain(config, host, &settings);
        let base = format!("{}://{address}", if plain { "http" } else { "https" });
        parse(&base)?;
        let client = self.client(config, host, &settings, plain)?;
        endpoints.push(Endpoint { base, host: host.to_owned(), is_mirror: false, client });
        Ok(endpoints)
    }

    fn client(&self, config: &Config, host: &str, settings: &HostConfig, plain: bool) -> Result<Client> {
        let mut clients = self.by_host.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (host.to_owned(), plain);
        if let Some(client) = clients.get(&key) {
            return Ok(client.clone());
        }
        let client = build(config, host, settings, plain)?;
        clients.insert(key, client.clone());
        Ok(client)
    }
}

/// Loopback speaks http unless something says that it has a certificate.
fn is_plain(config: &Config, host: &str, settings: &HostConfig) -> bool {
    settings.plain_http.unwrap_or_else(|| {
        is_loopback(host) && settings.ca_file.is_none() && !config.certs_dir.join(host).is_dir()
    })
}

/// `host` may have a port.
pub(super) fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn parse(base: &str) -> Result<(Url, String)> {
    let bad = || Error::BadConfig(format!("{base:?} is no http:// or https:// address of a registry"));
    let url = Url::parse(base).map_err(|_| bad())?;
    let plain_parts = url.username().is_empty() && url.query().is_none() && url.fragment().is_none();
    if !matches!(url.scheme(), "http" | "https") || !plain_parts {
        return Err(bad());
    }
    let host = url.host_str().ok_or_else(bad)?;
    let host = match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    Ok((url, host))
}

fn build(config: &Config, host: &str, settings: &HostConfig, plain: bool) -> Result<Client> {
    let mut builder = Client::builder()
        .user_agent(concat!("husk/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(config.connect_timeout_s))
        .read_timeout(Duration::from_secs(config.idle_timeout_s))
        .redirect(redirect::Policy::custom(redirected))
        // A descriptor's bytes are wanted as they are, and a cookie would mix two users' pulls.
        .referer(false)
        .http1_only()
        .tls_backend_preconfigured(tls(config, host, settings, plain)?);
    if is_loopback(host) {
        // A proxy's loopback is not ours.
        builder = builder.no_proxy();
    }
    builder
        .build()
        .map_err(|error| Error::BadConfig(format!("client for {host}: {}", super::answer::innermost(&error))))
}

/// Redirects are usual (blobs lie elsewhere); credentials are left behind by the client when the host changes. What came
/// by https does not go on in the clear.
fn redirected(attempt: redirect::Attempt<'_>) -> redirect::Action {
    if attempt.previous().len() > 10 {
        return attempt.error("more than 10 redirects");
    }
    let from_tls = attempt.previous().last().is_some_and(|url| url.scheme() == "https");
    if from_tls && attempt.url().scheme() != "https" {
        return attempt.error("redirected from https to http");
    }
    attempt.follow()
}

fn tls(config: &Config, host: &str, settings: &HostConfig, plain: bool) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    // A plain connection may still be redirected to a TLS one, but an unreadable CA file is none of its business.
    let system = rustls_native_certs::load_native_certs();
    for error in &system.errors {
        tracing::debug!(%error, "a system certificate can't be read");
    }
    roots.add_parsable_certificates(system.certs);
    let mut files = Vec::new();
    if !plain {
        files.extend(settings.ca_file.clone());
        let dir = config.certs_dir.join(host);
        if dir.is_dir() {
            let found = crate::store::disk::list(&dir)?;
            files.extend(found.into_iter().filter(|path| path.extension().is_some_and(|ext| ext == "crt")));
        }
    }
    for path in files {
        for certificate in certificates(&path)? {
            roots
                .add(certificate)
                .map_err(|error| Error::BadConfig(format!("{}: {error}", path.display())))?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Internal(error.to_string()))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let bad = |reason: String| Error::BadConfig(format!("{}: {reason}", path.display()));
    let pem = std::fs::read(path).map_err(|error| bad(error.to_string()))?;
    let all = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
    let all = all.map_err(|error| bad(error.to_string()))?;
    if all.is_empty() { Err(bad("it has no certificate".into())) } else { Ok(all) }
}

/// The host part of a URL, for messages.
pub(super) fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or("?");
    let host = match host.parse::<Ipv6Addr>() {
        Ok(_) => format!("[{host}]"),
        Err(_) => host.to_owned(),
    };
    url.port().map_or(host.clone(), |port| format!("{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bases(config: &Config, host: &str) -> Vec<String> {
        let endpoints = Clients::default().endpoints(config, host).unwrap();
        endpoints.into_iter().map(|endpoint| endpoint.base).collect()
    }

    #[test]
    fn loopback_is_plain_unless_told_otherwise() {
        let temp = tempfile::tempdir().unwrap();
        let mut config = Config { certs_dir: temp.path().into(), ..Config::default() };
        assert_eq!(bases(&config, "127.0.0.1:5000"), ["http://127.0.0.1:5000"]);
        assert_eq!(bases(&config, "localhost"), ["http://localhost"]);
        assert_eq!(bases(&config, "[::1]:5000"), ["http://[::1]:5000"]);
        assert_eq!(bases(&config, "127.0.0.1.example"), ["https://127.0.0.1.example"]);
        assert_eq!(bases(&config, "docker.io"), ["https://registry-1.docker.io"]);
        std::fs::create_dir(temp.path().join("127.0.0.1:5000")).unwrap();
        assert_eq!(bases(&config, "127.0.0.1:5000"), ["https://127.0.0.1:5000"]);
        let plain = HostConfig { plain_http: Some(true), ..HostConfig::default() };
        config.hosts.insert("r.example".into(), plain);
        assert_eq!(bases(&config, "r.example"), ["http://r.example"]);
    }

    #[test]
    fn mirrors_come_first() {
        let mut config = Config::default();
        let mirrors = vec!["http://127.0.0.1:1/".into(), "https://m.example/cache".into()];
        config
            .hosts
            .insert("r.example".into(), HostConfig { mirrors: mirrors.clone(), ..HostConfig::default() });
        config.hosts.insert(
            "only.example".into(),
            HostConfig { mirrors, mirrors_only: true, ..HostConfig::default() },
        );
        assert_eq!(
            bases(&config, "r.example"),
            ["http://127.0.0.1:1", "https://m.example/cache", "https://r.example"]
        );
        assert_eq!(bases(&config, "only.example").len(), 2);
        config.hosts.insert(
            "bad.example".into(),
            HostConfig { mirrors: vec!["ftp://x".into()], ..HostConfig::default() },
        );
        assert!(Clients::default().endpoints(&config, "bad.example").is_err());
    }
}
