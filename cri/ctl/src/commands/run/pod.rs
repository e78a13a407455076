//! A pod from its images to its end.

use std::rc::Rc;

use anyhow::{Context, bail, ensure};
use husk_cri_api as cri;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Wish;
use crate::client::{Client, present, rpc};
use crate::commands::auth::Credentials;
use crate::commands::pull::{spec, with_progress};
use crate::commands::{remove, stop};
use crate::data::PodData;
use crate::manifest::pod::PullPolicy;
use crate::plan::{Plan, Planned};
use crate::resolve::Inventory;

/// Label by which the pod is found again: its id may have been on its way when the call was given up.
const UID_LABEL: &str = "io.kubernetes.pod.uid";

/// A pod under way.
#[derive(Debug)]
pub struct Session {
    pub client: Client,
    pub plan: Plan,
    pub data: PodData,
    pub wishes: watch::Receiver<Wish>,
    /// Seconds before the first restart.
    pub backoff: f64,
}

/// How far a pod came.
#[derive(Debug)]
pub enum Outcome {
    /// Its containers run, and nobody waits for them.
    Started { sandbox: String },
    /// Its containers have ended.
    Ended { code: u8 },
}

impl Session {
    /// Pulls, makes the sandbox, runs the init containers and then the others.
    pub async fn work(this: &Rc<Self>, credentials: &Credentials, detach: bool) -> anyhow::Result<Outcome> {
        let mut wishes = this.wishes.clone();
        tokio::select! {
            pulled = this.pull(credentials) => pulled?,
            _ = wishes.wait_for(|w| *w != Wish::Run) => bail!("interrupted"),
        }
        let sandbox = this.run_sandbox().await?;
        let mut background = JoinSet::new();
        for planned in &this.plan.init {
            if planned.sidecar {
                this.clone().spawn(&mut background, &sandbox, planned).await?;
                continue;
            }
            let ended = this.container(&sandbox, planned, detach).run().await?;
            if ended.code != 0 || this.stopping() {
                eprintln!("huskctl: init container {}: {} The pod is given up.", planned.name, ended.told);
                return Ok(Outcome::Ended { code: ended.code.max(1) });
            }
        }
        if detach {
            for planned in &this.plan.containers {
                this.container(&sandbox, planned, detach).start_only().await?;
            }
            background.detach_all();
            return Ok(Outcome::Started { sandbox });
        }
        let mut main = JoinSet::new();
        for planned in &this.plan.containers {
            this.clone().spawn(&mut main, &sandbox, planned).await?;
        }
        let mut ended = Vec::new();
        while let Some(one) = main.join_next().await {
            ended.push(one??);
        }
        // The order of the manifest, not the one in which they ended.
        let place = |name: &str| this.plan.containers.iter().position(|c| c.name == name);
        ended.sort_by_key(|e: &super::container::Ended| place(&e.name));
        for e in &ended {
            eprintln!("huskctl: {}: {}", e.name, e.told);
        }
        let failed = ended.iter().map(|e| e.code).find(|code| *code != 0);
        Ok(Outcome::Ended { code: failed.unwrap_or(0) })
    }

    /// Runs a container in a task of its own. It has been created when this returns.
    async fn spawn(
        self: Rc<Self>,
        tasks: &mut JoinSet<anyhow::Result<super::container::Ended>>,
        sandbox: &str,
        planned: &Planned,
    ) -> anyhow::Result<()> {
        let container = self.container(sandbox, planned, false);
        let first = container.create(0).await?;
        tasks.spawn_local(async move { container.run_from(first).await });
        Ok(())
    }

    fn container(
        self: &Rc<Self>,
        sandbox: &str,
        planned: &Planned,
        detach: bool,
    ) -> super::container::Running {
        let width = self.plan.all().map(|c| c.name.len()).max().unwrap_or(0);
        let prefix = match self.plan.all().count() {
            1 => String::new(),
            _ => format!("{:width$} | ", planned.name),
        };
        let policy = if detach { None } else { Some(planned.restart) };
        super::container::Running::new(self.clone(), sandbox, planned, prefix, policy)
    }

