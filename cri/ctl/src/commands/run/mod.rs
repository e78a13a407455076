//! `huskctl run`: what the kubelet does with a pod, for as long as the command runs.

mod container;
mod pod;

use std::io::Write;
use std::rc::Rc;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::auth::Credentials;
use crate::cli::{Args, RunArgs};
use crate::client::Client;
use crate::data::PodData;
use crate::manifest::{self, check};
use crate::plan::Plan;
use pod::{Outcome, Session};

/// How far the user wants the pod to be stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wish {
    /// Not at all.
    Run,
    /// With the pod's grace period.
    Stop,
    /// At once.
    Kill,
}

/// Runs the pod of a manifest, and gives the exit code of the first container that failed.
pub async fn run(args: &RunArgs, all: &Args) -> anyhow::Result<u8> {
    let manifest = manifest::read(&args.file)?;
    for warning in check::warnings(&manifest) {
        eprintln!("huskctl: warning: {}: {warning}", args.file.display());
    }
    let credentials = Credentials::read(&args.auth)?;
    let client = Client::connect(&all.endpoint).await?;
    let data = PodData::create(&all.data, &manifest)?;
    let (wish, wishes) = watch::channel(Wish::Run);
    listen(wish.clone())?;
    let plan = match Plan::of(&manifest, &data) {
        Ok(plan) => plan,
        Err(e) => {
            data.remove()?;
            return Err(e);
        }
    };
    let session = Rc::new(Session { client, plan, data, wishes, backoff: args.backoff });
    let set = tokio::task::LocalSet::new();
    let outcome = set.run_until(Session::work(&session, &credentials, args.detach)).await;
    match outcome {
        Ok(Outcome::Started { sandbox }) => {
            writeln!(std::io::stdout(), "{sandbox}")?;
            Ok(0)
        }
        Ok(Outcome::Ended { code }) => {
            // Sidecars have nothing left to stand by.
            wish.send_if_modified(|w| std::mem::replace(w, (*w).max(Wish::Stop)) == Wish::Run);
            session.stop().await?;
            if args.rm {
                session.remove().await?;
            }
            Ok(code)
        }
        Err(e) => {
            // Nothing of a pod that could not be set up is of use to anybody.
            session
                .remove()
                .await
                .with_context(|| format!("{e:#}; cleaning up after that failed as well"))?;
            Err(e)
        }
    }
}

/// Turns Ctrl-C, SIGTERM and SIGHUP into a wish: the first one to stop, the second one to kill.
fn listen(wish: watch::Sender<Wish>) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt()).context("sigaction SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("sigaction SIGTERM")?;
    let mut hangup = signal(SignalKind::hangup()).context("sigaction SIGHUP")?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
            wish.send_modify(|w| *w = if *w == Wish::Run { Wish::Stop } else { Wish::Kill });
        }
    });
    Ok(())
}
