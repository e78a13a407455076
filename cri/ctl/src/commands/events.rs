//! `huskctl events`.

use std::io::Write;

use husk_cri_api as cri;

use crate::bytes::short;
use crate::client::{Client, rpc};
use crate::table::printable;

/// Prints one line per event until the server or the user ends it.
pub async fn events(client: &Client, json: bool) -> anyhow::Result<()> {
    let mut runtime = client.runtime.clone();
    let mut stream =
        rpc("GetContainerEvents", runtime.get_container_events(cri::GetEventsRequest {})).await?;
    while let Some(event) = stream.message().await? {
        if json {
            writeln!(std::io::stdout(), "{}", serde_json::to_string(&event)?)?;
            continue;
        }
        let pod =
            event.pod_sandbox_status.as_ref().and_then(|p| p.metadata.as_ref()).map_or("?", |m| &m.name);
        let own = event.containers_statuses.iter().find(|c| c.id == event.container_id);
        let name = own.and_then(|c| c.metadata.as_ref()).map_or("(sandbox)", |m| &m.name);
        let detail = match own.filter(|_| event.container_event_type() == STOPPED) {
            Some(c) => format!(" {} ({}) {}", c.reason, c.exit_code, c.message),
            None => String::new(),
        };
        let what = word(event.container_event_type());
        writeln!(
            std::io::stdout(),
            "{}",
            printable(&format!("{what} {} {pod}/{name}{detail}", short(&event.container_id)))
        )?;
    }
    Ok(())
}

const STOPPED: cri::ContainerEventType = cri::ContainerEventType::ContainerStoppedEvent;

fn word(kind: cri::ContainerEventType) -> &'static str {
    match kind {
        cri::ContainerEventType::ContainerCreatedEvent => "created",
        cri::ContainerEventType::ContainerStartedEvent => "started",
        cri::ContainerEventType::ContainerStoppedEvent => "stopped",
        cri::ContainerEventType::ContainerDeletedEvent => "deleted",
    }
}
