//! The program's terminal: a pty of the container's own devpts.

use super::{
    channel::{Channel, Message},
    failure::{Failure, Result, Step as _},
};
use crate::init::resolve;
use husk_sys::Errno;
use rustix::{
    fs::{Gid, Mode, OFlags, ResolveFlags, Uid},
    pty::OpenptFlags,
    termios::Winsize,
};
use std::{
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    path::Path,
};

/// DEVPTS_SUPER_MAGIC
const MAGIC: i64 = 0x1cd1;

/// Makes a pty in the devpts at /dev/pts of `root`, and sends its master to the parent. Gives the slave.
pub fn open(root: BorrowedFd<'_>, size: Option<(u16, u16)>, channel: &Channel) -> Result<OwnedFd> {
    // Not by /dev/ptmx, which the image may have as a link to anything; and only once it is known to be of a devpts, as
    // another device may act on being opened.
    let folder =
        resolve::open(root, Path::new("/dev/pts")).step(|| "process.terminal: open /dev/pts".into())?;
    let found = rustix::fs::fstatfs(&folder).step(|| "fstatfs /dev/pts".into())?;
    if found.f_type as i64 != MAGIC {
        return Err(Failure::text(
            "process.terminal: /dev/pts of the container is not a devpts; does mounts have one there?",
        ));
    }
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let own = ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS;
    let master = rustix::fs::openat2(&folder, "ptmx", flags, Mode::empty(), own)
        .step(|| "process.terminal: open /dev/pts/ptmx".into())?;
    rustix::pty::unlockpt(&master).step(|| "unlock the terminal".into())?;
    // By the master itself, not by the name of the slave, under which there may be something else (CVE-2025-52565).
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let slave = rustix::pty::ioctl_tiocgptpeer(&master, flags).step(|| "open the terminal's slave".into())?;
    if let Some((columns, rows)) = size {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(&slave, size).step(|| "set process.consoleSize".into())?;
    }
    channel.send_with(&Message::Console, Some(master.as_fd())).step(|| "pass the terminal to husk".into())?;
    Ok(slave)
}

/// Makes the slave the controlling terminal and the three standard streams. The process must be a session leader.
pub fn take(slave: &OwnedFd, uid: u32, gid: u32) -> Result<()> {
    // The group stays tty's where devpts has it so; a user who is not mapped can't own it.
    let _ = gid;
    match rustix::fs::fchown(slave, Some(Uid::from_raw(uid)), None::<Gid>) {
        Ok(()) | Err(Errno::INVAL | Errno::PERM | Errno::ROFS) => {}
        Err(errno) => return Err(Failure::call("give the terminal to process.user", errno)),
    }
    rustix::process::ioctl_tiocsctty(slave).map_err(|errno| {
        let closed = if errno == Errno::IO { ": whoever was sent its master has closed it" } else { "" };
        Failure::call(format!("make the terminal the controlling one{closed}"), errno)
    })?;
    rustix::stdio::dup2_stdin(slave)
        .and_then(|()| rustix::stdio::dup2_stdout(slave))
        .and_then(|()| rustix::stdio::dup2_stderr(slave))
        .step(|| "connect the terminal".into())
}
