//! `huskctl inspect`.

use std::io::Write;

use anyhow::bail;
use husk_cri_api as cri;
use serde_json::{Map, Value, json};

use super::pull::spec;
use crate::client::{Client, rpc};
use crate::resolve::{Found, Inventory, Problem};

/// Prints a JSON array with one object per word: `status` and the runtime's own `info`.
pub async fn inspect(client: &Client, words: &[String]) -> anyhow::Result<()> {
    let all = Inventory::of(client).await?;
    let mut objects = Vec::new();
    for word in words {
        objects.push(match all.any(word) {
            Ok(Found::Container(c)) => container(client, &c.id).await?,
            Ok(Found::Pod(p)) => pod(client, &p.id).await?,
            Err(Problem::None { .. }) => image(client, word).await?,
            Err(e) => return Err(e.into()),
        });
    }
    writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(&objects)?)?;
    Ok(())
}

async fn container(client: &Client, id: &str) -> anyhow::Result<Value> {
    let request = cri::ContainerStatusRequest { container_id: id.to_owned(), verbose: true };
    let answer = rpc("ContainerStatus", client.runtime.clone().container_status(request)).await?;
    let state = answer.status.as_ref().map(|s| s.state().as_str_name());
    Ok(json!({"kind": "container", "state": state, "status": answer.status, "info": info(answer.info)}))
}

async fn pod(client: &Client, id: &str) -> anyhow::Result<Value> {
    let request = cri::PodSandboxStatusRequest { pod_sandbox_id: id.to_owned(), verbose: true };
    let answer = rpc("PodSandboxStatus", client.runtime.clone().pod_sandbox_status(request)).await?;
    let state = answer.status.as_ref().map(|s| s.state().as_str_name());
    Ok(json!({"kind": "pod", "state": state, "status": answer.status, "info": info(answer.info)}))
}

async fn image(client: &Client, word: &str) -> anyhow::Result<Value> {
    let request = cri::ImageStatusRequest { image: Some(spec(word)), verbose: true };
    let answer = rpc("ImageStatus", client.images.clone().image_status(request)).await?;
    match answer.image {
        Some(image) => Ok(json!({"kind": "image", "status": image, "info": info(answer.info)})),
        None => bail!("no pod, container or image is called {word:?}"),
    }
}

/// Verbose info is text by key, and mostly JSON inside: shown as such where it is.
pub fn info(texts: impl IntoIterator<Item = (String, String)>) -> Map<String, Value> {
    let parsed = texts.into_iter().map(|(key, text)| {
        let value = serde_json::from_str(&text).unwrap_or(Value::String(text));
        (key, value)
    });
    parsed.collect()
}
