//! One container of a pod: its attempts, its log, its restarts.

use std::rc::Rc;
use std::time::Duration;

use anyhow::Context;
use husk_cri_api as cri;
use tokio::time::{Instant, sleep};

use super::Wish;
use super::pod::Session;
use crate::client::{Error, present, rpc};
use crate::commands::logs::{ended, show_new, status};
use crate::logs::{Follower, Shown};
use crate::manifest::pod::RestartPolicy;
use crate::plan::{Planned, log_path};
use crate::table::printable;

/// How often a container and its log are looked at.
const TICK: Duration = Duration::from_millis(100);
/// How long the runtime may be away (an upgrade) before the command gives up.
const PATIENCE: Duration = Duration::from_secs(60);
/// The longest wait before a restart, and the run after which the wait is short again: the kubelet's.
const MAX_BACKOFF: f64 = 300.0;
const WELL: Duration = Duration::from_secs(600);
/// The exit code of a container that could not be started, where the runtime gives none.
const NOT_STARTED: i32 = 128;

/// A container that is being run.
pub struct Running {
    session: Rc<Session>,
    sandbox: String,
    planned: Planned,
    prefix: String,
    /// `None`: never restarted.
    policy: Option<RestartPolicy>,
}

/// A container's last end.
#[derive(Debug)]
pub struct Ended {
    pub name: String,
    pub code: u8,
    /// What is told of it.
    pub told: String,
}

impl Running {
    pub fn new(
        session: Rc<Session>,
        sandbox: &str,
        planned: &Planned,
        prefix: String,
        policy: Option<RestartPolicy>,
    ) -> Self {
        Self { session, sandbox: sandbox.to_owned(), planned: planned.clone(), prefix, policy }
    }

    /// Creates an attempt and gives its id.
    pub async fn create(&self, attempt: u32) -> anyhow::Result<String> {
        let mut config = self.planned.config.clone();
        config.metadata = Some(cri::ContainerMetadata { name: self.planned.name.clone(), attempt });
        config.log_path = log_path(&self.planned.name, attempt);
        // By id: the tag may have moved since the pull.
        let image = self.session.image(&self.planned.image).await?;
        let image = image.with_context(|| format!("image {} is not here any more", self.planned.image))?;
        if let Some(spec) = &mut config.image {
            spec.image.clone_from(&image.id);
        }
        let request = cri::CreateContainerRequest {
            pod_sandbox_id: self.sandbox.clone(),
            config: Some(config),
            sandbox_config: Some(self.session.plan.sandbox.clone()),
        };
        let mut runtime = self.session.client.runtime.clone();
        let answer = rpc("CreateContainer", runtime.create_container(request)).await;
        let answer = answer.with_context(|| format!("container {}", self.planned.name))?;
        let id = Some(answer.container_id).filter(|id| !id.is_empty());
        Ok(present("CreateContainer", "container_id", id)?)
    }

    /// Creates and starts it; a start that fails is an error.
    pub async fn start_only(&self) -> anyhow::Result<()> {
        let id = self.create(0).await?;
        self.start(&id).await.with_context(|| format!("container {}", self.planned.name))
    }

    async fn start(&self, id: &str) -> Result<(), Error> {
        let request = cri::StartContainerRequest { container_id: id.to_owned() };
        rpc("StartContainer", self.session.client.runtime.clone().start_container(request)).await?;
        Ok(())
    }

    /// Runs it to its last end.
    pub async fn run(self) -> anyhow::Result<Ended> {
        let first = self.create(0).await?;
        self.run_from(first).await
    }

    /// Runs it from a created first attempt on.
    pub async fn run_from(self, first: String) -> anyhow::Result<Ended> {
        let (mut id, mut attempt, mut wait) = (first, 0, self.session.backoff);
        let mut previous: Option<String> = None;
        loop {
            let began = Instant::now();
            let end = self.attempt(&id).await?;
            let again = match self.policy {
                Some(RestartPolicy::Always) => true,
                Some(RestartPolicy::OnFailure) => end.exit_code != 0,
                Some(RestartPolicy::Never) | None => false,
            };
            let told = told(&end);
            if !again || self.session.stopping() {
                return Ok(Ended { name: self.planned.name.clone(), code: code(end.exit_code), told });
            }
            if began.elapsed() > WELL {
                wait = self.session.backoff;
            }
            eprintln!("huskctl: {}: {told} Starting again in {wait} s.", self.planned.name);
            if !self.pause(wait).await {
                return Ok(Ended { name: self.planned.name.clone(), code: code(end.exit_code), told });
            }
            wait = (wait * 2.0).min(MAX_BACKOFF);
            attempt += 1;
            let next = self.create(attempt).await?;
            // One previous attempt is kept to be looked at, as the kubelet does.
            if let Some(old) = previous.replace(std::mem::replace(&mut id, next)) {
                let request = cri::RemoveContainerRequest { container_id: old };
                rpc("RemoveContainer", self.session.client.runtime.clone().remove_container(request)).await?;
            }
        }
    }

