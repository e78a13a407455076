//! Debian's docker-registry on a loopback port of its own, and a small client that pushes images to it.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::image::{Image, digest};

/// A running registry. It ends, and its data goes, with the value.
#[derive(Debug)]
pub struct Registry {
    child: Child,
    /// Port on 127.0.0.1.
    pub port: u16,
    data: PathBuf,
    _dir: tempfile::TempDir,
}

/// What a registry asks of its clients.
#[derive(Debug, Default, Clone)]
pub struct Options {
    /// Files with certificate and key, for https.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// A line of an htpasswd file (bcrypt).
    pub htpasswd: Option<String>,
    /// Another registry's data.
    pub data: Option<PathBuf>,
}

/// Whether the registry's package is there.
pub fn installed() -> bool {
    Path::new("/usr/bin/docker-registry").exists()
}

impl Registry {
    /// Starts one without TLS and passwords.
    pub fn start() -> Registry {
        Registry::with(&Options::default())
    }

    /// Starts one. Several tries, as another process may take the port that was free a moment ago.
    pub fn with(options: &Options) -> Registry {
        for _ in 0..5 {
            if let Some(registry) = Registry::try_start(options) {
                return registry;
            }
        }
        panic!("docker-registry does not start");
    }

    fn try_start(options: &Options) -> Option<Registry> {
        let dir = crate::temp_dir();
        let port = TcpListener::bind("127.0.0.1:0").expect("bind").local_addr().expect("address").port();
        let data = options.data.clone().unwrap_or_else(|| dir.path().join("data"));
        let mut config = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\nstorage:\n  filesystem: \
             {{rootdirectory: {}}}\nhttp:\n  addr: 127.0.0.1:{port}\n  secret: test\n",
            data.display()
        );
        if let Some((certificate, key)) = &options.tls {
            config +=
                &format!("  tls:\n    certificate: {}\n    key: {}\n", certificate.display(), key.display());
        }
        if let Some(line) = &options.htpasswd {
            let path = dir.path().join("htpasswd");
            std::fs::write(&path, format!("{line}\n")).expect("write");
            config += &format!("auth:\n  htpasswd:\n    realm: test\n    path: {}\n", path.display());
        }
        let path = dir.path().join("config.yml");
        std::fs::write(&path, config).expect("write");
        let log = std::fs::File::create(dir.path().join("log")).expect("create");
        let child = Command::new("/usr/bin/docker-registry")
            .arg("serve")
            .arg(&path)
            .env("OTEL_TRACES_EXPORTER", "none")
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("dup"))
            .stderr(log)
            .spawn()
            .expect("docker-registry is installed");
        let mut registry = Registry { child, port, data, _dir: dir };
        let mut died = false;
        crate::wait_until("docker-registry listens", || {
            died = registry.child.try_wait().expect("wait").is_some();
            died || TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        if died { None } else { Some(registry) }
    }

    /// `127.0.0.1:PORT`.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Where its data lies, for a second registry of the same content.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Pushes an image and gives its full reference.
    pub fn push(&self, image: &Image, repository: &str, tag: &str) -> String {
        for blob in image.blobs() {
            self.push_blob(repository, blob);
        }
        self.push_manifest(repository, tag, image.media_type, &image.manifest);
        format!("{}/{repository}:{tag}", self.host())
    }

    /// Pushes one blob.
    pub fn push_blob(&self, repository: &str, blob: &[u8]) {
        let begun = self.request("POST", &format!("/v2/{repository}/blobs/uploads/"), &[], &[]);
        assert_eq!(begun.status, 202, "{begun:?}");
        let location = begun.header("location").expect("a location");
        let path = match location.split_once("://") {
            Some((_, rest)) => &rest[rest.find('/').expect("a path")..],
            None => location,
        };
        let separator = if path.contains('?') { '&' } else { '?' };
        let path = format!("{path}{separator}digest={}", digest(blob));
        let put = self.request("PUT", &path, &[("Content-Type", "application/octet-stream")], blob);
        assert_eq!(put.status, 201, "{put:?}");
    }

    /// Pushes a manifest or index under a tag.
    pub fn push_manifest(&self, repository: &str, tag: &str, media_type: &str, bytes: &[u8]) {
        let path = format!("/v2/{repository}/manifests/{tag}");
        let put = self.request("PUT", &path, &[("Content-Type", media_type)], bytes);
        assert_eq!(put.status, 201, "{put:?}");
    }

    fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("connect");
        stream.set_read_timeout(Some(Duration::from_secs(120))).expect("timeout");
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n",
            self.host(),
            body.len()
        );
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        stream.write_all(format!("{head}\r\n").as_bytes()).expect("write");
        stream.write_all(body).expect("write");
        Answer::read(BufReader::new(stream))
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[derive(Debug)]
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    #[expect(dead_code, reason = "shown when a push fails")]
    body: String,
}

impl Answer {
    fn read(mut reader: impl BufRead) -> Answer {
        let mut line = String::new();
        reader.read_line(&mut line).expect("a status line");
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        let mut headers = Vec::new();
        loop {
            line.clear();
            reader.read_line(&mut line).expect("a header");
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            headers.push((name.to_ascii_lowercase(), value.to_owned()));
        }
        let mut body = String::new();
        let _ = reader.read_to_string(&mut body);
        Answer { status, headers, body }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}
