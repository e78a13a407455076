//! `huskctl ps`, `pods`, `images`.

use std::io::Write;

use husk_cri_api as cri;
use serde::Serialize;

use crate::bytes::{ago, short, size};
use crate::cli::Show;
use crate::client::{Client, rpc};
use crate::resolve::{Inventory, attempt, name, pod_name};
use crate::table::Table;

/// Lists containers, the newest first.
pub async fn containers(client: &Client, every: bool, show: Show) -> anyhow::Result<()> {
    let mut all = Inventory::of(client).await?;
    all.containers.retain(|c| every || c.state() == cri::ContainerState::ContainerRunning);
    all.containers.sort_by_key(|c| std::cmp::Reverse(c.created_at));
    let mut table = Table::new(&["CONTAINER", "NAME", "POD", "IMAGE", "STATE", "CREATED", "ATTEMPT"]);
    for c in &all.containers {
        let pod = all.pods.iter().find(|p| p.id == c.pod_sandbox_id).map_or("?", pod_name);
        let image = c
            .image
            .as_ref()
            .map(|i| if i.user_specified_image.is_empty() { &i.image } else { &i.user_specified_image });
        table.row([
            short(&c.id).into(),
            name(c).into(),
            pod.into(),
            image.map_or("-", |i| readable(i)).into(),
            state(c.state()).into(),
            ago(c.created_at),
            attempt(c).to_string(),
        ]);
    }
    put(&all.containers, |c| &c.id, &table, show)
}

/// Lists pods, the newest first.
pub async fn pods(client: &Client, show: Show) -> anyhow::Result<()> {
    let mut all = Inventory::of(client).await?;
    all.pods.sort_by_key(|p| std::cmp::Reverse(p.created_at));
    let mut table = Table::new(&["POD", "NAME", "NAMESPACE", "STATE", "CREATED", "CONTAINERS", "RUNTIME"]);
    for p in &all.pods {
        let mine = all.containers.iter().filter(|c| c.pod_sandbox_id == p.id);
        let running = mine.clone().filter(|c| c.state() == cri::ContainerState::ContainerRunning).count();
        let ready = p.state() == cri::PodSandboxState::SandboxReady;
        let handler = if p.runtime_handler.is_empty() { "default" } else { &p.runtime_handler };
        table.row([
            short(&p.id).into(),
            pod_name(p).into(),
            p.metadata.as_ref().map(|m| m.namespace.clone()).unwrap_or_default(),
            if ready { "ready" } else { "not ready" }.into(),
            ago(p.created_at),
            format!("{running}/{} running", mine.count()),
            handler.into(),
        ]);
    }
    put(&all.pods, |p| &p.id, &table, show)
}

/// Lists images by name.
pub async fn images(client: &Client, show: Show) -> anyhow::Result<()> {
    let mut images = client.images.clone();
    let mut all = rpc("ListImages", images.list_images(cri::ListImagesRequest::default())).await?.images;
    all.sort_by(|a, b| (&a.repo_tags, &a.id).cmp(&(&b.repo_tags, &b.id)));
    let mut table = Table::new(&["IMAGE", "ID", "SIZE", "PINNED"]);
    for image in &all {
        let names = if image.repo_tags.is_empty() { &image.repo_digests } else { &image.repo_tags };
        let none = ["<none>".to_owned()];
        for name in if names.is_empty() { &none[..] } else { names } {
            let pinned = if image.pinned { "yes" } else { "" };
            table.row([name.clone(), short(&image.id).into(), size(image.size), pinned.into()]);
        }
    }
    put(&all, |i| &i.id, &table, show)
}

/// Shows a list as asked for.
pub fn put<T: Serialize>(
    all: &[T],
    id: impl Fn(&T) -> &str,
    table: &Table,
    show: Show,
) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if show.json {
        serde_json::to_writer_pretty(&mut out, all)?;
        writeln!(out)?;
    } else if show.quiet {
        for one in all {
            writeln!(out, "{}", id(one))?;
        }
    } else {
        table.write(&mut out)?;
    }
    Ok(())
}

/// An image by its name, or by the readable part of its id.
fn readable(image: &str) -> &str {
    if image.starts_with("sha256:") { short(image) } else { image }
}

/// The state's word.
pub fn state(state: cri::ContainerState) -> &'static str {
    match state {
        cri::ContainerState::ContainerCreated => "created",
        cri::ContainerState::ContainerRunning => "running",
        cri::ContainerState::ContainerExited => "exited",
        cri::ContainerState::ContainerUnknown => "unknown",
    }
}
