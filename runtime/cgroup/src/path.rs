//! From `linux.cgroupsPath` to a directory of the hierarchy.

use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use crate::{Error, Hierarchy, Result, read};

/// Parent of all groups of containers that name no path of their own.
pub const DEFAULT_PARENT: &str = "husk";

/// The group of a container.
///
/// - an absolute `cgroups_path` is taken from the mount point on;
/// - a relative one from the parent of the caller's own group on: the caller's group has a process (the caller), so no
///   controller can be enabled below it (the "no internal processes" rule);
/// - none is `/husk/<id>` for root, and `husk/<id>` beside the own group for an ordinary user, where a group may be
///   delegated.
///
/// `..` stays below the mount point, as the spec's "relative to the cgroups mount point" demands.
pub fn resolve(
    hierarchy: &Hierarchy,
    cgroups_path: Option<&Path>,
    id: &str,
    rootless: bool,
) -> Result<PathBuf> {
    let own = || own_group().map(|path| path.parent().unwrap_or(Path::new("/")).to_path_buf());
    let inner = match cgroups_path.filter(|path| !path.as_os_str().is_empty()) {
        Some(path) if path.is_absolute() => path.to_path_buf(),
        Some(path) => own()?.join(clean(path)?),
        None if rootless => own()?.join(DEFAULT_PARENT).join(id),
        None => Path::new("/").join(DEFAULT_PARENT).join(id),
    };
    let inner = clean(&inner)?;
    if inner.as_os_str().is_empty() {
        let value = cgroups_path.unwrap_or(Path::new("")).to_string_lossy().into_owned();
        return Err(Error::Path {
            value,
            reason: "is the root of the hierarchy, which cannot be a container's",
        });
    }
    Ok(hierarchy.root().join(inner))
}

/// Whether a path has the form `slice:prefix:name` of the systemd driver.
pub fn is_systemd_form(path: &Path) -> bool {
    path.to_str().is_some_and(|text| !text.starts_with('/') && text.split(':').count() == 3)
}

/// The path without `.`, `..` and a leading slash; `..` never leaves the top.
fn clean(path: &Path) -> Result<PathBuf> {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => out.push(check_name(path, name)?),
            Component::ParentDir => {
                out.pop();
            }
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    Ok(out)
}

fn check_name<'a>(path: &Path, name: &'a OsStr) -> Result<&'a OsStr> {
    let bad = |reason| Err(Error::Path { value: path.to_string_lossy().into_owned(), reason });
    // NAME_MAX; the kernel answers ENAMETOOLONG only after parents have been made.
    if name.len() > 255 {
        return bad("has a component of more than 255 bytes");
    }
    // kernfs refuses a newline, since /proc/PID/cgroup is a list of lines.
    if name.as_encoded_bytes().iter().any(|b| *b == b'\n' || *b == 0) {
        return bad("has a newline or NUL in it");
    }
    Ok(name)
}

/// The caller's own group, from the line `0::/path` of /proc/self/cgroup.
fn own_group() -> Result<PathBuf> {
    let file = Path::new("/proc/self/cgroup");
    let text = read::text(file).map_err(|errno| Error::call("read", file, errno))?;
    parse_own(&text).map(PathBuf::from).ok_or(Error::NoHierarchy)
}

/// The group of a process (its pid, or `self`) as /proc/PID/cgroup has it: from the root of the caller's cgroup namespace.
/// None where there is no such process, or no cgroup2.
pub fn of_process(pid: &str) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    parse_own(&text).map(str::to_owned)
}

fn parse_own(text: &str) -> Option<&str> {
    text.lines().find_map(|line| line.strip_prefix("0::"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cleaned(path: &str) -> String {
        clean(Path::new(path)).unwrap().to_string_lossy().into_owned()
    }

    #[test]
    fn dots_never_leave_the_top() {
        assert_eq!(cleaned("/a/b"), "a/b");
        assert_eq!(cleaned("/../../etc"), "etc");
        assert_eq!(cleaned("a/../../b/./c"), "b/c");
        assert_eq!(cleaned("/.."), "");
    }

    #[test]
    fn root_and_odd_names_are_refused() {
        let Ok(hierarchy) = Hierarchy::detect() else { return };
        for path in ["/", "/..", "/a/.."] {
            let err = resolve(&hierarchy, Some(Path::new(path)), "x", false).unwrap_err();
            assert!(err.to_string().contains("root of the hierarchy"), "{path}: {err}");
        }
        let long = format!("/{}", "n".repeat(256));
        assert!(resolve(&hierarchy, Some(Path::new(&long)), "x", false).is_err());
        assert!(resolve(&hierarchy, Some(Path::new("/a\nb")), "x", false).is_err());
    }

    #[test]
    fn default_and_absolute() {
        let Ok(hierarchy) = Hierarchy::detect() else { return };
        let root = hierarchy.root();
        assert_eq!(resolve(&hierarchy, None, "web", false).unwrap(), root.join("husk/web"));
        assert_eq!(resolve(&hierarchy, Some(Path::new("")), "web", false).unwrap(), root.join("husk/web"));
        assert_eq!(resolve(&hierarchy, Some(Path::new("/p/c")), "web", false).unwrap(), root.join("p/c"));
    }

    #[test]
    fn own_line() {
        assert_eq!(parse_own("4:memory:/x\n0::/user.slice/s.scope\n"), Some("/user.slice/s.scope"));
        assert_eq!(parse_own("4:memory:/x\n"), None);
    }

    #[test]
    fn systemd_form() {
        assert!(is_systemd_form(Path::new("system.slice:husk:web")));
        assert!(is_systemd_form(Path::new(":husk:web")));
        assert!(!is_systemd_form(Path::new("/a:b:c")));
        assert!(!is_systemd_form(Path::new("a/b")));
    }
}