    /// Waits before a restart; false if the user wants none.
    async fn pause(&self, seconds: f64) -> bool {
        let mut wishes = self.session.wishes.clone();
        let time = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::from_secs(10));
        tokio::select! {
            () = sleep(time) => true,
            _ = wishes.wait_for(|w| *w != Wish::Run) => false,
        }
    }

    /// Starts one attempt and shows its log until it has ended.
    async fn attempt(&self, id: &str) -> anyhow::Result<cri::ContainerStatus> {
        let client = &self.session.client;
        let refused = match self.start(id).await {
            Ok(()) => None,
            Err(e @ Error::Rpc { .. }) => Some(e.to_string()),
            Err(e) => return Err(e.into()),
        };
        let mut log: Option<Follower> = None;
        let mut shown = Shown::new(self.prefix.as_str(), false);
        let (mut asked, mut away) = (Wish::Run, None);
        loop {
            let wish = *self.session.wishes.borrow();
            if wish > asked {
                asked = wish;
                self.stop(id, wish);
            }
            let state = match status(client, id).await {
                Err(e) if e.code() == Some(tonic::Code::Unavailable) => {
                    let since = *away.get_or_insert_with(Instant::now);
                    if since.elapsed() > PATIENCE {
                        return Err(e.into());
                    }
                    sleep(TICK).await;
                    continue;
                }
                state => state?,
            };
            away = None;
            if !state.log_path.is_empty() {
                show_new(log.get_or_insert_with(|| Follower::new(&state.log_path)), &mut shown)?;
            }
            if ended(&state) || refused.is_some() {
                shown.finish(&mut std::io::stdout().lock(), &mut std::io::stderr().lock())?;
                return Ok(with_refusal(state, refused));
            }
            sleep(TICK).await;
        }
    }

    /// Asks for the end in a task of its own: the log goes on meanwhile.
    fn stop(&self, id: &str, wish: Wish) {
        let (client, id, name) = (self.session.client.clone(), id.to_owned(), self.planned.name.clone());
        let grace = if wish == Wish::Kill { 0 } else { self.session.plan.grace };
        eprintln!("huskctl: stopping {name} ({grace} s)");
        tokio::spawn(async move {
            if let Err(e) = crate::commands::stop::container(&client, &id, grace).await {
                eprintln!("huskctl: {name}: {e}");
            }
        });
    }
}

/// The state of a container whose start was refused, where the runtime does not call that an exit.
fn with_refusal(mut state: cri::ContainerStatus, refused: Option<String>) -> cri::ContainerStatus {
    if let Some(refused) = refused {
        if !ended(&state) {
            state.exit_code = NOT_STARTED;
        }
        if state.message.is_empty() {
            state.message = refused;
        }
        if state.reason.is_empty() {
            state.reason = "StartError".into();
        }
    }
    state
}

/// One line about an end.
fn told(state: &cri::ContainerStatus) -> String {
    let reason = if state.reason.is_empty() { "ended" } else { &state.reason };
    let message = printable(state.message.trim());
    let text = format!("{reason} ({}) {message}", state.exit_code);
    let text = text.trim_end();
    if text.ends_with(['.', '!']) { text.to_owned() } else { format!("{text}.") }
}

/// An exit code as a program can have it; what is out of range is a failure.
fn code(code: i32) -> u8 {
    u8::try_from(code).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_start_is_an_end_with_its_reason() {
        let created = cri::ContainerStatus::default();
        let end = with_refusal(created, Some("StartContainer: no such program".into()));
        assert_eq!(told(&end), "StartError (128) StartContainer: no such program.");
        let exited = cri::ContainerStatus {
            state: cri::ContainerState::ContainerExited.into(),
            exit_code: 127,
            reason: "ContainerCannotRun".into(),
            message: "Could not be started: /x is not in the image.".into(),
            ..Default::default()
        };
        let end = with_refusal(exited, Some("other words".into()));
        assert_eq!(told(&end), "ContainerCannotRun (127) Could not be started: /x is not in the image.");
    }

    #[test]
    fn codes_that_are_none_are_failures() {
        assert_eq!((code(0), code(255), code(-1), code(256)), (0, 255, 255, 255));
    }
}
