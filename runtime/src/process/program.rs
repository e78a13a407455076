//! Finding the program in the container, as execvp(3) does.

use super::failure::{Failure, Result};
use crate::plan::process::Process;
use husk_exit::{Attempt, StartFailure, StartFailureKind};
use husk_sys::Errno;
use rustix::fs::{Access, AtFlags, CWD, FileType};
use std::{
    ffi::{CStr, CString, OsStr},
    os::unix::ffi::OsStrExt as _,
};

/// The path to execute. Runs in the container, as its user.
pub fn find(process: &Process) -> Result<CString> {
    let name = process.args.first().map(CString::as_c_str).unwrap_or_default();
    if name.to_bytes().contains(&b'/') {
        return match usable(name) {
            Ok(()) => Ok(name.to_owned()),
            Err(errno) => Err(not_started(process, errno)),
        };
    }
    let mut denied = None;
    for dir in
        path_variable(process).unwrap_or(husk_exit::DEFAULT_PATH.as_bytes()).split(|byte| *byte == b':')
    {
        // An empty entry means the working directory.
        let mut candidate = if dir.is_empty() { b".".to_vec() } else { dir.to_vec() };
        candidate.push(b'/');
        candidate.extend_from_slice(name.to_bytes());
        let Ok(candidate) = CString::new(candidate) else { continue };
        match usable(&candidate) {
            Ok(()) => return Ok(candidate),
            Err(Errno::ACCESS) => denied = Some(Errno::ACCESS),
            Err(_) => {}
        }
    }
    Err(not_started(process, denied.unwrap_or(Errno::NOENT)))
}

/// Whether a file is there that may be executed.
fn usable(path: &CStr) -> husk_sys::Result<()> {
    let stat = rustix::fs::stat(path)?;
    if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
        return Err(Errno::ACCESS);
    }
    // With the effective ids: they are the ones that execve asks for.
    match rustix::fs::accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS) {
        // faccessat2 gives neither for this question: a seccomp profile from before Linux 5.8 does, and execve will tell.
        Err(Errno::PERM | Errno::NOSYS) if stat.st_mode & 0o111 != 0 => Ok(()),
        Err(Errno::PERM | Errno::NOSYS) => Err(Errno::ACCESS),
        result => result,
    }
}

/// The value of PATH in the program's environment.
fn path_variable(process: &Process) -> Option<&[u8]> {
    process.env.iter().rev().find_map(|entry| entry.as_bytes().strip_prefix(b"PATH="))
}

/// The program can't be started: one sentence that says what is wrong, and the exit code that shells give. Runs in the
/// container.
pub fn not_started(process: &Process, errno: Errno) -> Failure {
    let program = process.args.first().map(|name| OsStr::from_bytes(name.as_bytes())).unwrap_or_default();
    let attempt = Attempt {
        program,
        path: path_variable(process).map(OsStr::from_bytes),
        cwd: &process.cwd,
        uid: process.uid,
        gid: process.gid,
        groups: &process.groups,
    };
    let mut start = husk_exit::diagnose_here(&attempt, errno.raw_os_error());
    if let Some(label) = &process.selinux
        && start.kind == StartFailureKind::Setup
        && [Errno::ACCESS, Errno::PERM].contains(&errno)
    {
        start.subject.push_str(&format!("; does the SELinux policy let husk's domain enter {label:?} by it"));
        // Of Linux 4.14; before, it had to be a domain with less rights than the old one.
        start.subject.push_str(if process.no_new_privs {
            ", with noNewPrivileges (nnp_transition)?"
        } else {
            "?"
        });
    }
    told(start, errno)
}

/// The working directory can't be entered.
pub fn no_cwd(process: &Process, errno: Errno) -> Failure {
    told(husk_exit::diagnose_cwd(&process.cwd, errno.raw_os_error()), errno)
}

fn told(start: StartFailure, errno: Errno) -> Failure {
    let code = match start.exit_code() {
        code @ (126 | 127) => code,
        _ => 126,
    };
    // The errno's text follows where the sentence lacks it: tools look for it.
    let what = start.to_string();
    let whole = Failure::call("", errno).to_string();
    let failure = if what.ends_with(&whole) { Failure::text(what) } else { Failure::call(what, errno) };
    Failure { code, start: Some(start), ..failure }
}
