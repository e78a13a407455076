//! Device nodes of /dev.

use super::{Error, Result, mounts};
use oci_spec::runtime::{LinuxDevice, LinuxDeviceType};
use rustix::fs::FileType;
use std::path::{Path, PathBuf};

/// One device node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Index in `linux.devices`; none for one of the default devices.
    pub index: Option<usize>,
    /// Absolute path in the container.
    pub path: PathBuf,
    /// Character or block device, or FIFO.
    pub kind: FileType,
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
    /// Permission bits.
    pub mode: u32,
    /// Owner in the container.
    pub uid: u32,
    /// Group in the container.
    pub gid: u32,
}

impl Device {
    /// `linux.devices[1] (/dev/fuse)`, for messages.
    pub fn place(&self) -> String {
        match self.index {
            Some(index) => format!("linux.devices[{index}] ({})", self.path.display()),
            None => format!("default device {}", self.path.display()),
        }
    }
}

/// The devices that every container has (config-linux.md, "Default Devices").
const DEFAULTS: [(&str, u32, u32); 6] = [
    ("/dev/null", 1, 3),
    ("/dev/zero", 1, 5),
    ("/dev/full", 1, 7),
    ("/dev/random", 1, 8),
    ("/dev/urandom", 1, 9),
    ("/dev/tty", 5, 0),
];

/// Plans the devices: those of the configuration, and the default ones that it does not name itself.
pub fn plan(devices: &[LinuxDevice], with_defaults: bool) -> Result<Vec<Device>> {
    let mut planned = Vec::new();
    if with_defaults {
        for (path, major, minor) in DEFAULTS {
            let path = PathBuf::from(path);
            if !devices.iter().any(|device| mounts::normalize(device.path()) == path) {
                let kind = FileType::CharacterDevice;
                planned.push(Device { index: None, path, kind, major, minor, mode: 0o666, uid: 0, gid: 0 });
            }
        }
    }
    for (index, device) in devices.iter().enumerate() {
        let device = one(index, device)?;
        // The container's own devpts has it, behind the link that init makes; as a node it would be the host's.
        if (device.path.as_path(), device.major, device.minor) != (Path::new("/dev/ptmx"), 5, 2) {
            planned.push(device);
        }
    }
    Ok(planned)
}

fn one(index: usize, device: &LinuxDevice) -> Result<Device> {
    let at = |field: &str| format!("linux.devices[{index}].{field}");
    if !device.path().is_absolute() || mounts::normalize(device.path()) == Path::new("/") {
        let problem = format!("{:?} is not the absolute path of a file", device.path().display());
        return Err(Error::new(at("path"), problem));
    }
    let kind = match device.typ() {
        LinuxDeviceType::C | LinuxDeviceType::U => FileType::CharacterDevice,
        LinuxDeviceType::B => FileType::BlockDevice,
        LinuxDeviceType::P => FileType::Fifo,
        LinuxDeviceType::A => {
            return Err(Error::new(at("type"), "\"a\" is for device rules; a node is of type c, b, u or p"));
        }
    };
    let number = |field: &str, value: i64, max: u32| {
        if kind == FileType::Fifo {
            return Ok(0);
        }
        u32::try_from(value).ok().filter(|number| *number <= max).ok_or_else(|| {
            Error::new(at(field), format!("{value} is not a device number between 0 and {max}"))
        })
    };
    Ok(Device {
        index: Some(index),
        path: mounts::normalize(device.path()),
        kind,
        // The kernel has 12 bits for the major number and 20 for the minor.
        major: number("major", device.major(), 0xfff)?,
        minor: number("minor", device.minor(), 0xf_ffff)?,
        mode: device.file_mode().unwrap_or(0o666) & 0o7777,
        uid: device.uid().unwrap_or(0),
        gid: device.gid().unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::plan;
    use oci_spec::runtime::LinuxDevice;

    fn device(json: &str) -> LinuxDevice {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_default_device_can_be_replaced() {
        let null = device(r#"{"path":"/dev/null","type":"c","major":1,"minor":3,"fileMode":384,"uid":5}"#);
        let planned = plan(&[null], true).unwrap();
        assert_eq!(planned.len(), 6);
        let null = planned.iter().find(|device| device.path.ends_with("null")).unwrap();
        assert_eq!((null.mode, null.uid), (0o600, 5));
        assert!(plan(&[], false).unwrap().is_empty());
    }

    #[test]
    fn ptmx_is_that_of_the_containers_own_terminals() {
        let ptmx = device(r#"{"path":"/dev/ptmx","type":"c","major":5,"minor":2}"#);
        assert!(plan(&[ptmx], false).unwrap().is_empty());
    }

    #[test]
    fn wrong_devices_name_their_place() {
        for (json, path) in [
            (r#"{"path":"null","type":"c"}"#, "linux.devices[0].path"),
            (r#"{"path":"/dev/x","type":"a"}"#, "linux.devices[0].type"),
            (r#"{"path":"/dev/x","type":"c","major":-1}"#, "linux.devices[0].major"),
            (r#"{"path":"/dev/x","type":"b","minor":1048576}"#, "linux.devices[0].minor"),
        ] {
            assert_eq!(plan(&[device(json)], true).unwrap_err().path, path, "{json}");
        }
    }
}