    /// The user wants the pod to end.
    pub fn stopping(&self) -> bool {
        *self.wishes.borrow() != Wish::Run
    }

    async fn pull(&self, credentials: &Credentials) -> anyhow::Result<()> {
        for planned in self.plan.all() {
            let found = self.image(&planned.image).await?;
            let wanted = match planned.pull {
                PullPolicy::Always => true,
                PullPolicy::IfNotPresent => found.is_none(),
                PullPolicy::Never => {
                    ensure!(
                        found.is_some(),
                        "image {} is not here, and imagePullPolicy is Never",
                        planned.image
                    );
                    false
                }
            };
            if wanted {
                let auth = credentials.of(&planned.image)?;
                let sandbox = Some(self.plan.sandbox.clone());
                let pulled = with_progress(&self.client, &planned.image, auth, sandbox).await;
                pulled.with_context(|| format!("image {}", planned.image))?;
            }
            self.check_user(planned).await?;
        }
        Ok(())
    }

    /// The image, if the runtime has it.
    pub async fn image(&self, image: &str) -> anyhow::Result<Option<cri::Image>> {
        let request = cri::ImageStatusRequest { image: Some(spec(image)), verbose: false };
        Ok(rpc("ImageStatus", self.client.images.clone().image_status(request)).await?.image)
    }

    /// runAsNonRoot: the kubelet's check, as no runtime makes it.
    async fn check_user(&self, planned: &Planned) -> anyhow::Result<()> {
        if !planned.non_root {
            return Ok(());
        }
        let linux = planned.config.linux.as_ref().and_then(|l| l.security_context.as_ref());
        let name = &planned.name;
        if let Some(user) = linux.and_then(|s| s.run_as_user) {
            ensure!(user.value != 0, "container {name}: runAsNonRoot is set, and runAsUser is 0");
            return Ok(());
        }
        let image = self.image(&planned.image).await?.unwrap_or_default();
        let named = !image.username.is_empty();
        ensure!(
            !named,
            "container {name}: runAsNonRoot wants a number, but the image's user is {:?}",
            image.username
        );
        ensure!(
            image.uid.is_some_and(|u| u.value != 0),
            "container {name}: runAsNonRoot is set, and the image runs as root"
        );
        Ok(())
    }

    async fn run_sandbox(&self) -> anyhow::Result<String> {
        let request = cri::RunPodSandboxRequest {
            config: Some(self.plan.sandbox.clone()),
            runtime_handler: self.plan.runtime_handler.clone(),
        };
        let answer = rpc("RunPodSandbox", self.client.runtime.clone().run_pod_sandbox(request)).await?;
        Ok(present(
            "RunPodSandbox",
            "pod_sandbox_id",
            Some(answer.pod_sandbox_id).filter(|id| !id.is_empty()),
        )?)
    }

    /// Stops what is left of the pod, and keeps it to be looked at.
    pub async fn stop(&self) -> anyhow::Result<()> {
        let (all, pods) = self.mine().await?;
        let grace = if *self.wishes.borrow() == Wish::Kill { 0 } else { self.plan.grace };
        for pod in pods {
            stop::pod(&self.client, &all, &pod.id, grace).await?;
        }
        Ok(())
    }

    /// Removes the pod and its directories.
    pub async fn remove(&self) -> anyhow::Result<()> {
        let (all, pods) = self.mine().await?;
        for pod in &pods {
            remove::sandbox(&self.client, &all, pod, 0).await?;
        }
        self.data.remove()
    }

    async fn mine(&self) -> anyhow::Result<(Inventory, Vec<cri::PodSandbox>)> {
        let all = Inventory::of(&self.client).await?;
        let mine = |p: &&cri::PodSandbox| p.labels.get(UID_LABEL) == Some(&self.data.uid);
        let pods = all.pods.iter().filter(mine).cloned().collect();
        Ok((all, pods))
    }
}
