//! `husk list`: lists the containers under the root directory.

use super::state::Shown;
use super::target::Target;
use crate::cli::Global;
use crate::{log, state};
use anyhow::{Context as _, bail};
use std::io::Write as _;
use std::process::ExitCode;

/// Arguments of `husk list`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Form of the output: table or json
    #[arg(long, short, value_name = "FORMAT", default_value = "table")]
    pub format: String,
    /// Show the ids alone, one per line
    #[arg(long, short)]
    pub quiet: bool,
}

/// Lists the containers.
pub fn run(global: &Global, args: &Args) -> anyhow::Result<ExitCode> {
    if !matches!(args.format.as_str(), "table" | "json") {
        bail!("--format {:?}: table and json are possible", args.format);
    }
    let root = global.root();
    // Nothing was ever created under the default root: no containers. A root that was named must be there.
    if global.root.is_some() && !root.exists() {
        bail!("--root {}: no such directory", root.display());
    }
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let mut targets = Vec::new();
    for id in state::list(&root)? {
        // One that is just being made, or deleted, has no state and is no news; asked again, as it may have one by now.
        let has_state = || root.join(&id).join("state.json").exists();
        let found = Target::open(global, &id);
        match if found.is_err() && has_state() { Target::open(global, &id) } else { found } {
            Ok(target) => targets.push(target),
            // One damaged container must not hide the others.
            Err(error) if has_state() => log::warn(&format!("list {id}: {error:#}")),
            Err(_) => {}
        }
    }
    let rows: Vec<Shown<'_>> =
        targets.iter().map(|target| Shown::new(target, user_name(&passwd, target.state.owner))).collect();
    let mut out = std::io::stdout().lock();
    if args.quiet {
        for row in &rows {
            writeln!(out, "{}", row.id)?;
        }
    } else if args.format == "json" {
        writeln!(out, "{}", serde_json::to_string(&rows).context("render the list")?)?;
    } else {
        out.write_all(table(&rows).as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Columns at least twelve wide and three apart, as runc prints them.
fn table(rows: &[Shown<'_>]) -> String {
    let head = ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"].map(str::to_string);
    let mut lines = vec![head];
    for row in rows {
        lines.push([
            row.id.to_string(),
            row.pid.to_string(),
            row.status.to_string(),
            row.bundle.display().to_string(),
            row.created.to_string(),
            row.owner.clone(),
        ]);
    }
    let width = |column: usize| {
        lines.iter().map(|line| line[column].chars().count() + 3).max().unwrap_or_default().max(12)
    };
    let widths: Vec<usize> = (0..5).map(width).collect();
    let mut out = String::new();
    for line in &lines {
        for (cell, width) in line.iter().zip(&widths) {
            out.push_str(&format!("{cell:width$}"));
        }
        out.push_str(&line[5]);
        out.push('\n');
    }
    out
}

/// The name in passwd(5), or `#uid` as runc has it.
fn user_name(passwd: &str, uid: u32) -> String {
    let wanted = uid.to_string();
    let name = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == wanted).then(|| name.to_string())
    });
    name.unwrap_or_else(|| format!("#{uid}"))
}

#[cfg(test)]
mod tests {
    use super::{table, user_name};

    #[test]
    fn an_empty_table_is_its_head() {
        assert_eq!(table(&[]), "ID          PID         STATUS      BUNDLE      CREATED     OWNER\n");
    }

    #[test]
    fn owners_by_name_or_number() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\nann:x:1000:1000::/home/ann:/bin/sh\n";
        assert_eq!(user_name(passwd, 0), "root");
        assert_eq!(user_name(passwd, 1000), "ann");
        assert_eq!(user_name(passwd, 7), "#7");
    }
}
