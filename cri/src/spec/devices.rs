//! Devices of a container, and what its device cgroup lets through.

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use husk_cri_api::{ContainerConfig, Device};
use serde_json::{Value, json};

use crate::error::{Context, Error, Result};

/// OCI's `linux.devices` and `linux.resources.devices`.
pub fn all(config: &ContainerConfig, privileged: bool) -> Result<(Vec<Value>, Value)> {
    if let Some(device) = config.cdi_devices.first() {
        return Err(Error::invalid("config.CDI_devices", format!("{:?}: CDI is not supported", device.name)));
    }
    let (mut devices, mut rules) = (Vec::new(), Vec::new());
    if privileged {
        host(Path::new("/dev"), Path::new("/dev"), "rwm", &mut devices, &mut Vec::new());
        rules.push(json!({"allow": true, "access": "rwm"}));
    } else {
        rules.push(json!({"allow": false, "access": "rwm"}));
        for (major, minor) in DEFAULT {
            rules.push(json!({"allow": true, "type": "c", "major": major, "minor": minor, "access": "rwm"}));
        }
    }
    for (index, device) in config.devices.iter().enumerate() {
        client(&format!("config.devices[{index}]"), device, &mut devices, &mut rules)?;
    }
    Ok((devices, json!(rules)))
}

/// null, zero, full, random, urandom, tty, console, ptmx and the terminals of the container's own devpts.
const DEFAULT: [(i64, Option<i64>); 9] = [
    (1, Some(3)),
    (1, Some(5)),
    (1, Some(7)),
    (1, Some(8)),
    (1, Some(9)),
    (5, Some(0)),
    (5, Some(1)),
    (5, Some(2)),
    (136, None),
];

fn client(field: &str, device: &Device, devices: &mut Vec<Value>, rules: &mut Vec<Value>) -> Result<()> {
    let access = if device.permissions.is_empty() { "rwm" } else { &device.permissions };
    if access.chars().any(|letter| !"rwm".contains(letter)) {
        let why = format!("{access:?} has other letters than r, w and m");
        return Err(Error::invalid(format!("{field}.permissions"), why));
    }
    if !Path::new(&device.host_path).is_absolute() {
        let why = format!("{:?} is not an absolute path", device.host_path);
        return Err(Error::invalid(format!("{field}.host_path"), why));
    }
    let source = std::fs::canonicalize(&device.host_path).on("resolve", &device.host_path)?;
    let target = if device.container_path.is_empty() { &device.host_path } else { &device.container_path };
    let before = devices.len();
    if source.is_dir() {
        host(&source, Path::new(target), access, devices, rules);
    } else if let Some((node, rule)) = node(&source, Path::new(target), access) {
        devices.push(node);
        rules.push(rule);
    }
    if devices.len() == before {
        return Err(Error::invalid(
            format!("{field}.host_path"),
            format!("{} is no device", source.display()),
        ));
    }
    Ok(())
}

/// Devices below `source`, as they are now: a device that comes or goes meanwhile is no error.
fn host(source: &Path, target: &Path, access: &str, devices: &mut Vec<Value>, rules: &mut Vec<Value>) {
    let mut folders = vec![(source.to_owned(), target.to_owned())];
    while let Some((source, target)) = folders.pop() {
        for item in std::fs::read_dir(&source).into_iter().flatten().flatten() {
            let (path, inside) = (item.path(), target.join(item.file_name()));
            let Ok(kind) = item.file_type() else { continue };
            if kind.is_dir() {
                // Mounts of the container's own, and what belongs to the host's terminals.
                let skip =
                    ["pts", "shm", "mqueue", "fd", "hugepages"].iter().any(|name| item.file_name() == *name);
                if !skip {
                    folders.push((path, inside));
                }
            } else if !["console", "ptmx"].iter().any(|name| item.file_name() == *name)
                && let Some((node, rule)) = node(&path, &inside, access)
            {
                devices.push(node);
                rules.push(rule);
            }
        }
    }
}

fn node(source: &Path, target: &Path, access: &str) -> Option<(Value, Value)> {
    let meta = std::fs::symlink_metadata(source).ok()?;
    let kind = match meta.file_type() {
        kind if kind.is_char_device() => "c",
        kind if kind.is_block_device() => "b",
        _ => return None,
    };
    let (major, minor) = (rustix::fs::major(meta.rdev()), rustix::fs::minor(meta.rdev()));
    let path: PathBuf = target.into();
    let node = json!({
        "path": path, "type": kind, "major": major, "minor": minor,
        "fileMode": meta.mode() & 0o7777, "uid": meta.uid(), "gid": meta.gid(),
    });
    let rule = json!({"allow": true, "type": kind, "major": major, "minor": minor, "access": access});
    Some((node, rule))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(host_path: &str, permissions: &str) -> ContainerConfig {
        let device = Device {
            host_path: host_path.into(),
            container_path: "/dev/x".into(),
            permissions: permissions.into(),
        };
        ContainerConfig { devices: vec![device], ..Default::default() }
    }

    #[test]
    fn a_device_is_made_and_allowed() {
        let (devices, rules) = all(&with("/dev/null", "r"), false).unwrap();
        assert_eq!((&devices[0]["path"], &devices[0]["major"]), (&json!("/dev/x"), &json!(1)));
        assert_eq!(rules[0], json!({"allow": false, "access": "rwm"}));
        let last = rules.as_array().unwrap().last().unwrap();
        assert_eq!(*last, json!({"allow": true, "type": "c", "major": 1, "minor": 3, "access": "r"}));
    }

    #[test]
    fn what_is_no_device_is_refused() {
        let error = all(&with("/etc/passwd", ""), false).unwrap_err().to_string();
        assert!(error.contains("config.devices[0].host_path") && error.contains("no device"), "{error}");
        assert!(all(&with("/dev/null", "rx"), false).is_err());
        assert!(all(&with("dev/null", ""), false).is_err());
    }
}
