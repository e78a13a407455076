//! `huskctl logs`: reads the log file that the runtime names.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use husk_cri_api as cri;

use crate::cli::LogsArgs;
use crate::client::{Client, present, rpc};
use crate::logs::{Follower, Shown};
use crate::resolve::{Inventory, attempt, name};

/// How often a followed log is looked at.
const TICK: Duration = Duration::from_millis(100);

/// Shows a container's log.
pub async fn logs(client: &Client, args: &LogsArgs) -> anyhow::Result<()> {
    let all = Inventory::of(client).await?;
    let mut container = all.container(&args.container)?;
    if args.previous {
        let before = |c: &&cri::Container| {
            c.pod_sandbox_id == container.pod_sandbox_id
                && name(c) == name(container)
                && attempt(c) < attempt(container)
        };
        let previous = all.containers.iter().filter(before).max_by_key(|c| attempt(c));
        container =
            previous.with_context(|| format!("{} has no previous attempt", all.full_name(container)))?;
    }
    let state = status(client, &container.id).await?;
    ensure!(!state.log_path.is_empty(), "{} has no log", all.full_name(container));
    let opened = Follower::open(Path::new(&state.log_path), args.tail);
    let mut log = opened.with_context(|| format!("open {}", state.log_path))?;
    let mut shown = Shown::new("", args.timestamps);
    loop {
        // Asked before reading: what was written before the end is then read after it.
        let ended = !args.follow || ended(&status(client, &container.id).await?);
        show_new(&mut log, &mut shown)?;
        if ended {
            shown.finish(&mut io::stdout().lock(), &mut io::stderr().lock())?;
            return Ok(());
        }
        tokio::time::sleep(TICK).await;
    }
}

/// Writes what is new in `log`: standard output's to ours, standard error's to ours.
pub fn show_new(log: &mut Follower, shown: &mut Shown) -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut err = io::BufWriter::new(io::stderr().lock());
    log.read_new(|record| shown.show(record, &mut out, &mut err))?;
    out.flush()?;
    err.flush()
}

/// ContainerStatus of `id`.
pub async fn status(client: &Client, id: &str) -> Result<cri::ContainerStatus, crate::client::Error> {
    let request = cri::ContainerStatusRequest { container_id: id.to_owned(), verbose: false };
    let mut runtime = client.runtime.clone();
    let answer = rpc("ContainerStatus", runtime.container_status(request)).await?;
    present("ContainerStatus", "status", answer.status)
}

/// True if the container will not write any more.
pub fn ended(status: &cri::ContainerStatus) -> bool {
    matches!(status.state(), cri::ContainerState::ContainerExited | cri::ContainerState::ContainerUnknown)
}
