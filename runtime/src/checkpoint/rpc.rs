//! criu's RPC: the requests that husk makes and the answers (`images/rpc.proto` of criu gives the numbers).

use super::wire::{self, Value, Writer};
use std::os::fd::RawFd;

/// What is asked of criu.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Write processes to disk.
    Dump = 1,
    /// Bring them back.
    Restore = 2,
    /// Write their memory, and let them go on.
    PreDump = 4,
    /// Answer to a notification.
    Notify = 6,
    /// Which optional features work here.
    Features = 9,
    /// Which version this is.
    Version = 10,
}

/// How criu treats cgroups on restore.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum CgroupsMode {
    /// Restore groups that are missing and the properties of those that criu made.
    Soft = 3,
    /// Restore all groups and all properties.
    Full = 4,
    /// Restore all groups; fail where one exists.
    Strict = 5,
    /// Leave groups alone.
    Ignore = 0,
}

/// Options of a dump or a restore. What is false or empty is not sent.
#[derive(Clone, Debug)]
pub struct Options {
    /// Descriptor of the directory of images, in husk.
    pub images: RawFd,
    /// Descriptor of the directory of logs, in husk; that of images without.
    pub work: Option<RawFd>,
    /// Name of the log.
    pub log: &'static str,
    /// Configuration file of criu whose options override all others.
    pub config: Option<String>,
    /// Path of the root filesystem.
    pub root: String,
    /// What criu does with cgroups.
    pub cgroups: CgroupsMode,
    /// Namespaces to make and not to fill, as flags of clone.
    pub empty_ns: u32,
    /// TYPE[ID]:NAME of what is not criu's to save or to make.
    pub external: Vec<String>,
    /// Allow TCP connections.
    pub tcp_established: bool,
    /// Restore TCP connections as closed.
    pub tcp_close: bool,
    /// Allow unix sockets whose other end is elsewhere.
    pub ext_unix_sk: bool,
    /// Allow a session and a terminal that are not the container's.
    pub shell_job: bool,
    /// Handle file locks.
    pub file_locks: bool,
    /// Leave out what the next images have.
    pub auto_dedup: bool,
    /// What only one of the two needs.
    pub only: Only,
}

/// Options of one kind of request.
#[derive(Clone, Debug)]
pub enum Only {
    /// Of a dump.
    Dump(Dump),
    /// Of a restore.
    Restore(Restore),
}

/// Options of a dump.
#[derive(Clone, Debug, Default)]
pub struct Dump {
    /// Root of the tree of processes.
    pub pid: i32,
    /// Let the processes go on.
    pub leave_running: bool,
    /// Leave out connections that are being made.
    pub tcp_skip_in_flight: bool,
    /// Link files that were unlinked while open.
    pub link_remap: bool,
    /// cgroup to freeze meanwhile.
    pub freeze_cgroup: Option<String>,
    /// Directory of the images before these, relative to theirs.
    pub parent: Option<String>,
    /// Page server.
    pub page_server: Option<(String, u16)>,
}

