//! A sandbox's network: its loopback, and what CNI plugins give it.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use husk_cni::{Attachment, Dns, loopback_up};

use super::check;
use crate::error::{Context, Result};
use crate::node::{Node, Sandbox};
use crate::store::{SandboxRecord, blocking};

/// Attaches the sandbox, whose network namespace is pinned at `netns`.
pub async fn attach(node: &Arc<Node>, sandbox: &Arc<Sandbox>, netns: PathBuf) -> Result<()> {
    let (node, sandbox) = (node.clone(), sandbox.clone());
    blocking(move || {
        let record = sandbox.entry.get();
        loopback_up(&netns).on("bring up loopback in", netns.display().to_string())?;
        let attachment = attachment(&node, &record, netns)?;
        // Written down first: after a crash the address must be given back.
        sandbox.entry.update_now(|record| record.attached = true)?;
        let outcome = node.cni.add(&attachment).on("attach", "the sandbox's network")?;
        let ips = outcome.ips_of("eth0").iter().map(ToString::to_string).collect();
        sandbox.entry.update_now(|record| record.ips = ips)
    })
    .await
}

/// Detaches the sandbox: addresses are given back. One that is not attached is fine.
pub async fn detach(node: &Arc<Node>, sandbox: &Arc<Sandbox>) -> Result<()> {
    if !sandbox.entry.get().attached {
        return Ok(());
    }
    let (node, sandbox) = (node.clone(), sandbox.clone());
    blocking(move || {
        let id = &sandbox.entry.get().id;
        node.cni.del(id).on("detach the network of sandbox", id)?;
        sandbox.entry.note_now(|record| record.attached = false);
        Ok(())
    })
    .await
}

fn attachment(node: &Node, record: &SandboxRecord, netns: PathBuf) -> Result<Attachment> {
    let metadata = record.config.metadata.clone().unwrap_or_default();
    let cidrs = node.pod_cidr.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let cidrs: Vec<String> = cidrs.split(',').filter(|cidr| !cidr.is_empty()).map(str::to_owned).collect();
    let dns = record.config.dns_config.clone().unwrap_or_default();
    let dns = Dns { servers: dns.servers, searches: dns.searches, options: dns.options };
    let plain = Attachment::new(record.id.clone(), netns);
    Ok(plain
        .kubernetes(&metadata.namespace, &metadata.name, &metadata.uid)
        .port_mappings(&check::ports(&record.config)?)
        .ip_ranges(&cidrs)
        .dns(&dns))
}
