//! Which container is meant: by its id or how that begins, under the root that was named, or under those that engines use.

use crate::cli::Global;
use crate::state::{self, Dir};
use anyhow::bail;
use husk_exit::Kept;
use std::path::{Path, PathBuf};

/// Where containerd's and docker's shims have their runtime keep its containers, a directory per namespace:
/// `/run/containerd/runc/default`, `/run/docker/runtime-husk/moby`.
const ENGINES: [&str; 2] = ["/run/containerd", "/run/docker"];
/// husk-cri's, with its state where it is by default.
const CRI: &str = "/run/husk/runtime";
/// How many ids are named where several begin as asked.
const NAMED: usize = 4;

/// A container that is there, or of which a record is kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Its whole id.
    pub id: String,
    /// The root below which it is.
    pub root: PathBuf,
}

impl Place {
    /// Finds the container of that id; else the only one whose id begins so.
    pub fn find(global: &Global, text: &str) -> anyhow::Result<Self> {
        let roots = roots(global);
        for root in &roots {
            let place = Self { id: text.into(), root: root.clone() };
            if place.kept().exists() || Dir::find(root, text)?.is_some() {
                return Ok(place);
            }
        }
        let mut found = all_below(&roots)?;
        found.retain(|place| place.id.starts_with(text));
        match found.as_slice() {
            [place] => Ok(place.clone()),
            [] => {
                let looked: Vec<_> = roots.iter().map(|root| root.display().to_string()).collect();
                bail!(
                    "container {text:?} does not exist and nothing is kept of it (looked in {})",
                    looked.join(", ")
                )
            }
            several => {
                let ids: Vec<_> = several.iter().take(NAMED).map(|place| place.id.as_str()).collect();
                let more = if several.len() > NAMED { " and more" } else { "" };
                bail!(
                    "{} containers have an id that begins with {text:?}: {}{more}",
                    several.len(),
                    ids.join(", ")
                )
            }
        }
    }

    /// Where its record is once it is deleted.
    pub fn kept(&self) -> PathBuf {
        Kept::new(&self.root).path(&self.id)
    }
}

/// All containers that are there, and all of which records are kept.
pub fn all(global: &Global) -> anyhow::Result<Vec<Place>> {
    all_below(&roots(global))
}

fn all_below(roots: &[PathBuf]) -> anyhow::Result<Vec<Place>> {
    let mut places = Vec::new();
    for root in roots {
        let mut ids = state::list(root)?;
        // A root of another runtime's may have anything by that name.
        ids.extend(Kept::new(root).ids().unwrap_or_default());
        places.extend(ids.into_iter().map(|id| Place { id, root: root.clone() }));
    }
    places.sort();
    places.dedup();
    Ok(places)
}

fn roots(global: &Global) -> Vec<PathBuf> {
    let mut roots = vec![global.root()];
    if global.root.is_none() {
        roots.extend(Some(PathBuf::from(CRI)).filter(|root| root.is_dir()));
        for engine in ENGINES {
            roots.extend(folders(Path::new(engine)).iter().flat_map(|folder| folders(folder)).filter(
                |root| {
                    // Other folders of theirs hold other things.
                    Kept::new(root).exists()
                        || folders(root).iter().any(|dir| dir.join("state.json").exists())
                },
            ));
        }
    }
    roots
}

fn folders(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut found: Vec<_> =
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_dir()).collect();
    found.sort();
    found
}
