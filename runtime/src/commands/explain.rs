//! `husk explain`: says why a container ended, with the evidence.

use super::ExitWith;
use crate::cli::Global;
use crate::state::{Dir, Status, id, status};
use anyhow::{Context as _, bail};
use husk_exit::{Baseline, ExitRecord, Explanation, Found, Kept, UnknownReason};
use std::io::Write as _;
use std::process::ExitCode;

/// Arguments of `husk explain`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Show the explanation and the exit record as JSON
    #[arg(long)]
    pub json: bool,
    /// Explain the exec session of this id instead; those of CRI containers are recorded
    #[arg(long, value_name = "EXEC-ID")]
    pub exec_id: Option<String>,
    /// Id of the container; it may be deleted already
    #[arg(value_name = "CONTAINER-ID")]
    pub id: String,
}

/// Explains the end.
pub fn run(global: &Global, args: &Args) -> anyhow::Result<ExitCode> {
    id::check(&args.id)?;
    let record = match &args.exec_id {
        Some(exec) => exec_record(global, &args.id, exec)?,
        None => container_record(global, &args.id)?,
    };
    let explanation = Explanation::of(&record);
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&explanation).context("render the explanation")?)?;
    } else {
        out.write_all(explanation.to_text().as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn container_record(global: &Global, id: &str) -> anyhow::Result<ExitRecord> {
    let root = global.root();
    let Some(dir) = Dir::find(&root, id)? else {
        return match read(&Kept::new(&root).path(id), id)? {
            Found::Record(record) => Ok(record),
            _ => bail!(
                "container {id:?} does not exist and nothing is kept of it (looked in {})",
                root.display()
            ),
        };
    };
    let found = read(&dir.path().join("exit.json"), id)?;
    if let Found::Record(record) = found {
        return Ok(record);
    }
    let state = dir.load()?;
    match status(&dir, &state) {
        Status::Stopped => {}
        status => {
            return Err(ExitWith {
                code: 1,
                message: format!("container {id:?} has not ended: it is {status}"),
            }
            .into());
        }
    }
    // Nobody wrote the end down. What the cgroup still says is told, and no more than that.
    let mut record = ExitRecord::new(id);
    record.pid = state.init.map_or(0, |init| init.pid.unsigned_abs());
    if let Some(cgroup) = state.cgroup.as_ref().filter(|path| path.exists()) {
        husk_exit::gather(&mut record, cgroup, &Baseline::default());
    }
    match found {
        // Who reserved the room for the record was to write it.
        Found::Pending => record.outcome = husk_exit::Outcome::Unknown { reason: UnknownReason::MonitorDied },
        _ => record.gaps.push(
            "the container's monitor was not husk, so its exit status is known to that program alone".into(),
        ),
    }
    Ok(record)
}

fn exec_record(global: &Global, id: &str, exec: &str) -> anyhow::Result<ExitRecord> {
    id::check(exec).with_context(|| format!("--exec-id {exec:?}"))?;
    let dir = Dir::open(&global.root(), id)?;
    match read(&dir.path().join(format!("exec-{exec}.json")), id)? {
        Found::Record(record) => Ok(record),
        Found::Pending => bail!("exec {exec:?} of container {id:?} has not ended"),
        Found::Nothing => bail!("container {id:?} has no record of an exec {exec:?}"),
    }
}

/// Reads a record; one that is damaged is told as such, for it was the only witness.
fn read(path: &std::path::Path, id: &str) -> anyhow::Result<Found> {
    match husk_exit::read(path) {
        Err(husk_exit::Error::Damaged { path, what }) => {
            let mut record = ExitRecord::new(id);
            record.outcome = husk_exit::Outcome::Unknown { reason: UnknownReason::Damaged };
            record.gaps.push(format!("{} is damaged: {what}", path.display()));
            Ok(Found::Record(record))
        }
        other => Ok(other?),
    }
}
