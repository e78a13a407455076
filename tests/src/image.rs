//! Images made by tests: tars written byte by byte (so that they can be as hostile as they like), compressed, described
//! by OCI or Docker documents, and laid out as an OCI layout or pushed to a registry.

use std::io::Write;
use std::path::Path;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// `sha256:` and the digits.
pub fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// A tar under construction. No name is checked.
#[derive(Debug, Default, Clone)]
pub struct Tar {
    bytes: Vec<u8>,
}

/// The fields of a header that tests set.
#[derive(Debug, Clone)]
pub struct Header<'a> {
    /// Name as it is written.
    pub name: &'a str,
    /// ustar's type flag.
    pub kind: u8,
    /// Permission bits.
    pub mode: u32,
    /// Owner and group.
    pub owner: (u32, u32),
    /// Target of a link.
    pub link: &'a str,
    /// Size that the header claims.
    pub size: u64,
    /// Seconds since the epoch.
    pub mtime: u64,
    /// Device numbers.
    pub device: (u32, u32),
}

impl Default for Header<'_> {
    fn default() -> Self {
        Header {
            name: "x",
            kind: b'0',
            mode: 0o644,
            owner: (0, 0),
            link: "",
            size: 0,
            mtime: 1_700_000_000,
            device: (0, 0),
        }
    }
}

impl Tar {
    /// An empty one.
    pub fn new() -> Tar {
        Tar::default()
    }

    /// Any header with any data; the data is padded to whole blocks.
    pub fn entry(mut self, header: &Header<'_>, data: &[u8]) -> Tar {
        let mut block = [0_u8; 512];
        let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
        assert!(header.name.len() <= 100 && header.link.len() <= 100, "use pax() for long names");
        put(0, header.name.as_bytes());
        put(100, format!("{:07o}\0", header.mode).as_bytes());
        put(108, format!("{:07o}\0", header.owner.0).as_bytes());
        put(116, format!("{:07o}\0", header.owner.1).as_bytes());
        put(124, format!("{:011o}\0", header.size).as_bytes());
        put(136, format!("{:011o}\0", header.mtime).as_bytes());
        put(148, b"        ");
        put(156, &[header.kind]);
        put(157, header.link.as_bytes());
        put(257, b"ustar\x0000");
        put(329, format!("{:07o}\0", header.device.0).as_bytes());
        put(337, format!("{:07o}\0", header.device.1).as_bytes());
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.bytes.extend_from_slice(&block);
        self.bytes.extend_from_slice(data);
        self.bytes.resize(self.bytes.len().next_multiple_of(512), 0);
        self
    }

    /// A PAX header for the next entry.
    pub fn pax(self, records: &[(&str, &[u8])]) -> Tar {
        let mut data = Vec::new();
        for (key, value) in records {
            let body = key.len() + value.len() + 3;
            let mut length = body + 1;
            while length != body + length.to_string().len() {
                length = body + length.to_string().len();
            }
            data.extend_from_slice(format!("{length} {key}=").as_bytes());
            data.extend_from_slice(value);
            data.push(b'\n');
        }
        let header =
            Header { name: "PaxHeaders/x", kind: b'x', size: data.len() as u64, ..Header::default() };
        self.entry(&header, &data)
    }

    /// A regular file.
    pub fn file(self, name: &str, mode: u32, data: &[u8]) -> Tar {
        self.entry(&Header { name, mode, size: data.len() as u64, ..Header::default() }, data)
    }

    /// A directory.
    pub fn dir(self, name: &str, mode: u32) -> Tar {
        self.entry(&Header { name, mode, kind: b'5', ..Header::default() }, &[])
    }

    /// A symlink.
    pub fn symlink(self, name: &str, link: &str) -> Tar {
        self.entry(&Header { name, link, mode: 0o777, kind: b'2', ..Header::default() }, &[])
    }

    /// A hard link to a program: containerd gives the file the mode of its last link.
    pub fn hard_link(self, name: &str, link: &str) -> Tar {
        self.entry(&Header { name, link, mode: 0o755, kind: b'1', ..Header::default() }, &[])
    }

    /// The archive with its end.
    pub fn finish(mut self) -> Vec<u8> {
        self.bytes.resize(self.bytes.len() + 1024, 0);
        self.bytes
    }
}

/// How a layer is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    Plain,
    /// gzip.
    Gzip,
    /// zstd.
    Zstd,
}

/// Which family of media types describes an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// OCI image spec.
    Oci,
    /// Docker image manifest v2 schema 2.
    Docker,
}

/// A compressed tar.
#[derive(Debug, Clone)]
pub struct Layer {
    /// As the registry has it.
    pub blob: Vec<u8>,
    /// Digest of the tar.
    pub diff_id: String,
    /// How the blob is compressed.
    pub compression: Compression,
}

impl Layer {
    /// Compresses a tar.
    pub fn new(tar: Tar, compression: Compression) -> Layer {
        Layer::from_bytes(&tar.finish(), compression)
    }

    /// Compresses bytes that may be anything.
    pub fn from_bytes(tar: &[u8], compression: Compression) -> Layer {
        let blob = match compression {
            Compression::Plain => tar.to_vec(),
            Compression::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(tar).expect("gzip");
                encoder.finish().expect("gzip")
            }
            Compression::Zstd => zstd::encode_all(tar, 1).expect("zstd"),
        };
        Layer { blob, diff_id: digest(tar), compression }
    }
}

/// An image with its documents.
#[derive(Debug, Clone)]
pub struct Image {
    /// Lowest first.
    pub layers: Vec<Layer>,
    /// The config document.
    pub config: Vec<u8>,
    /// The manifest document.
    pub manifest: Vec<u8>,
    /// Media type of the manifest.
    pub media_type: &'static str,
}

