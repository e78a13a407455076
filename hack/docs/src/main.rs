//! husk-docs FOLDER [DATE]: writes manual pages and shell completions below FOLDER, as they are installed below
//! `/usr/share`. DATE (2026-11-21) stands in the pages' foot.
//!
//! What a flag does is said once, in the command line's definition. What a definition has no place for (descriptions,
//! exit codes, files, examples) is written by hand in a file beside it: `run.md` beside `run.rs`.

mod completion;
mod page;
mod text;

#[cfg(test)]
mod tests;

use anyhow::{Context as _, bail};
use std::path::{Path, PathBuf};

/// A file to be written: its path below the folder, and its content.
pub type Made = (PathBuf, Vec<u8>);

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (folder, date) = match arguments.as_slice() {
        [folder] => (folder, ""),
        [folder, date] => (folder, date.as_str()),
        _ => bail!("usage: husk-docs FOLDER [DATE]"),
    };
    let made = all(date)?;
    let count = made.len();
    for (path, content) in made {
        let path = Path::new(folder).join(path);
        let parent = path.parent().context("a file in a folder")?;
        std::fs::create_dir_all(parent).with_context(|| format!("make {}", parent.display()))?;
        std::fs::write(&path, content).with_context(|| format!("write {}", path.display()))?;
    }
    println!("{count} manual pages and completions are in {folder}");
    Ok(())
}

/// All pages and completions.
pub fn all(date: &str) -> anyhow::Result<Vec<Made>> {
    let mut made = Vec::new();
    for program in page::programs() {
        made.extend(page::pages(&program, date)?);
        made.extend(completion::scripts(program.command));
    }
    made.push(page::shim(date)?);
    Ok(made)
}
