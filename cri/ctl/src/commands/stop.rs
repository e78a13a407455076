//! `huskctl stop`.

use std::io::Write;

use husk_cri_api as cri;

use crate::client::{Client, Error, rpc};
use crate::resolve::{Found, Inventory};

/// Stops pods with all their containers, or single containers, and prints their ids.
pub async fn stop(client: &Client, words: &[String], timeout: u32) -> anyhow::Result<()> {
    let all = Inventory::of(client).await?;
    // All are looked up before the first is stopped: a typo stops nothing.
    let found = words.iter().map(|w| all.any(w)).collect::<Result<Vec<_>, _>>()?;
    for one in found {
        match one {
            Found::Container(c) => {
                container(client, &c.id, timeout).await?;
                writeln!(std::io::stdout(), "{}", c.id)?;
            }
            Found::Pod(p) => {
                pod(client, &all, &p.id, timeout).await?;
                writeln!(std::io::stdout(), "{}", p.id)?;
            }
        }
    }
    Ok(())
}

/// Stops a pod: its containers all at once, each with its time, then the sandbox.
pub async fn pod(client: &Client, all: &Inventory, id: &str, timeout: u32) -> Result<(), Error> {
    let mut stopping = tokio::task::JoinSet::new();
    for c in all.containers.iter().filter(|c| c.pod_sandbox_id == id) {
        let (client, id) = (client.clone(), c.id.clone());
        stopping.spawn(async move { container(&client, &id, timeout).await });
    }
    let stopped = stopping.join_all().await.into_iter().collect::<Result<(), _>>();
    // The sandbox goes down in any case; what a container said is told after it.
    sandbox(client, id).await?;
    stopped
}

/// StopContainer of a running container; of one that is gone nothing.
pub async fn container(client: &Client, id: &str, timeout: u32) -> Result<(), Error> {
    let request = cri::StopContainerRequest { container_id: id.to_owned(), timeout: timeout.into() };
    rpc("StopContainer", client.runtime.clone().stop_container(request)).await?;
    Ok(())
}

/// StopPodSandbox.
pub async fn sandbox(client: &Client, id: &str) -> Result<(), Error> {
    let request = cri::StopPodSandboxRequest { pod_sandbox_id: id.to_owned() };
    rpc("StopPodSandbox", client.runtime.clone().stop_pod_sandbox(request)).await?;
    Ok(())
}