impl Image {
    /// An OCI image for this machine; `run` is the config's part about running (`Env`, `Cmd`, `User` and so on).
    pub fn new(layers: Vec<Layer>, run: &Value) -> Image {
        Image::with(layers, run, Family::Oci, &arch())
    }

    /// An image of either family for any architecture.
    pub fn with(layers: Vec<Layer>, run: &Value, family: Family, architecture: &str) -> Image {
        let diff_ids: Vec<&str> = layers.iter().map(|layer| layer.diff_id.as_str()).collect();
        let config = json!({
            "architecture": architecture, "os": "linux", "config": run,
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
        });
        let config = serde_json::to_vec(&config).expect("json");
        let (media_type, config_type) = match family {
            Family::Oci => {
                ("application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.config.v1+json")
            }
            Family::Docker => (
                "application/vnd.docker.distribution.manifest.v2+json",
                "application/vnd.docker.container.image.v1+json",
            ),
        };
        let described: Vec<Value> = layers
            .iter()
            .map(|layer| {
                let kind = match (family, layer.compression) {
                    (Family::Docker, Compression::Plain) => "application/vnd.docker.image.rootfs.diff.tar",
                    (Family::Docker, _) => "application/vnd.docker.image.rootfs.diff.tar.gzip",
                    (Family::Oci, Compression::Plain) => "application/vnd.oci.image.layer.v1.tar",
                    (Family::Oci, Compression::Gzip) => "application/vnd.oci.image.layer.v1.tar+gzip",
                    (Family::Oci, Compression::Zstd) => "application/vnd.oci.image.layer.v1.tar+zstd",
                };
                descriptor(kind, &layer.blob)
            })
            .collect();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": media_type,
            "config": descriptor(config_type, &config), "layers": described,
        });
        let manifest = serde_json::to_vec(&manifest).expect("json");
        Image { layers, config, manifest, media_type }
    }

    /// The image id that a runtime gives it.
    pub fn id(&self) -> String {
        digest(&self.config)
    }

    /// Digest of the manifest.
    pub fn digest(&self) -> String {
        digest(&self.manifest)
    }

    /// Config and layers.
    pub fn blobs(&self) -> Vec<&[u8]> {
        let mut blobs = vec![self.config.as_slice()];
        blobs.extend(self.layers.iter().map(|layer| layer.blob.as_slice()));
        blobs
    }

    /// Writes an OCI layout of this one image, with a name if one is given.
    pub fn write_layout(&self, dir: &Path, name: Option<&str>) {
        let blobs = dir.join("blobs/sha256");
        std::fs::create_dir_all(&blobs).expect("mkdir");
        for blob in self.blobs().into_iter().chain([self.manifest.as_slice()]) {
            std::fs::write(blobs.join(&digest(blob)["sha256:".len()..]), blob).expect("write");
        }
        std::fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("write");
        let mut entry = descriptor(self.media_type, &self.manifest);
        if let Some(name) = name {
            entry["annotations"] = json!({ "org.opencontainers.image.ref.name": name });
        }
        let index = json!({ "schemaVersion": 2, "manifests": [entry] });
        std::fs::write(dir.join("index.json"), index.to_string()).expect("write");
    }
}

/// An index of several platforms; its images have to be pushed before it.
pub fn index(images: &[(&Image, &str)], family: Family) -> (Vec<u8>, &'static str) {
    let media_type = match family {
        Family::Oci => "application/vnd.oci.image.index.v1+json",
        Family::Docker => "application/vnd.docker.distribution.manifest.list.v2+json",
    };
    let entries: Vec<Value> = images
        .iter()
        .map(|(image, architecture)| {
            let mut entry = descriptor(image.media_type, &image.manifest);
            entry["platform"] = json!({ "os": "linux", "architecture": architecture });
            entry
        })
        .collect();
    let index = json!({ "schemaVersion": 2, "mediaType": media_type, "manifests": entries });
    (serde_json::to_vec(&index).expect("json"), media_type)
}

/// A descriptor of bytes.
pub fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({ "mediaType": media_type, "digest": digest(bytes), "size": bytes.len() })
}

/// This machine's architecture, as images name it.
pub fn arch() -> String {
    match std::env::consts::ARCH {
        "x86_64" => "amd64".into(),
        "aarch64" => "arm64".into(),
        other => other.into(),
    }
}

/// A root filesystem that runs: Debian's static busybox with its applets as hard links, a passwd and a group file.
pub fn busybox() -> Tar {
    let program = std::fs::read("/bin/busybox").expect("busybox-static is installed");
    let mut tar = Tar::new().dir("./", 0o755);
    for dir in ["bin", "dev", "etc", "proc", "root", "sys", "usr", "usr/bin", "var"] {
        tar = tar.dir(dir, 0o755);
    }
    tar = tar.dir("tmp", 0o1777).file("bin/busybox", 0o755, &program);
    let applets = std::process::Command::new("/bin/busybox").arg("--list").output().expect("busybox --list");
    for applet in String::from_utf8_lossy(&applets.stdout).lines().filter(|applet| *applet != "busybox") {
        tar = tar.hard_link(&format!("bin/{applet}"), "bin/busybox");
    }
    tar.file("etc/passwd", 0o644, b"root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33::/var/www:/bin/false\nnobody:x:65534:65534::/:/bin/false\n")
        .file("etc/group", 0o644, b"root:x:0:\nwww-data:x:33:\nnobody:x:65534:\n")
}
