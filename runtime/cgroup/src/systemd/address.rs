//! Where a systemd can be reached.

use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::path::PathBuf;

use crate::{Error, Result};

/// A connection and what is known of it.
pub(super) struct Reached {
    pub stream: UnixStream,
    /// For messages.
    pub address: String,
    /// systemd itself is at the other end, without a bus between.
    pub direct: bool,
}

/// Connects to the first that answers: the bus of the machine or the user, then systemd's own socket, which is there
/// where no bus is.
pub(super) fn connect(user: bool) -> Result<Reached> {
    let (buses, direct) = if user { of_user()? } else { of_machine()? };
    let mut tried = Vec::new();
    for (list, direct) in [(buses, false), (direct, true)] {
        for address in list.split(';').filter(|address| !address.is_empty()) {
            match open(address) {
                Ok(stream) => return Ok(Reached { stream, address: address.to_string(), direct }),
                Err(errno) => tried.push(format!("{address}: {errno}")),
            }
        }
    }
    Err(Error::NoSystemd { reason: format!("it cannot be reached ({})", tried.join("; ")) })
}

fn of_machine() -> Result<(String, String)> {
    // sd_booted(3).
    if !PathBuf::from("/run/systemd/system").is_dir() {
        let reason = "systemd does not run this machine (there is no /run/systemd/system)".to_string();
        return Err(Error::NoSystemd { reason });
    }
    let bus = std::env::var("DBUS_SYSTEM_BUS_ADDRESS").unwrap_or_default();
    let bus = if bus.is_empty() { "unix:path=/run/dbus/system_bus_socket".to_string() } else { bus };
    Ok((bus, "unix:path=/run/systemd/private".to_string()))
}

fn of_user() -> Result<(String, String)> {
    let of = |name| std::env::var(name).unwrap_or_default();
    let (bus, dir) = (of("DBUS_SESSION_BUS_ADDRESS"), of("XDG_RUNTIME_DIR"));
    match (bus.as_str(), dir.as_str()) {
        ("", "") => {
            let reason =
                "neither $DBUS_SESSION_BUS_ADDRESS nor $XDG_RUNTIME_DIR says where the user's systemd is";
            Err(Error::NoSystemd { reason: reason.to_string() })
        }
        (bus, "") => Ok((bus.to_string(), String::new())),
        ("", dir) => Ok((format!("unix:path={dir}/bus"), format!("unix:path={dir}/systemd/private"))),
        (bus, dir) => Ok((bus.to_string(), format!("unix:path={dir}/systemd/private"))),
    }
}

/// One address of the D-Bus specification, "Server Addresses".
fn open(address: &str) -> io::Result<UnixStream> {
    let unusable = || io::Error::new(io::ErrorKind::Unsupported, "not the address of a unix socket");
    let pairs = address.strip_prefix("unix:").ok_or_else(unusable)?;
    for pair in pairs.split(',') {
        match pair.split_once('=') {
            Some(("path", path)) => return UnixStream::connect(std::ffi::OsStr::from_bytes(&unescape(path))),
            Some(("abstract", name)) => {
                return UnixStream::connect_addr(&SocketAddr::from_abstract_name(unescape(name))?);
            }
            _ => {}
        }
    }
    Err(unusable())
}

/// `%2c` and the like.
fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = tail.get(..2).and_then(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok());
        match (first, hex) {
            (b'%', Some(byte)) => {
                out.push(byte);
                rest = &tail[2..];
            }
            _ => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes() {
        assert_eq!(unescape("/run/a%2cb%"), b"/run/a,b%");
    }

    #[test]
    fn addresses() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bus");
        let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert!(open(&format!("unix:guid=1,path={}", path.display())).is_ok());
        assert!(open("unix:path=/nowhere/bus").is_err());
        for other in ["tcp:host=x", "unix:guid=1", "path=/x"] {
            assert_eq!(open(other).unwrap_err().kind(), io::ErrorKind::Unsupported, "{other}");
        }
    }
}
