//! Why a program could not be executed: from an errno to the one thing that a person must change.
//!
//! The kernel says ENOENT both for a missing program and for a missing loader, EACCES for four different reasons, and
//! ENOEXEC for anything else. Here the file is looked at, inside the container's root and never outside of it.

mod elf;
mod lookup;
mod shebang;

use std::ffi::OsStr;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::{StartFailure, StartFailureKind as Kind};
use lookup::{Credentials, File, Root};

/// Where a program is looked for if the environment has no PATH.
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What was to be executed, and as whom.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// `process.args[0]`.
    pub program: &'a OsStr,
    /// The value of PATH in the container's environment, as far as set.
    pub path: Option<&'a OsStr>,
    /// Working directory.
    pub cwd: &'a Path,
    /// User id in the file system's terms (of the host, where a user namespace is in use).
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: &'a [u32],
}

/// `execve` of `attempt` failed with `errno` (an errno's number) in the container whose root directory is `root`: an
/// open directory, seen from which the container's mounts are in place (`/proc/PID/root` of a process in it).
pub fn diagnose(root: BorrowedFd<'_>, attempt: &Attempt<'_>, errno: i32) -> StartFailure {
    let mut failure = find(&Root::At(root), attempt, errno);
    failure.errno = errno;
    failure
}

/// As [`diagnose`], in a process that has entered the container.
pub fn diagnose_here(attempt: &Attempt<'_>, errno: i32) -> StartFailure {
    let mut failure = find(&Root::Own, attempt, errno);
    failure.errno = errno;
    failure
}

/// The working directory could not be entered (`errno`).
pub fn diagnose_cwd(cwd: &Path, errno: i32) -> StartFailure {
    let kind = match Errno::from_raw_os_error(errno) {
        Errno::NOENT | Errno::NOTDIR => Kind::CwdMissing,
        Errno::ACCESS | Errno::PERM => Kind::CwdDenied,
        _ => Kind::Setup,
    };
    let subject = match kind {
        Kind::Setup => format!("the working directory {} cannot be entered: {}", cwd.display(), text(errno)),
        _ => cwd.display().to_string(),
    };
    StartFailure { kind, subject, detail: None, errno }
}

fn find(root: &Root<'_>, attempt: &Attempt<'_>, errno: i32) -> StartFailure {
    if errno == Errno::TOOBIG.raw_os_error() {
        return failure(Kind::ArgumentsTooLong, attempt.program, None);
    }
    let who = Credentials { uid: attempt.uid, gid: attempt.gid, groups: attempt.groups };
    let program = attempt.program.as_bytes();
    if program.contains(&b'/') {
        let path = attempt.cwd.join(attempt.program);
        return examine(root, &path, &who, errno, 0);
    }
    // As execvp(3) searches: the first file that is there decides, unless it may not be executed and a later one may.
    let search = attempt.path.unwrap_or(OsStr::new(DEFAULT_PATH));
    let candidates = search.as_bytes().split(|b| *b == b':').map(|dir| {
        let dir = if dir.is_empty() { Path::new(".") } else { Path::new(OsStr::from_bytes(dir)) };
        attempt.cwd.join(dir).join(attempt.program)
    });
    let mut first_refused = None;
    for path in candidates {
        match root.open(&path) {
            Ok(file) if file.is_file() && file.may_execute(&who) => {
                return examine(root, &path, &who, errno, 0);
            }
            Ok(file) if !file.is_dir() => first_refused = first_refused.or(Some(path)),
            _ => {}
        }
    }
    match first_refused {
        Some(path) => examine(root, &path, &who, errno, 0),
        None => failure(Kind::NotInPath, attempt.program, Some(search.to_string_lossy().into_owned())),
    }
}

/// An interpreter may itself be a script; the kernel follows at most this many (fs/exec.c).
const MAX_DEPTH: u32 = 5;

fn examine(root: &Root<'_>, path: &Path, who: &Credentials<'_>, errno: i32, depth: u32) -> StartFailure {
    let file = match root.open(path) {
        Ok(file) => file,
        Err(Errno::ACCESS) => return failure(Kind::PathDenied, path, None),
        Err(Errno::NOENT | Errno::NOTDIR) => {
            return match root.link_target(path) {
                Some(target) => failure(Kind::DanglingLink, path, Some(target.display().to_string())),
                None => failure(Kind::NotFound, path, None),
            };
        }
        // Not to be looked at (a seccomp profile, a loop of links): the kernel's answer is all that is known.
        Err(_) => return setup(format!("{} cannot be executed: {}", path.display(), text(errno))),
    };
    if file.is_dir() {
        return failure(Kind::IsDirectory, path, None);
    }
    if !root.may_reach(path, who) {
        return failure(Kind::PathDenied, path, None);
    }
    if !file.may_execute(who) || !file.is_file() {
        return failure(Kind::NotExecutable, path, None);
    }
    if file.is_noexec() {
        return failure(Kind::NoexecMount, path, Some(root.mount_point(path).display().to_string()));
    }
    match contents(root, path, &file, who, errno, depth) {
        Some(failure) => failure,
        None => setup(format!("{} cannot be executed: {}", path.display(), text(errno))),
    }
}

/// What the file's first bytes say; `None` where they explain nothing.
fn contents(
    root: &Root<'_>,
    path: &Path,
    file: &File,
    who: &Credentials<'_>,
    errno: i32,
    depth: u32,
) -> Option<StartFailure> {
    let head = file.head();
    if head.is_empty() && file.size() == 0 {
        return Some(failure(Kind::EmptyFile, path, None));
    }
    if let Some(line) = shebang::parse(&head) {
        let interpreter = PathBuf::from(OsStr::from_bytes(line.interpreter));
        if is_missing(root, &interpreter) {
            let kind = if line.carriage_return { Kind::CrlfShebang } else { Kind::MissingInterpreter };
            return Some(failure(kind, path, Some(interpreter.display().to_string())));
        }
        // The interpreter is there, so it is what fails.
        return (depth < MAX_DEPTH).then(|| examine(root, &interpreter, who, errno, depth + 1));
    }
    match elf::parse(&head) {
        Some(elf) => {
            if let Some(machine) = elf.foreign() {
                return Some(failure(Kind::WrongArchitecture, path, Some(machine)));
            }
            let loader = PathBuf::from(OsStr::from_bytes(
                elf.loader(|at, length| file.read_at(at, length))?.as_slice(),
            ));
            is_missing(root, &loader)
                .then(|| failure(Kind::MissingLoader, path, Some(loader.display().to_string())))
        }
        None if errno == Errno::NOEXEC.raw_os_error() => Some(failure(Kind::UnknownFormat, path, None)),
        None => None,
    }
}

fn is_missing(root: &Root<'_>, path: &Path) -> bool {
    matches!(root.open(path), Err(Errno::NOENT | Errno::NOTDIR))
}

fn failure(kind: Kind, subject: impl AsRef<OsStr>, detail: Option<String>) -> StartFailure {
    StartFailure { kind, subject: subject.as_ref().to_string_lossy().into_owned(), detail, errno: 0 }
}

fn setup(subject: String) -> StartFailure {
    StartFailure { kind: Kind::Setup, subject, detail: None, errno: 0 }
}

/// The errno's text, without the " (os error 2)" that says nothing more to a person.
pub(crate) fn text(errno: i32) -> String {
    let text = std::io::Error::from_raw_os_error(errno).to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
