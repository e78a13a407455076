//! Image references: `[host[:port]/]repository[:tag][@digest]`, normalised as everybody's tools do.

use std::fmt;
use std::str::FromStr;

use crate::{Digest, Error};

const DEFAULT_HOST: &str = "docker.io";
const DEFAULT_TAG: &str = "latest";

/// A normalised reference: `busybox` is `docker.io/library/busybox:latest`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reference {
    /// Registry with its port, if one was given.
    pub host: String,
    /// Repository below the registry.
    pub repository: String,
    /// Tag; `latest` if neither tag nor digest was given.
    pub tag: Option<String>,
    /// Digest of the manifest or index.
    pub digest: Option<Digest>,
}

impl Reference {
    /// Host and repository, as in `repo_digests` before the `@`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.host, self.repository)
    }

    /// Name and tag, as in `repo_tags`; nothing for a reference by digest.
    pub fn tagged(&self) -> Option<String> {
        match (&self.tag, &self.digest) {
            (Some(tag), None) => Some(format!("{}:{tag}", self.name())),
            _ => None,
        }
    }

    /// What stands in a manifest's URL: the digest if there is one, else the tag.
    pub(crate) fn target(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => tag.clone(),
            (None, None) => DEFAULT_TAG.into(),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl FromStr for Reference {
    type Err = Error;

    fn from_str(text: &str) -> Result<Reference, Error> {
        parse(text).map_err(|reason| Error::BadReference { reference: text.into(), reason })
    }
}

fn parse(text: &str) -> Result<Reference, &'static str> {
    if text.len() > 1024 {
        return Err("longer than 1024 bytes");
    }
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) => {
            let digest = digest.parse().map_err(|_| "the digest is not sha256: and 64 hexadecimal digits")?;
            (rest, Some(digest))
        }
        None => (text, None),
    };
    // A colon after the last slash starts the tag; one before it belongs to the port.
    let (name, tag) = match rest.rfind(':') {
        Some(colon) if !rest[colon..].contains('/') => (&rest[..colon], Some(&rest[colon + 1..])),
        _ => (rest, None),
    };
    if let Some(tag) = tag {
        check_tag(tag)?;
    }
    let (host, repository) = match name.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => (first, rest.to_owned()),
        _ => (DEFAULT_HOST, name.to_owned()),
    };
    check_host(host)?;
    check_repository(&repository)?;
    let host = if host == "index.docker.io" { DEFAULT_HOST } else { host };
    let repository = match repository.contains('/') {
        false if host == DEFAULT_HOST => format!("library/{repository}"),
        _ => repository,
    };
    let tag = match (tag, &digest) {
        (Some(tag), _) => Some(tag.to_owned()),
        (None, Some(_)) => None,
        (None, None) => Some(DEFAULT_TAG.to_owned()),
    };
    Ok(Reference { host: host.to_owned(), repository, tag, digest })
}

fn check_tag(tag: &str) -> Result<(), &'static str> {
    let mut bytes = tag.bytes();
    let first_ok = bytes.next().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !first_ok || tag.len() > 128 || !bytes.all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b)) {
        return Err("a tag has 1 to 128 letters, digits, '_', '.', '-' and does not start with '.' or '-'");
    }
    Ok(())
}

fn check_host(host: &str) -> Result<(), &'static str> {
    const REASON: &str = "the registry is no host name or address with an optional port";
    let (name, port) = match host.strip_prefix('[') {
        // An IPv6 address in brackets.
        Some(rest) => {
            let (address, port) = rest.split_once(']').ok_or(REASON)?;
            address.parse::<std::net::Ipv6Addr>().map_err(|_| REASON)?;
            ("v6", if port.is_empty() { None } else { Some(port.strip_prefix(':').ok_or(REASON)?) })
        }
        None => match host.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (host, None),
        },
    };
    if port.is_some_and(|port| port.parse::<u16>().is_err() || !port.bytes().all(|b| b.is_ascii_digit())) {
        return Err(REASON);
    }
    let label_ok = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if name.split('.').all(label_ok) { Ok(()) } else { Err(REASON) }
}

fn check_repository(repository: &str) -> Result<(), &'static str> {
    if repository.is_empty() {
        return Err("the repository is empty");
    }
    if repository.len() > 255 {
        return Err("the repository is longer than 255 bytes");
    }
    let component_ok = |component: &str| {
        let inner =
            component.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b));
        let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        inner
            && edge(component.bytes().next())
            && edge(component.bytes().last())
            && !component.contains("..")
            && !component.contains("___")
    };
    if repository.split('/').all(component_ok) {
        Ok(())
    } else {
        Err("a repository has lower-case letters, digits and single '.', '_', '-' between them")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn full(text: &str) -> String {
        text.parse::<Reference>().unwrap().to_string()
    }

    #[test]
    fn short_names_are_completed() {
        assert_eq!(full("busybox"), "docker.io/library/busybox:latest");
        assert_eq!(full("a/b:1"), "docker.io/a/b:1");
        assert_eq!(full("index.docker.io/busybox"), "docker.io/library/busybox:latest");
        assert_eq!(full("localhost/x"), "localhost/x:latest");
        assert_eq!(full("127.0.0.1:5000/x/y:v1"), "127.0.0.1:5000/x/y:v1");
        assert_eq!(full("[::1]:5000/x"), "[::1]:5000/x:latest");
        assert_eq!(full("registry.example:443/x"), "registry.example:443/x:latest");
    }

    #[test]
    fn a_digest_stands_beside_or_instead_of_the_tag() {
        let digest = Digest::of(b"x");
        let only: Reference = format!("r.example/x@{digest}").parse().unwrap();
        assert_eq!((only.tag.clone(), only.tagged(), only.target()), (None, None, digest.to_string()));
        let both: Reference = format!("r.example/x:1@{digest}").parse().unwrap();
        assert_eq!(
            (both.tag.as_deref(), both.tagged(), both.target()),
            (Some("1"), None, digest.to_string())
        );
    }

    #[test]
    fn what_is_no_reference_is_refused() {
        let long = "a".repeat(256);
        for bad in [
            "",
            ":",
            "@",
            "x:",
            "x@",
            "X",
            "a//b",
            "/a",
            "a/",
            "../x",
            "a/../b",
            "a b",
            "x:-1",
            "h.:/x",
            "h:99999/x",
            "x@sha256:12",
            "[::g]/x",
            "x/y?z",
            "x\n",
            "é",
            &long,
        ] {
            assert!(bad.parse::<Reference>().is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_is_stable(text in ".{0,60}") {
            if let Ok(reference) = text.parse::<Reference>() {
                let again: Reference = reference.to_string().parse().unwrap();
                prop_assert_eq!(&again, &reference);
                prop_assert!(!reference.repository.split('/').any(|part| part == ".." || part == "."));
            }
        }
    }
}
