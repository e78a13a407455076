//! Sockets by path: bound and reached through a directory's descriptor, since `sun_path` ends at 107 bytes and shim
//! directories may be longer.

use crate::packet::{Connection, PacketError};
use rustix::fs::{Mode, OFlags};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

fn socket() -> Result<OwnedFd, PacketError> {
    rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
        .map_err(|e| PacketError::Io("socket", e.into()))
}

/// The address `/proc/self/fd/N/NAME`; valid while the returned descriptor is open.
fn address(path: &Path) -> Result<(OwnedFd, SocketAddrUnix), PacketError> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(PacketError::Io("socket path", std::io::ErrorKind::InvalidInput.into()));
    };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let dir = rustix::fs::open(folder, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|e| PacketError::Io("open(folder of the socket)", e.into()))?;
    let short = PathBuf::from(format!("/proc/self/fd/{}", dir.as_raw_fd())).join(name);
    let address =
        SocketAddrUnix::new(short).map_err(|e| PacketError::Io("socket name too long", e.into()))?;
    Ok((dir, address))
}

/// Connects to a shim's socket (blocking descriptor) and checks who is at the other end.
pub fn connect(path: &Path) -> Result<Connection, PacketError> {
    let socket = socket()?;
    let (_dir, address) = address(path)?;
    rustix::net::connect(&socket, &address).map_err(|e| PacketError::Io("connect", e.into()))?;
    let connection = Connection::from(socket);
    connection.check_peer()?;
    Ok(connection)
}

/// The shim's listening socket.
#[derive(Debug)]
pub struct Listener {
    socket: OwnedFd,
}

impl Listener {
    /// Binds `path` (an old socket there is replaced) with mode 0600; its folder should be 0700.
    pub fn bind(path: &Path) -> Result<Self, PacketError> {
        let socket = socket()?;
        let (_dir, address) = address(path)?;
        match rustix::fs::unlink(path) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => {}
            Err(e) => return Err(PacketError::Io("unlink(old socket)", e.into())),
        }
        // The inode takes its mode from the socket's own at bind: no moment at which it is open to others.
        rustix::fs::fchmod(&socket, Mode::RUSR | Mode::WUSR)
            .map_err(|e| PacketError::Io("fchmod", e.into()))?;
        rustix::net::bind(&socket, &address).map_err(|e| PacketError::Io("bind", e.into()))?;
        rustix::net::listen(&socket, 8).map_err(|e| PacketError::Io("listen", e.into()))?;
        rustix::io::ioctl_fionbio(&socket, true).map_err(|e| PacketError::Io("ioctl(FIONBIO)", e.into()))?;
        Ok(Self { socket })
    }

    /// Takes a waiting connection (non-blocking descriptor, peer checked), or says [`PacketError::Empty`].
    pub fn accept(&self) -> Result<Connection, PacketError> {
        let socket =
            match rustix::net::accept_with(&self.socket, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
                Ok(socket) => socket,
                Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR | rustix::io::Errno::CONNABORTED) => {
                    return Err(PacketError::Empty);
                }
                Err(e) => return Err(PacketError::Io("accept", e.into())),
            };
        let connection = Connection::from(socket);
        connection.check_peer()?;
        Ok(connection)
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
