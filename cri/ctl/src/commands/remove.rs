//! `huskctl rm` and `huskctl rmi`.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, bail};
use husk_cri_api as cri;

use super::pull::spec;
use super::stop;
use crate::client::{Client, Error, rpc};
use crate::data::PodData;
use crate::resolve::{Found, Inventory, pod_name};

/// Removes pods with all they hold, or single containers, and prints their ids.
pub async fn remove(
    client: &Client,
    data: &Path,
    words: &[String],
    every: bool,
    force: bool,
) -> anyhow::Result<()> {
    let all = Inventory::of(client).await?;
    let found = match every {
        true => all.pods.iter().cloned().map(Found::Pod).collect(),
        false => words.iter().map(|w| all.any(w)).collect::<Result<Vec<_>, _>>()?,
    };
    for one in found {
        match one {
            Found::Container(c) => {
                if c.state() == cri::ContainerState::ContainerRunning && !force {
                    bail!("container {} runs; stop it first, or use --force", all.full_name(&c));
                }
                container(client, &c.id, force).await?;
                writeln!(std::io::stdout(), "{}", c.id)?;
            }
            Found::Pod(p) => {
                let runs = |c: &&cri::Container| {
                    c.pod_sandbox_id == p.id && c.state() == cri::ContainerState::ContainerRunning
                };
                if let Some(c) = all.containers.iter().find(runs).filter(|_| !force) {
                    let message = "runs; stop the pod first, or use --force";
                    bail!("pod {} has a container, {}, that {message}", pod_name(&p), all.full_name(c));
                }
                pod(client, data, &all, &p).await?;
                writeln!(std::io::stdout(), "{}", p.id)?;
            }
        }
    }
    Ok(())
}

async fn container(client: &Client, id: &str, force: bool) -> Result<(), Error> {
    if force {
        stop::container(client, id, 0).await?;
    }
    let request = cri::RemoveContainerRequest { container_id: id.to_owned() };
    rpc("RemoveContainer", client.runtime.clone().remove_container(request)).await?;
    Ok(())
}

/// Removes a pod, its containers, and what huskctl keeps for it.
async fn pod(client: &Client, data: &Path, all: &Inventory, p: &cri::PodSandbox) -> anyhow::Result<()> {
    sandbox(client, all, p, 0).await?;
    let uid = p.metadata.as_ref().map_or("", |m| &m.uid);
    // A pod that another program started has no directories here, and perhaps no such uid.
    match PodData::of(data, uid) {
        Ok(kept) => kept.remove().with_context(|| format!("pod {}", pod_name(p))),
        Err(_) => Ok(()),
    }
}

/// Stops a pod and removes it with its containers.
pub async fn sandbox(
    client: &Client,
    all: &Inventory,
    p: &cri::PodSandbox,
    grace: u32,
) -> anyhow::Result<()> {
    stop::pod(client, all, &p.id, grace).await?;
    for c in all.containers.iter().filter(|c| c.pod_sandbox_id == p.id) {
        container(client, &c.id, false).await?;
    }
    let request = cri::RemovePodSandboxRequest { pod_sandbox_id: p.id.clone() };
    rpc("RemovePodSandbox", client.runtime.clone().remove_pod_sandbox(request)).await?;
    Ok(())
}

/// Removes images and prints what was removed.
pub async fn images(client: &Client, words: &[String]) -> anyhow::Result<()> {
    for word in words {
        let request = cri::ImageStatusRequest { image: Some(spec(word)), verbose: false };
        let found = rpc("ImageStatus", client.images.clone().image_status(request)).await?;
        let id = found.image.with_context(|| format!("no image is called {word:?}"))?.id;
        let request = cri::RemoveImageRequest { image: Some(spec(&id)) };
        rpc("RemoveImage", client.images.clone().remove_image(request)).await?;
        writeln!(std::io::stdout(), "{id}")?;
    }
    Ok(())
}
