//! Indexes, manifests and configs (OCI image spec 1.1; Docker image manifest v2 schema 2).

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{Digest, Error, ImageConfig, Result};

/// Media types that are asked for, and understood.
pub(crate) const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, \
     application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, \
     application/vnd.docker.distribution.manifest.v2+json";

/// Largest manifest or index that is read (what registries accept themselves).
pub(crate) const MAX_MANIFEST: u64 = 4 << 20;
/// Largest config that is read.
pub(crate) const MAX_CONFIG: u64 = 8 << 20;
/// Overlayfs stacks 500 lower directories (kernel: OVL_MAX_STACK); one is kept for a read-only snapshot's own.
pub(crate) const MAX_LAYERS: usize = 499;

/// A piece of content: what it is, its digest, its length.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    #[serde(default)]
    pub media_type: String,
    pub digest: Digest,
    pub size: u64,
    #[serde(default)]
    pub platform: Option<Platform>,
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Platform {
    #[serde(default)]
    pub os: String,
    #[serde(default)]
    pub architecture: String,
    #[serde(default)]
    pub variant: Option<String>,
}

/// One of the two documents that a tag can point to.
#[derive(Debug)]
pub(crate) enum Document {
    Index(Vec<Descriptor>),
    Manifest(Manifest),
}

#[derive(Debug)]
pub(crate) struct Manifest {
    pub config: Descriptor,
    pub layers: Vec<Descriptor>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    schema_version: Option<u64>,
    media_type: Option<String>,
    manifests: Option<Vec<Descriptor>>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
}

impl Document {
    pub fn parse(bytes: &[u8], digest: &Digest) -> Result<Document> {
        let bad =
            |reason: String| Error::BadManifest { what: "manifest", digest: digest.to_string(), reason };
        let raw: Raw = serde_json::from_slice(bytes).map_err(|error| bad(error.to_string()))?;
        if raw.schema_version != Some(2) {
            return Err(bad("its schemaVersion is not 2 (an image of 2015 or before?)".into()));
        }
        if let Some(kind) = &raw.media_type
            && !ACCEPT.split(", ").any(|known| known == kind)
        {
            return Err(bad(format!("it is of the unknown kind {kind}")));
        }
        match (raw.manifests, raw.config, raw.layers) {
            (Some(manifests), None, None) => Ok(Document::Index(manifests)),
            (None, Some(config), Some(layers)) if layers.len() <= MAX_LAYERS => {
                Ok(Document::Manifest(Manifest { config, layers }))
            }
            (None, Some(_), Some(layers)) => {
                Err(bad(format!("it has {} layers, the most is {MAX_LAYERS}", layers.len())))
            }
            // What one reader takes for an index and another for an image can be signed as one and run as the other
            // (CVE-2021-41190).
            (Some(_), ..) => Err(bad("it is both an index and an image".into())),
            _ => Err(bad("it is neither an index nor an image".into())),
        }
    }
}

/// This machine's architecture, as images name it.
pub(crate) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "powerpc64" => "ppc64le",
        other => other,
    }
}

/// The entry of an index for this machine.
pub(crate) fn select<'a>(entries: &'a [Descriptor], reference: &str) -> Result<&'a Descriptor> {
    let is_image = |entry: &&Descriptor| {
        // Signatures and the like lie in indexes, too.
        entry.media_type.is_empty() || ACCEPT.split(", ").any(|known| known == entry.media_type)
    };
    let fits = |entry: &&Descriptor| match &entry.platform {
        Some(platform) => platform.os == "linux" && platform.architecture == architecture(),
        None => false,
    };
    // Of several variants the plainest: v8 is arm64's base, amd64's has no name or v1.
    let plain = |entry: &&&Descriptor| {
        let variant = entry.platform.as_ref().and_then(|platform| platform.variant.as_deref());
        matches!((architecture(), variant), (_, None) | ("arm64", Some("v8")) | ("amd64", Some("v1")))
    };
    let fitting: Vec<&Descriptor> = entries.iter().filter(is_image).filter(fits).collect();
    if let Some(entry) = fitting.iter().find(plain).or(fitting.first()) {
        return Ok(entry);
    }
    // An index of one image that names no platform means that image.
    if let [only] = entries
        && only.platform.is_none()
    {
        return Ok(only);
    }
    let mut available: Vec<String> = entries
        .iter()
        .filter_map(|entry| entry.platform.as_ref())
        .map(|platform| format!("{}/{}", platform.os, platform.architecture))
        .take(20)
        .collect();
    available.sort();
    available.dedup();
    let available = if available.is_empty() { "none".to_owned() } else { available.join(", ") };
    Err(Error::NoPlatform {
        reference: reference.to_owned(),
        wanted: format!("linux/{}", architecture()),
        available,
    })
}

#[derive(Deserialize)]
struct RawConfig {
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    os: String,
    created: Option<String>,
    config: Option<RawRun>,
    rootfs: Option<RawRootfs>,
}

#[derive(Deserialize)]
struct RawRootfs {
    #[serde(default)]
    diff_ids: Vec<Digest>,
}

