//! `huskctl stats`.

use std::time::Duration;

use husk_cri_api as cri;

use super::lists::put;
use crate::bytes::{short, size};
use crate::cli::Show;
use crate::client::{Client, rpc};
use crate::resolve::Inventory;
use crate::table::Table;

/// Time between the two samples from which CPU use is told.
const INTERVAL: Duration = Duration::from_secs(1);

/// Shows CPU, memory and disk use of one container or of all that run.
pub async fn stats(client: &Client, word: Option<&str>, show: Show) -> anyhow::Result<()> {
    let all = Inventory::of(client).await?;
    let id = word.map(|w| all.container(w)).transpose()?.map(|c| c.id.clone());
    let before = if show.json || show.quiet { Vec::new() } else { sample(client, id.as_ref()).await? };
    if !before.is_empty() {
        tokio::time::sleep(INTERVAL).await;
    }
    let now = sample(client, id.as_ref()).await?;
    let mut table = Table::new(&["CONTAINER", "NAME", "CPU", "MEMORY", "SWAP", "DISK", "INODES"]);
    for s in &now {
        let earlier = before.iter().find(|b| id_of(b) == id_of(s));
        let container = all.containers.iter().find(|c| c.id == id_of(s));
        let disk = s.writable_layer.as_ref();
        table.row([
            short(id_of(s)).into(),
            container.map_or("?".into(), |c| all.full_name(c)),
            earlier.and_then(|e| cpu(e, s)).map_or("-".into(), |percent| format!("{percent:.1} %")),
            bytes(s.memory.as_ref().and_then(|m| m.working_set_bytes)),
            bytes(s.swap.as_ref().and_then(|m| m.swap_usage_bytes)),
            bytes(disk.and_then(|d| d.used_bytes)),
            disk.and_then(|d| d.inodes_used).map_or("-".into(), |v| v.value.to_string()),
        ]);
    }
    put(&now, id_of, &table, show)
}

async fn sample(client: &Client, id: Option<&String>) -> anyhow::Result<Vec<cri::ContainerStats>> {
    let mut runtime = client.runtime.clone();
    if let Some(id) = id {
        let request = cri::ContainerStatsRequest { container_id: id.clone() };
        let answer = rpc("ContainerStats", runtime.container_stats(request)).await?;
        return Ok(answer.stats.into_iter().collect());
    }
    let request = cri::ListContainerStatsRequest::default();
    Ok(rpc("ListContainerStats", runtime.list_container_stats(request)).await?.stats)
}

/// Percent of one CPU between two samples.
fn cpu(before: &cri::ContainerStats, now: &cri::ContainerStats) -> Option<f64> {
    let (before, now) = (before.cpu.as_ref()?, now.cpu.as_ref()?);
    let used = now.usage_core_nano_seconds?.value.checked_sub(before.usage_core_nano_seconds?.value)?;
    let passed = u64::try_from(now.timestamp - before.timestamp).ok().filter(|p| *p > 0)?;
    Some(used as f64 / passed as f64 * 100.0)
}

fn bytes(value: Option<cri::UInt64Value>) -> String {
    value.map_or("-".into(), |v| size(v.value))
}

fn id_of(stats: &cri::ContainerStats) -> &str {
    stats.attributes.as_ref().map_or("", |a| &a.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_use_is_told_between_samples_that_make_sense() {
        let at = |timestamp, used| cri::ContainerStats {
            cpu: Some(cri::CpuUsage {
                timestamp,
                usage_core_nano_seconds: Some(cri::UInt64Value { value: used }),
                ..Default::default()
            }),
            ..Default::default()
        };
        assert_eq!(cpu(&at(0, 0), &at(1000, 500)), Some(50.0));
        assert_eq!(cpu(&at(0, 500), &at(1000, 0)), None);
        assert_eq!(cpu(&at(5, 0), &at(5, 500)), None);
        assert_eq!(cpu(&at(0, 0), &cri::ContainerStats::default()), None);
    }
}
