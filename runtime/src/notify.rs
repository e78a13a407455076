//! sd_notify(3) for a service manager that starts husk with `$NOTIFY_SOCKET`: the container gets a socket of its own at
//! /run/notify, and its word that it is ready is passed on, with the pid to watch. As with runc, nothing else is passed on:
//! other messages would let a container speak to the host's service manager.

use crate::{plan::config, socket};
use anyhow::Context as _;
use husk_sys::Errno;
use oci_spec::runtime::{MountBuilder, Spec};
use rustix::{
    event::{PollFd, PollFlags, Timespec},
    net::{AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType},
    pipe::PipeFlags,
};
use std::{
    ffi::OsString,
    fs,
    io::IoSlice,
    mem::MaybeUninit,
    os::{
        fd::{AsFd as _, BorrowedFd, OwnedFd},
        unix::fs::PermissionsExt as _,
    },
    path::{Path, PathBuf},
};

/// Folder of the state directory that the container sees, and the socket in it.
const FOLDER: &str = "notify";
const NAME: &str = "notify.sock";
/// Where the container sees the folder.
const INSIDE: &str = "/run/notify";
/// How long the service manager has to take note, in seconds: one that does not know the barrier never answers.
const BARRIER: i64 = 30;

/// The service manager's address; none where husk was not started by one.
fn manager() -> Option<OsString> {
    std::env::var_os("NOTIFY_SOCKET").filter(|value| !value.is_empty())
}

/// Adds the mount and the variable to a configuration. `state` is the container's state directory.
pub fn add_to(spec: &mut Spec, state: &Path) -> anyhow::Result<()> {
    if manager().is_none() {
        return Ok(());
    }
    // A relative source would be one of the bundle.
    let source = std::path::absolute(state.join(FOLDER)).context("find the state directory")?;
    let options = ["bind", "nosuid", "noexec", "nodev", "ro"].map(str::to_owned).to_vec();
    let mount = MountBuilder::default().destination(INSIDE).source(source).options(options).build()?;
    let mut mounts = spec.mounts().clone().unwrap_or_default();
    mounts.push(mount);
    spec.set_mounts(Some(mounts));
    config::add_variable(spec, format!("NOTIFY_SOCKET={INSIDE}/{NAME}"));
    Ok(())
}

/// Makes the folder that is mounted; the socket in it is made by [`Notify::listen`].
pub fn make_folder(state: &Path) -> anyhow::Result<()> {
    if manager().is_none() {
        return Ok(());
    }
    let folder = state.join(FOLDER);
    let mode = fs::Permissions::from_mode(0o755);
    fs::create_dir(&folder)
        .and_then(|()| fs::set_permissions(&folder, mode))
        .with_context(|| format!("make {}", folder.display()))
}

/// The socket of a container.
#[derive(Debug)]
pub struct Notify {
    socket: OwnedFd,
    manager: OsString,
}

impl Notify {
    /// Listens for the container. None where there is no service manager, or was none when the container was created.
    pub fn listen(state: &Path) -> anyhow::Result<Option<Self>> {
        let folder = state.join(FOLDER);
        let Some(manager) = manager().filter(|_| folder.is_dir()) else { return Ok(None) };
        let path: PathBuf = folder.join(NAME);
        let fd = datagram()?;
        socket::at(&path, |address| rustix::net::bind(&fd, address))
            .with_context(|| format!("bind {}", path.display()))?;
        // Whichever user the program is.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777))
            .with_context(|| format!("chmod {}", path.display()))?;
        Ok(Some(Self { socket: fd, manager }))
    }

    /// The descriptor to poll.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Reads one message. Gives the line that says that the container is ready, if it has one.
    pub fn ready(&self) -> Option<String> {
        let mut buffer = [0; 4096];
        let flags = rustix::net::RecvFlags::DONTWAIT;
        let (_, length) = rustix::net::recv(&self.socket, &mut buffer[..], flags).ok()?;
        let text = String::from_utf8_lossy(buffer.get(..length)?);
        text.lines().find(|line| line.starts_with("READY=")).map(str::to_owned)
    }

    /// Tells the service manager, and which process it is to watch. With `barrier` it has taken note when this returns:
    /// where husk ends at once, it could not find out any more who spoke.
    pub fn tell(&self, ready: &str, pid: i32, barrier: bool) -> anyhow::Result<()> {
        let what = || format!("$NOTIFY_SOCKET {}", self.manager.display());
        let to = datagram()?;
        socket::named(&self.manager, |address| rustix::net::connect(&to, address)).with_context(what)?;
        // One message: after the pid has changed it would not listen to husk any more.
        let text = format!("{ready}\nMAINPID={pid}\n");
        rustix::net::send(&to, text.as_bytes(), SendFlags::NOSIGNAL).with_context(what)?;
        if !barrier {
            return Ok(());
        }
        let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
        let fds = [write.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(&fds));
        let text = IoSlice::new(b"BARRIER=1");
        rustix::net::sendmsg(&to, &[text], &mut control, SendFlags::NOSIGNAL).with_context(what)?;
        drop(write);
        let limit = Timespec { tv_sec: BARRIER, tv_nsec: 0 };
        let mut fds = [PollFd::from_borrowed_fd(read.as_fd(), PollFlags::IN)];
        rustix::event::poll(&mut fds, Some(&limit)).map(drop).context("wait for the service manager")
    }

    /// Waits until the container is ready, and tells; or until it has ended.
    pub fn wait(&self, init: BorrowedFd<'_>, pid: i32) -> anyhow::Result<()> {
        loop {
            let mut fds = [
                PollFd::from_borrowed_fd(self.fd(), PollFlags::IN),
                PollFd::from_borrowed_fd(init, PollFlags::IN),
            ];
            match rustix::event::poll(&mut fds, None) {
                Err(Errno::INTR) => continue,
                result => result.context("wait for the container's READY=1")?,
            };
            let [message, end] = fds.map(|fd| !fd.revents().is_empty());
            // What it said last counts, also where it has ended by now.
            if let Some(ready) = message.then(|| self.ready()).flatten() {
                return self.tell(&ready, pid, true);
            }
            if end && !message {
                return Ok(());
            }
        }
    }
}

fn datagram() -> husk_sys::Result<OwnedFd> {
    rustix::net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None)
}