/// Any of these may be null.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct RawRun {
    user: Option<String>,
    env: Option<Vec<String>>,
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
    working_dir: Option<String>,
    volumes: Option<BTreeMap<String, serde_json::Value>>,
    stop_signal: Option<String>,
    labels: Option<BTreeMap<String, String>>,
}

/// Parses a config: what it says about running, and the diff ids of its layers.
pub(crate) fn parse_config(
    bytes: &[u8],
    digest: &Digest,
    layers: usize,
) -> Result<(ImageConfig, Vec<Digest>)> {
    let bad = |reason: String| Error::BadManifest { what: "config", digest: digest.to_string(), reason };
    let raw: RawConfig = serde_json::from_slice(bytes).map_err(|error| bad(error.to_string()))?;
    let diff_ids = raw.rootfs.map(|rootfs| rootfs.diff_ids).unwrap_or_default();
    if diff_ids.len() != layers {
        let known = diff_ids.len();
        return Err(bad(format!("it knows {known} layers, but the manifest has {layers} (is it an image?)")));
    }
    let run = raw.config.unwrap_or_default();
    let config = ImageConfig {
        user: run.user.unwrap_or_default(),
        env: run.env.unwrap_or_default(),
        entrypoint: run.entrypoint.unwrap_or_default(),
        cmd: run.cmd.unwrap_or_default(),
        working_dir: run.working_dir.unwrap_or_default(),
        volumes: run.volumes.unwrap_or_default().into_keys().collect(),
        stop_signal: run.stop_signal.filter(|signal| !signal.is_empty()),
        labels: run.labels.unwrap_or_default(),
        architecture: raw.architecture,
        os: raw.os,
        created: raw.created,
    };
    Ok((config, diff_ids))
}

/// Refuses an image that can't run here.
pub(crate) fn check_platform(config: &ImageConfig, reference: &str) -> Result<()> {
    let os_fits = config.os.is_empty() || config.os == "linux";
    let architecture_fits = config.architecture.is_empty() || config.architecture == architecture();
    if os_fits && architecture_fits {
        return Ok(());
    }
    Err(Error::NoPlatform {
        reference: reference.to_owned(),
        wanted: format!("linux/{}", architecture()),
        available: format!("{}/{}", config.os, config.architecture),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(os: &str, architecture: &str, variant: Option<&str>, content: &str) -> Descriptor {
        let variant = variant.map(str::to_owned);
        Descriptor {
            media_type: "application/vnd.oci.image.manifest.v1+json".into(),
            digest: Digest::of(content.as_bytes()),
            size: 1,
            platform: Some(Platform { os: os.into(), architecture: architecture.into(), variant }),
            annotations: BTreeMap::new(),
        }
    }

    #[test]
    fn the_machines_own_image_is_selected() {
        let own = architecture();
        let entries = [
            entry("windows", own, None, "w"),
            entry("linux", "sparc", None, "s"),
            entry("linux", own, Some("v9"), "v"),
            entry("linux", own, None, "own"),
        ];
        assert_eq!(select(&entries, "x").unwrap().digest, Digest::of(b"own"));
        let text = select(&entries[..2], "x").unwrap_err().to_string();
        assert!(text.contains("linux/sparc, windows/"), "{text}");
    }

    #[test]
    fn ambiguous_and_foreign_documents_are_refused() {
        let digest = Digest::of(b"");
        let descriptor = format!(r#"{{"digest":"{digest}","size":1}}"#);
        let layers = format!("[{}]", vec![descriptor.clone(); 10_000].join(","));
        for bad in [
            "".to_owned(),
            "[]".into(),
            "{}".into(),
            r#"{"schemaVersion":1}"#.into(),
            r#"{"schemaVersion":2}"#.into(),
            r#"{"schemaVersion":2,"mediaType":"text/plain","manifests":[]}"#.into(),
            format!(r#"{{"schemaVersion":2,"manifests":[],"config":{descriptor},"layers":[]}}"#),
            format!(r#"{{"schemaVersion":2,"config":{descriptor},"layers":{layers}}}"#),
            format!(
                r#"{{"schemaVersion":2,"config":{descriptor},"layers":[{{"digest":"{digest}","size":-1}}]}}"#
            ),
            "[".repeat(100_000),
        ] {
            assert!(Document::parse(bad.as_bytes(), &digest).is_err(), "{bad:.80}");
        }
    }

    #[test]
    fn nulls_in_a_config_are_absent() {
        let diff_id = Digest::of(b"layer");
        let text = format!(
            r#"{{"os":"linux","config":{{"Env":null,"Cmd":["sh"],"Volumes":{{"/v":{{}}}},"StopSignal":""}},"rootfs":{{"diff_ids":["{diff_id}"]}}}}"#
        );
        let (config, diff_ids) = parse_config(text.as_bytes(), &diff_id, 1).unwrap();
        assert_eq!((config.cmd, config.volumes, config.env), (vec!["sh".into()], vec!["/v".into()], vec![]));
        assert_eq!((config.stop_signal, diff_ids), (None, vec![diff_id.clone()]));
        assert!(parse_config(text.as_bytes(), &diff_id, 2).is_err());
    }
}
