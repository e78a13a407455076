//! An image of Debian's busybox as an OCI layout, made with tar and sha256sum.

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the image is called.
pub const NAME: &str = "registry.invalid/bench/busybox:1";

/// Makes the layout in `dir`.
pub fn layout(dir: &Path) -> Result<PathBuf> {
    let (root, layout) = (dir.join("rootfs"), dir.join("layout"));
    for folder in ["bin", "dev", "etc", "proc", "sys", "tmp"] {
        std::fs::create_dir_all(root.join(folder))?;
    }
    std::fs::copy("/bin/busybox", root.join("bin/busybox")).context("busybox-static")?;
    for applet in ["sh", "sleep", "echo", "true", "yes", "head"] {
        std::fs::hard_link(root.join("bin/busybox"), root.join("bin").join(applet))?;
    }
    std::fs::create_dir_all(layout.join("blobs/sha256"))?;
    let tar = dir.join("layer.tar");
    call(Command::new("tar").arg("-C").arg(&root).arg("-cf").arg(&tar).arg("."))?;
    let layer = blob(&layout, &std::fs::read(&tar)?)?;
    let config = json!({
        "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
        "os": "linux",
        "config": {"Env": ["PATH=/bin"], "Cmd": ["sh"]},
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
    });
    let mut manifest = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json"});
    manifest["config"] = with_type(blob(&layout, &serde_json::to_vec(&config)?)?, "config.v1+json");
    manifest["layers"] = json!([with_type(layer, "layer.v1.tar")]);
    let mut entry = with_type(blob(&layout, &serde_json::to_vec(&manifest)?)?, "manifest.v1+json");
    entry["annotations"] =
        json!({"org.opencontainers.image.ref.name": NAME, "io.containerd.image.name": NAME});
    std::fs::write(layout.join("oci-layout"), br#"{"imageLayoutVersion": "1.0.0"}"#)?;
    let index = json!({"schemaVersion": 2, "manifests": [entry]});
    std::fs::write(layout.join("index.json"), serde_json::to_vec(&index)?)?;
    Ok(layout)
}

fn with_type(mut descriptor: Value, kind: &str) -> Value {
    descriptor["mediaType"] = json!(format!("application/vnd.oci.image.{kind}"));
    descriptor
}

fn blob(layout: &Path, bytes: &[u8]) -> Result<Value> {
    let file = layout.join("blobs/sha256/new");
    std::fs::write(&file, bytes)?;
    let output = call(Command::new("sha256sum").arg(&file))?;
    let digest = output.split_whitespace().next().context("sha256sum")?;
    std::fs::rename(&file, layout.join("blobs/sha256").join(digest))?;
    Ok(json!({"digest": format!("sha256:{digest}"), "size": bytes.len()}))
}

fn call(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8(output.stdout)?)
}
