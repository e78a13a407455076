//! `husk explain`: says why a container ended, with the evidence.

mod find;

use super::ExitWith;
use crate::cli::Global;
use crate::record;
use crate::state::{Dir, Status, id, status};
use anyhow::{Context as _, bail};
use find::Place;
use husk_exit::{ExitRecord, Explanation, Found, UnknownReason};
use std::io::Write as _;
use std::process::ExitCode;

/// Arguments of `husk explain`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Show the explanation and the exit record as JSON
    #[arg(long)]
    pub json: bool,
    /// Explain the exec session of this id instead; those of CRI containers are recorded
    #[arg(long, value_name = "EXEC-ID", requires = "id")]
    pub exec_id: Option<String>,
    /// Id of the container, or how it begins; it may be deleted already. Without it the last ends are listed
    #[arg(value_name = "CONTAINER-ID")]
    pub id: Option<String>,
}

/// Explains the end.
pub fn run(global: &Global, args: &Args) -> anyhow::Result<ExitCode> {
    let Some(id) = &args.id else { return recent(global, args.json) };
    id::check(id)?;
    let place = Place::find(global, id)?;
    let record = match &args.exec_id {
        Some(exec) => exec_record(&place, exec)?,
        None => container_record(&place)?,
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

/// How many of the last ends are listed.
const RECENT: usize = 20;

/// Lists the last ends, the latest first. What is damaged or has not ended is no part of it.
fn recent(global: &Global, json: bool) -> anyhow::Result<ExitCode> {
    let mut ends: Vec<Explanation> = find::all(global)?
        .iter()
        .filter_map(|place| Some(Explanation::of(&container_record(place).ok()?)))
        .collect();
    ends.sort_by_key(|end| std::cmp::Reverse(end.record.finished_ns));
    ends.truncate(RECENT);
    let mut out = std::io::stdout().lock();
    if json {
        writeln!(out, "{}", serde_json::to_string_pretty(&ends).context("render the explanations")?)?;
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(out, "{:<20} {:<13} {:<18} {:>4}  WHAT HAPPENED", "ENDED", "ID", "REASON", "CODE")?;
    for end in &ends {
        // As engines shorten the ids that they make; enough to be found by.
        let id = if end.id.len() == 64 { end.id.get(..12).unwrap_or(&end.id) } else { &end.id };
        let code = end.exit_code.map_or("?".into(), |code| code.to_string());
        let at = husk_exit::rfc3339(end.record.finished_ns);
        let second = at.get(..19).unwrap_or_default();
        writeln!(out, "{second}Z {id:<13} {:<18} {code:>4}  {}", end.reason, end.message)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn container_record(place: &Place) -> anyhow::Result<ExitRecord> {
    let id = &place.id;
    let Some(dir) = Dir::find(&place.root, id)? else {
        return match read(&place.kept(), id)? {
            Found::Record(record) => Ok(record),
            // Room was set aside for it by a husk that did not live to write it.
            Found::Pending => {
                let mut record = ExitRecord::new(id);
                record.outcome = husk_exit::Outcome::Unknown { reason: UnknownReason::MonitorDied };
                Ok(record)
            }
            Found::Nothing => bail!("container {id:?} has just been deleted, and nothing is kept of it"),
        };
    };
    let found = read(&dir.path().join(record::FILE), id)?;
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
    // Nobody wrote the end down. What there is to be seen of it is told, and no more than that.
    Ok(match found {
        // Who reserved the room for the record was to write it.
        Found::Pending => record::unwatched(&dir, &state, UnknownReason::MonitorDied),
        _ => record::unwatched(&dir, &state, UnknownReason::WatchedElsewhere),
    })
}

fn exec_record(place: &Place, exec: &str) -> anyhow::Result<ExitRecord> {
    let id = &place.id;
    id::check(exec).with_context(|| format!("--exec-id {exec:?}"))?;
    let dir = Dir::open(&place.root, id)?;
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
