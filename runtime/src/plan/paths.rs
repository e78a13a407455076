//! Paths in the container: masked, read-only, /dev; and the propagation of the root.

use super::{Error, Result, mounts, mounts::Mount};
use rustix::mount::MountPropagationFlags;
use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

/// How mount events spread between the container's root and the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RootPropagation {
    /// The type for all mounts that the container's namespace begins with.
    pub kind: MountPropagationFlags,
    /// Recursively.
    pub recursive: bool,
}

/// `linux.rootfsPropagation`; without it the host's mount events reach the container and none comes back.
pub fn root_propagation(value: Option<&str>) -> Result<RootPropagation> {
    match value.filter(|value| !value.is_empty()) {
        None => Ok(RootPropagation { kind: MountPropagationFlags::DOWNSTREAM, recursive: true }),
        Some(value) => match mounts::propagation(value) {
            Some((kind, recursive)) => Ok(RootPropagation { kind, recursive }),
            None => Err(Error::new(
                "linux.rootfsPropagation",
                format!("{value:?} is not one of [r]shared, [r]slave, [r]private, [r]unbindable"),
            )),
        },
    }
}

/// Absolute paths in the container, each once: to hide a path twice would take a second mount.
pub fn inside(field: &str, paths: Option<&[String]>) -> Result<Vec<PathBuf>> {
    let (mut out, mut seen) = (Vec::new(), HashSet::new());
    for (index, path) in paths.unwrap_or_default().iter().enumerate() {
        if !path.starts_with('/') {
            return Err(Error::new(format!("{field}[{index}]"), format!("{path:?} is not an absolute path")));
        }
        let path = mounts::normalize(Path::new(path));
        if seen.insert(path.clone()) {
            out.push(path);
        }
    }
    Ok(out)
}

/// Whether husk fills /dev: not where the host's is bind-mounted there.
pub fn sets_up_dev(mounts: &[Mount]) -> bool {
    !mounts.iter().any(|mount| {
        mount.destination == Path::new("/dev") && matches!(mount.source, mounts::Source::Bind { .. })
    })
}

#[cfg(test)]
mod tests {
    use super::{inside, root_propagation};
    use rustix::mount::MountPropagationFlags as P;
    use std::path::Path;

    #[test]
    fn propagation_of_the_root() {
        assert_eq!(root_propagation(None).unwrap().kind, P::DOWNSTREAM);
        let shared = root_propagation(Some("shared")).unwrap();
        assert!(shared.kind == P::SHARED && !shared.recursive);
        assert!(root_propagation(Some("public")).unwrap_err().to_string().contains("\"public\""));
    }

    #[test]
    fn a_path_that_is_named_twice_is_hidden_once() {
        let paths = inside("x", Some(&["/a/b".into(), "/c".into(), "/a/./b/".into()])).unwrap();
        assert_eq!(paths, [Path::new("/a/b"), Path::new("/c")]);
    }

    #[test]
    fn a_hundred_thousand_paths_are_no_trouble() {
        // Where each is looked for in a list of the others, this takes hours.
        let many: Vec<_> = (0..100_000).map(|number| format!("/proc/{number}")).collect();
        assert_eq!(inside("x", Some(&many)).unwrap().len(), many.len());
    }

    #[test]
    fn relative_paths_are_refused() {
        let error = inside("linux.maskedPaths", Some(&["/ok".into(), "proc".into()])).unwrap_err();
        assert_eq!(error.path, "linux.maskedPaths[1]");
    }
}
