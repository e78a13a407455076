//! The criu program as a child that serves one request over a socket (`criu swrk`).

use super::{
    log,
    rpc::{self, Kind, Options, Response},
    wire::Writer,
};
use crate::process::{
    channel::{Channel, Message},
    failure::{Failure, Result as Done, Step as _},
};
use anyhow::{Context as _, bail};
use husk_sys::{
    clone::{self, Child, Fork, Namespaces},
    exec::{execve, exit_now},
    fd, signal,
};
use rustix::{
    fs::MemfdFlags,
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, SocketFlags,
        SocketType,
    },
    process::{WaitId, WaitIdOptions},
};
use std::{
    ffi::CString,
    io::IoSliceMut,
    mem::MaybeUninit,
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd, RawFd},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

/// Oldest version that has all that husk asks for: security profiles on restore came last.
const OLDEST: (i32, i32, i32) = (3, 16, 0);

/// Longest message of criu's.
const MAX: usize = 64 << 10;

/// The program, found and known to be new enough.
#[derive(Debug)]
pub struct Criu {
    program: PathBuf,
}

/// How a request's process is started.
pub struct Start<'a> {
    /// Namespaces to make for it.
    pub namespaces: Namespaces,
    /// The cgroup to be born in.
    pub cgroup: Option<BorrowedFd<'a>>,
    /// Descriptors that criu is to have.
    pub keep: &'a [RawFd],
    /// What the process does before it becomes criu.
    pub prepare: &'a mut dyn FnMut() -> Done<()>,
}

/// A notification: its name, the pid and the descriptor that came along.
pub struct Notification {
    /// Name, as of an action script (criu(8)).
    pub script: String,
    /// Pid of the restored root process, with the names that have one.
    pub pid: Option<i32>,
    /// A terminal's master, with `orphan-pts-master`.
    pub fd: Option<OwnedFd>,
}

impl Criu {
    /// Finds the program, and asks for its version.
    pub fn find(wanted: &Path) -> anyhow::Result<Self> {
        let Some(program) = look_up(wanted) else {
            bail!(
                "{} was not found: checkpoint and restore need the criu program, version {} or later",
                wanted.display(),
                dotted(OLDEST)
            );
        };
        let criu = Self { program };
        let version = criu.version()?;
        if version < OLDEST {
            bail!(
                "{} is version {}: checkpoint and restore need version {} or later",
                criu.program.display(),
                dotted(version),
                dotted(OLDEST)
            );
        }
        crate::log::debug(&format!("{} is version {}", criu.program.display(), dotted(version)));
        Ok(criu)
    }

    fn version(&self) -> anyhow::Result<(i32, i32, i32)> {
        let answer = self.ask(&rpc::version())?;
        answer.version.with_context(|| format!("{} did not tell its version", self.program.display()))
    }

    /// Whether memory can be tracked (`--pre-dump`, `--parent-path`).
    pub fn tracks_memory(&self) -> anyhow::Result<bool> {
        Ok(self.ask(&rpc::features())?.tracks)
    }

    /// A question that changes nothing. criu tries the kernel out when it starts, and may end before it answers.
    fn ask(&self, question: &Writer) -> anyhow::Result<Response> {
        let said = rustix::fs::memfd_create("criu", MemfdFlags::CLOEXEC).context("memfd_create")?;
        let mut quiet = || {
            rustix::stdio::dup2_stdout(&said)
                .and_then(|()| rustix::stdio::dup2_stderr(&said))
                .step(|| "redirect the output of criu".into())
        };
        let mut start =
            Start { namespaces: Namespaces::empty(), cgroup: None, keep: &[], prepare: &mut quiet };
        let session = self.start(&mut start)?;
        let answer = session.send(question).and_then(|()| session.receive());
        drop(session);
        match answer {
            Ok((response, _)) if response.success => Ok(response),
            _ => {
                let mut text = vec![0; 16 << 10];
                let length = rustix::io::pread(&said, &mut text, 0).unwrap_or(0);
                text.truncate(length);
                let why = match log::summary(&String::from_utf8_lossy(&text)) {
                    why if why.is_empty() => "it ended without an answer".to_owned(),
                    why => why,
                };
                bail!("{} does not work on this kernel: {why}", self.program.display());
            }
        }
    }

    /// Has a dump or a restore done. `notify` is called for each notification; its error ends the request.
    pub fn request(
        &self,
        kind: Kind,
        options: &Options,
        start: &mut Start<'_>,
        notify: &mut dyn FnMut(Notification) -> anyhow::Result<()>,
    ) -> anyhow::Result<Response> {
        let session = self.start(start)?;
        session.send(&rpc::request(kind, options))?;
        let mut refused = None;
        let response = loop {
            let (response, fd) = match session.receive() {
                Ok(received) => received,
                Err(error) => return Err(refused.unwrap_or(error)),
            };
            if response.kind != Kind::Notify as i32 {
                break response;
            }
            crate::log::debug(&format!("criu: {}", response.script));
            let told = notify(Notification { script: response.script, pid: response.pid, fd });
            session.send(&rpc::notified(told.is_ok()))?;
            if let Err(error) = told {
                refused.get_or_insert(error);
            }
        };
        if let Some(error) = refused {
            return Err(error);
        }
        Ok(response)
    }

