//! StartContainer.

use std::sync::Arc;
use std::time::Duration;

use husk_cri_api::ContainerEventType;
use husk_shim_api::{Call, Reply};

use super::{announce, end};
use crate::error::{Error, Result};
use crate::node::{Container, Node};
use crate::shim;
use crate::store::ContainerPhase;

/// Time in which the shim tells of an init that a failed start has ended.
const TOLD: Duration = Duration::from_secs(2);

/// Runs a container's program.
pub async fn start(node: &Arc<Node>, id: &str) -> Result<()> {
    let container = node.containers.find(id)?;
    let id = container.entry.get().id.clone();
    let job = node.clone();
    node.changing.join(&format!("start container {id}"), move || launch(job, container)).await
}

async fn launch(node: Arc<Node>, container: Arc<Container>) -> Result<()> {
    let _gate = container.gate.lock().await;
    let record = container.entry.get();
    match record.phase {
        // A retry of a call that was answered too late.
        ContainerPhase::Running => return Ok(()),
        ContainerPhase::Created => {}
        phase => {
            let what = format!("container {:?} is {phase:?}, not Created", record.id);
            return Err(Error::State { what });
        }
    }
    if let Some((code, what)) = record.cannot_run.clone() {
        end::never_ran(&node, &container, code, &what);
        return Err(Error::CannotRun { code, what });
    }
    let sandbox = node.sandboxes.find(&record.sandbox)?;
    let shim = sandbox.need_shim()?;
    match shim.call(Call::Start { container: record.id.clone() }).await {
        Ok(Reply::Started { started_at }) => {
            // Its end may have been seen already; what is known of that stays.
            container.entry.note_now(|record| {
                // The clock was read after the start, when a short program may have ended.
                let ended = record.ended.as_ref().map_or(i64::MAX, |ended| ended.finished_at);
                record.started_at = started_at.min(ended);
                if record.phase == ContainerPhase::Created {
                    record.phase = ContainerPhase::Running;
                }
            });
            announce(&node, &container, ContainerEventType::ContainerStartedEvent);
            Ok(())
        }
        Ok(other) => Err(shim::unexpected("start", &other)),
        Err(Error::CannotRun { code, what }) => {
            end::never_ran(&node, &container, code, &what);
            Err(Error::CannotRun { code, what })
        }
        Err(error) => {
            // The shim tells the end of its init, if it has ended, with what the runtime wrote down about it.
            let mut ended = container.ended.subscribe();
            let told = tokio::time::timeout(TOLD, ended.wait_for(|ended| *ended)).await.is_ok();
            if !told {
                end::catch_up(&node, &sandbox, &container).await;
            }
            Err(error)
        }
    }
}
