//! `husk-shim namespaces`: makes the pod's namespaces, sets them up and binds them to files.
//!
//! A process of its own, since unshare(2) can't be undone: it makes the namespaces for itself, binds /proc/self/ns/*
//! to the files and ends; the bind mounts keep them alive, also when the daemon and the shim are gone.

use crate::start::Fatal;
use husk_shim_api::Namespace;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink};
use rustix::thread::UnshareFlags;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// What to make; passed as JSON in the command line.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Request {
    /// Existing empty files, one for each namespace to make.
    pub bind: BTreeMap<Namespace, PathBuf>,
    /// Written in the UTS namespace.
    pub hostname: Option<String>,
    /// Path below /proc/sys and value; checked by [`crate::sysctl::check`] before.
    pub sysctls: Vec<(String, String)>,
}

/// The name under /proc/PID/ns, and of the file.
pub fn file_name(namespace: Namespace) -> &'static str {
    match namespace {
        Namespace::Net => "net",
        Namespace::Ipc => "ipc",
        Namespace::Uts => "uts",
        Namespace::Pid => "pid",
        Namespace::User => "user",
    }
}

/// Runs the helper.
pub fn run(request: &str) -> Result<(), Fatal> {
    let request: Request = serde_json::from_str(request)?;
    let mut flags = UnshareFlags::empty();
    for namespace in request.bind.keys() {
        flags |= match namespace {
            Namespace::Net => UnshareFlags::NEWNET,
            Namespace::Ipc => UnshareFlags::NEWIPC,
            Namespace::Uts => UnshareFlags::NEWUTS,
            Namespace::Pid | Namespace::User => {
                return Err("the pause process makes PID and user namespaces".into());
            }
        };
    }
    unshare(flags)?;
    if request.bind.contains_key(&Namespace::Uts)
        && let Some(name) = &request.hostname
    {
        rustix::system::sethostname(name.as_bytes()).map_err(|e| format!("sethostname({name:?}): {e}"))?;
    }
    if request.bind.contains_key(&Namespace::Net) {
        loopback_up().map_err(|e| format!("the loopback interface can't be brought up: {e}"))?;
    }
    for (path, value) in &request.sysctls {
        write_sysctl(path, value)?;
    }
    // Last: until here a failure leaves nothing behind.
    for (namespace, file) in &request.bind {
        bind(Path::new("/proc/self/ns"), *namespace, file)?;
    }
    Ok(())
}

/// Binds a namespace of the process whose `ns` directory is given.
pub fn bind(ns: &Path, namespace: Namespace, file: &Path) -> Result<(), Fatal> {
    let source = ns.join(file_name(namespace));
    rustix::mount::mount_bind(&source, file)
        .map_err(|e| format!("mount --bind {} {}: {e}", source.display(), file.display()).into())
}

#[expect(deprecated, reason = "the new name is unsafe for CLONE_FILES, which is not used here")]
fn unshare(flags: UnshareFlags) -> Result<(), Fatal> {
    rustix::thread::unshare(flags).map_err(|e| format!("unshare({flags:?}): {e}").into())
}

fn write_sysctl(path: &str, value: &str) -> Result<(), Fatal> {
    let full = Path::new("/proc/sys").join(path);
    let fail = |e: &dyn std::fmt::Display| -> Fatal { format!("sysctl {path} = {value:?}: {e}").into() };
    let mut file = File::options().write(true).open(&full).map_err(|e| fail(&e))?;
    // A mount over /proc must not get what was meant for the kernel (CVE-2019-16884 and its kin).
    let magic = rustix::fs::fstatfs(&file).map_err(|e| fail(&e))?.f_type;
    if magic != rustix::fs::PROC_SUPER_MAGIC {
        return Err(fail(&"/proc/sys is not procfs"));
    }
    // One write: the kernel takes a second one for a new value.
    match file.write(value.as_bytes()) {
        Ok(n) if n == value.len() => Ok(()),
        Ok(_) => Err(fail(&"written in part")),
        Err(e) => Err(fail(&e)),
    }
}

/// RTM_NEWLINK with IFF_UP for interface 1, which is lo in a new network namespace (rtnetlink(7)).
fn loopback_up() -> Result<(), Fatal> {
    const RTM_NEWLINK: u16 = 16;
    const NLM_F_REQUEST_ACK: u16 = 1 | 4;
    const IFF_UP: u32 = 1;
    const NLMSG_ERROR: u16 = 2;
    let mut message = Vec::with_capacity(32);
    message.extend_from_slice(&32u32.to_ne_bytes());
    message.extend_from_slice(&RTM_NEWLINK.to_ne_bytes());
    message.extend_from_slice(&NLM_F_REQUEST_ACK.to_ne_bytes());
    message.extend_from_slice(&[0; 8]);
    // struct ifinfomsg: family, pad, type, index, flags, mask of flags to change.
    message.extend_from_slice(&[0; 4]);
    message.extend_from_slice(&1i32.to_ne_bytes());
    message.extend_from_slice(&IFF_UP.to_ne_bytes());
    message.extend_from_slice(&IFF_UP.to_ne_bytes());
    // NETLINK_ROUTE is protocol 0.
    let socket =
        rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    let kernel = netlink::SocketAddrNetlink::new(0, 0);
    rustix::net::sendto(&socket, &message, SendFlags::empty(), &kernel)?;
    let mut reply = [0; 256];
    let (len, _) = rustix::net::recv(&socket, &mut reply, RecvFlags::empty())?;
    let field = |at: usize| -> Option<[u8; 4]> { reply.get(at..at + 4)?.try_into().ok() };
    let kind = u16::from_ne_bytes([reply[4], reply[5]]);
    let error = field(16).map_or(0, i32::from_ne_bytes);
    if len >= 20 && kind == NLMSG_ERROR && error == 0 {
        return Ok(());
    }
    Err(std::io::Error::from_raw_os_error(-error).into())
}