    fn start(&self, start: &mut Start<'_>) -> anyhow::Result<Session> {
        let (parent, child) = Channel::pair().context("socketpair")?;
        let fork = clone::clone3(start.namespaces, 0, start.cgroup).context("clone3 for criu")?;
        let process = match fork {
            Fork::Child => {
                let Err(failure) = self.become_criu(start, &child);
                let _ = child.send(&Message::Failed(failure));
                exit_now(1);
            }
            Fork::Parent(process) => process,
        };
        drop(child);
        let mut session = Session { socket: None, process, program: self.program.clone() };
        loop {
            match parent.receive().context("start criu")? {
                Some((Message::Ready, Some(socket))) => session.socket = Some(socket),
                // Closed by exec.
                None if session.socket.is_some() => return Ok(session),
                Some((Message::Failed(failure), _)) => return Err(failure.into()),
                other => bail!("the process that becomes criu said {other:?} out of turn"),
            }
        }
    }

    fn become_criu(&self, start: &mut Start<'_>, channel: &Channel) -> Done<std::convert::Infallible> {
        (start.prepare)()?;
        // Made here: criu looks for the directories of a request among the descriptors of the process that made the socket.
        let (ours, theirs) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .step(|| "socketpair".into())?;
        channel.send_with(&Message::Ready, Some(theirs.as_fd())).step(|| "pass criu's socket on".into())?;
        let socket = ours.as_raw_fd();
        fd::close_on_exec_from(3).step(|| "close_range".into())?;
        for number in start.keep.iter().chain([&socket]) {
            fd::keep_over_exec(*number).step(|| format!("pass descriptor {number} on to criu"))?;
        }
        signal::reset();
        let text = |bytes: &[u8]| CString::new(bytes).map_err(|_| Failure::text("--criu: has a NUL byte"));
        let program = text(self.program.as_os_str().as_bytes())?;
        let args = [program.clone(), c"swrk".to_owned(), text(socket.to_string().as_bytes())?];
        let env: Vec<CString> = std::env::vars_os()
            .filter_map(|(key, value)| CString::new([key.as_bytes(), b"=", value.as_bytes()].concat()).ok())
            .collect();
        let errno = execve(&program, &args, &env);
        Err(Failure::call(format!("execute {}", self.program.display()), errno))
    }
}

/// A criu at work. Dropped, it is hung up on, and its end is waited for: it may still have to let go of what it froze.
struct Session {
    socket: Option<OwnedFd>,
    process: Child,
    program: PathBuf,
}

impl Session {
    fn socket(&self) -> anyhow::Result<&OwnedFd> {
        self.socket.as_ref().context("criu has no socket")
    }

    fn send(&self, message: &Writer) -> anyhow::Result<()> {
        rustix::net::send(self.socket()?, message.as_bytes(), SendFlags::NOSIGNAL)
            .with_context(|| format!("talk to {}", self.program.display()))?;
        Ok(())
    }

    fn receive(&self) -> anyhow::Result<(Response, Option<OwnedFd>)> {
        let mut buffer = vec![0; MAX];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let length = loop {
            let mut parts = [IoSliceMut::new(&mut buffer)];
            match rustix::net::recvmsg(self.socket()?, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC) {
                Err(rustix::io::Errno::INTR) => {}
                result => {
                    break result.with_context(|| format!("listen to {}", self.program.display()))?.bytes;
                }
            }
        };
        if length == 0 {
            bail!("{} ended before its work was done", self.program.display());
        }
        let fd = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
            _ => None,
        });
        let response = Response::parse(buffer.get(..length).unwrap_or_default())
            .with_context(|| format!("{} sent what is no answer", self.program.display()))?;
        Ok((response, fd))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.socket = None;
        let _ = rustix::process::waitid(WaitId::PidFd(self.process.pidfd.as_fd()), WaitIdOptions::EXITED);
    }
}

fn look_up(wanted: &Path) -> Option<PathBuf> {
    let is_program =
        |path: &Path| path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok();
    if wanted.components().count() > 1 {
        return is_program(wanted).then(|| wanted.to_owned());
    }
    // Engines may call husk without the directories of the administrator's programs, where criu is.
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .filter(|dir| dir.is_absolute())
        .chain(usual)
        .map(|dir| dir.join(wanted))
        .find(|path| is_program(path))
}

fn dotted((major, minor, sublevel): (i32, i32, i32)) -> String {
    if sublevel == 0 { format!("{major}.{minor}") } else { format!("{major}.{minor}.{sublevel}") }
}

#[cfg(test)]
mod tests {
    use super::{dotted, look_up};
    use std::path::Path;

    #[test]
    fn programs_are_found_where_they_are() {
        assert_eq!(look_up(Path::new("/bin/sh")).as_deref(), Some(Path::new("/bin/sh")));
        assert!(look_up(Path::new("sh")).is_some());
        assert_eq!(look_up(Path::new("/etc/passwd")), None);
        assert_eq!(look_up(Path::new("no-such-program")), None);
    }

    #[test]
    fn versions_read_as_criu_writes_them() {
        assert_eq!((dotted((3, 17, 1)), dotted((4, 2, 0))), ("3.17.1".into(), "4.2".into()));
    }
}