/// Options of a restore.
#[derive(Clone, Debug, Default)]
pub struct Restore {
    /// Path of the container's group in cgroup2, to take the place of the one at the dump.
    pub cgroup_root: Option<String>,
    /// Names of what was external at the dump, and the descriptors that stand for them now.
    pub inherit: Vec<(String, RawFd)>,
    /// Namespaces to join: type and path.
    pub join: Vec<(&'static str, String)>,
    /// TYPE:NAME of the profile of a security module.
    pub lsm_profile: Option<String>,
    /// Context of mounts.
    pub lsm_mount_context: Option<String>,
}

/// criu's highest useful level: progress and errors, without debugging.
const LOG_LEVEL: i64 = 4;

impl Options {
    fn write(&self) -> Writer {
        let mut out = Writer::default();
        out.number(1, self.images.into()).number(9, LOG_LEVEL).text(10, self.log).text(13, &self.root);
        if let Some(work) = self.work {
            out.number(17, work.into());
        }
        if let Some(config) = &self.config {
            out.text(51, config);
        }
        out.flag(12, true).flag(50, true).number(34, self.cgroups as i64);
        out.flag(4, self.ext_unix_sk).flag(5, self.tcp_established).flag(52, self.tcp_close);
        out.flag(7, self.shell_job).flag(8, self.file_locks).flag(16, self.auto_dedup);
        if self.empty_ns != 0 {
            out.number(38, self.empty_ns.into());
        }
        for external in &self.external {
            out.text(37, external);
        }
        match &self.only {
            Only::Dump(dump) => dump.write(&mut out),
            Only::Restore(restore) => restore.write(&mut out),
        }
        out
    }
}

impl Dump {
    fn write(&self, out: &mut Writer) {
        out.number(2, self.pid.into()).flag(3, self.leave_running);
        out.flag(46, self.tcp_skip_in_flight).flag(18, self.link_remap);
        if let Some(cgroup) = &self.freeze_cgroup {
            out.text(44, cgroup);
        }
        if let Some(parent) = &self.parent {
            out.text(14, parent).flag(15, true);
        }
        if let Some((address, port)) = &self.page_server {
            out.message(11, Writer::default().text(1, address).number(2, (*port).into()));
        }
    }
}

impl Restore {
    fn write(&self, out: &mut Writer) {
        // A sibling: the container becomes husk's child. Devices may have been replaced meanwhile.
        out.flag(26, true).flag(6, true);
        if let Some(path) = &self.cgroup_root {
            // cgroup2 has no name among the controllers.
            out.message(25, Writer::default().text(1, "").text(2, path));
        }
        for (key, number) in &self.inherit {
            out.message(27, Writer::default().text(1, key).number(2, (*number).into()));
        }
        for (kind, path) in &self.join {
            out.message(39, Writer::default().text(1, kind).text(2, path));
        }
        if let Some(profile) = &self.lsm_profile {
            out.text(53, profile);
        }
        if let Some(context) = &self.lsm_mount_context {
            out.text(63, context);
        }
    }
}

/// The bytes of a dump or restore request.
pub fn request(kind: Kind, options: &Options) -> Writer {
    let mut out = Writer::default();
    out.number(1, kind as i64).message(2, &options.write());
    out
}

/// The bytes of a question for the version.
pub fn version() -> Writer {
    let mut out = Writer::default();
    out.number(1, Kind::Version as i64);
    out
}

/// The bytes of a question whether memory can be tracked.
pub fn features() -> Writer {
    let mut out = Writer::default();
    out.number(1, Kind::Features as i64).message(5, Writer::default().flag(1, true));
    out
}

/// The bytes of an answer to a notification.
pub fn notified(success: bool) -> Writer {
    let mut out = Writer::default();
    // Sent also where it is false: without it criu would not know that there was an answer.
    out.number(1, Kind::Notify as i64).number(3, success.into());
    out
}

/// What criu says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// Number of the kind of request that this answers; 6 is a notification.
    pub kind: i32,
    /// Whether it was done.
    pub success: bool,
    /// Pid of the restored root process.
    pub restored: Option<i32>,
    /// Name of the notification.
    pub script: String,
    /// Pid that goes with the notification.
    pub pid: Option<i32>,
    /// errno of what failed.
    pub errno: i32,
    /// The first error that criu logged.
    pub message: String,
    /// Version as major, minor, sublevel.
    pub version: Option<(i32, i32, i32)>,
    /// Whether memory can be tracked.
    pub tracks: bool,
}

impl Response {
    /// Reads a message; nothing where it is none.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut out = Self::default();
        for (field, value) in wire::fields(bytes)? {
            match (field, value) {
                (1, value) => out.kind = value.as_i32(),
                (2, value) => out.success = value.as_i32() != 0,
                (4, Value::Bytes(inner)) => out.restored = number(inner, 1)?,
                (5, Value::Bytes(inner)) => {
                    out.script = wire::fields(inner)?
                        .into_iter()
                        .find(|(field, _)| *field == 1)
                        .map_or_else(String::new, |(_, value)| value.as_text());
                    out.pid = number(inner, 2)?;
                }
                (7, value) => out.errno = value.as_i32(),
                (8, Value::Bytes(inner)) => {
                    out.tracks = number(inner, 1)? == Some(1);
                }
                (9, value) => out.message = value.as_text().trim().to_owned(),
                (10, Value::Bytes(inner)) => {
                    out.version = Some((
                        number(inner, 1)?.unwrap_or(0),
                        number(inner, 2)?.unwrap_or(0),
                        number(inner, 4)?.unwrap_or(0),
                    ));
                }
                _ => {}
            }
        }
        Some(out)
    }
}

/// A number of an inner message; the outer `None` says that it is no message.
fn number(inner: &[u8], wanted: u64) -> Option<Option<i32>> {
    let fields = wire::fields(inner)?;
    Some(fields.into_iter().find(|(field, _)| *field == wanted).map(|(_, value)| value.as_i32()))
}

#[cfg(test)]
mod tests {
    use super::{Kind, Response, Writer, notified, version};

    #[test]
    fn answers_of_criu() {
        let mut notify = Writer::default();
        notify.text(1, "post-restore").number(2, 4711);
        let mut message = Writer::default();
        message.number(1, Kind::Notify as i64).number(2, 1).message(5, &notify);
        let parsed = Response::parse(message.as_bytes()).unwrap();
        assert!(parsed.success && parsed.kind == 6);
        assert_eq!((parsed.script.as_str(), parsed.pid), ("post-restore", Some(4711)));

        let mut inner = Writer::default();
        inner.number(1, 3).number(2, 17).number(4, 1);
        let mut message = Writer::default();
        message.number(1, 10).number(2, 1).message(10, &inner);
        assert_eq!(Response::parse(message.as_bytes()).unwrap().version, Some((3, 17, 1)));
        assert_eq!(Response::parse(b"\xff"), None);
    }

    #[test]
    fn a_refusal_is_sent_in_full() {
        assert_eq!(version().as_bytes(), [8, 10]);
        assert_eq!(notified(false).as_bytes(), [8, 6, 24, 0]);
    }
}
