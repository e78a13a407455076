//! What a sandbox's shim tells by itself.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use husk_shim_api::{Event, Exit};
use tokio::sync::{mpsc, oneshot};

use crate::container;
use crate::node::{Node, Sandbox};
use crate::shim::Notice;
use crate::store::{ContainerPhase, SandboxPhase};

/// Calls that wait for the end of an exec, by its id.
#[derive(Default)]
pub struct Waiters(Mutex<HashMap<String, oneshot::Sender<Exit>>>);

impl Waiters {
    /// From now on the end of `exec` is told to the receiver.
    pub fn expect(&self, exec: &str) -> oneshot::Receiver<Exit> {
        let (sender, receiver) = oneshot::channel();
        self.lock().insert(exec.to_owned(), sender);
        receiver
    }

    /// Nobody waits for `exec` any more.
    pub fn forget(&self, exec: &str) {
        self.lock().remove(exec);
    }

    fn tell(&self, exec: &str, exit: Exit) {
        if let Some(sender) = self.lock().remove(exec) {
            let _ = sender.send(exit);
        }
    }

    fn drop_all(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, oneshot::Sender<Exit>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Works through what the shim tells, until it is gone.
pub async fn watch(node: Arc<Node>, sandbox: Arc<Sandbox>, mut notices: mpsc::UnboundedReceiver<Notice>) {
    while let Some(notice) = notices.recv().await {
        match notice {
            Notice::Event(Event::Exited { container, exec: Some(exec), exit }) => {
                tracing::debug!(container_id = container, exec_id = exec, code = exit.code(), "exec ended");
                sandbox.execs.tell(&exec, exit);
            }
            Notice::Event(Event::Exited { container, exec: None, exit }) => {
                if let Some(container) = node.containers.get(&container) {
                    container::ended(&node, &container, &exit).await;
                } else {
                    // Being made: who makes it asks the shim itself.
                    tracing::debug!(container_id = container, "a container ended that nobody sees yet");
                }
            }
            Notice::Event(Event::Oom { container, kills }) => {
                tracing::warn!(
                    container_id = container,
                    kills,
                    "the OOM killer was at work in the container"
                );
            }
            Notice::Event(Event::PauseExited { exit }) => {
                sandbox.dead.store(true, Ordering::SeqCst);
                let id = sandbox.entry.get().id.clone();
                tracing::warn!(
                    sandbox_id = id,
                    code = exit.code(),
                    "the pause process ended: the sandbox is dead"
                );
                sandbox.entry.note_now(|record| {
                    if record.phase == SandboxPhase::Ready {
                        record.phase = SandboxPhase::Stopped;
                    }
                });
            }
            Notice::Lost => break,
        }
    }
    sandbox.dead.store(true, Ordering::SeqCst);
    sandbox.execs.drop_all();
    lost(&node, &sandbox).await;
}

/// The shim is gone. After a stop that is right; otherwise the sandbox is dead, and what became of its containers has
/// to be found out without it.
async fn lost(node: &Arc<Node>, sandbox: &Arc<Sandbox>) {
    let record = sandbox.entry.get();
    if record.phase != SandboxPhase::Ready || node.stopping() {
        return;
    }
    tracing::error!(sandbox_id = record.id, "husk-shim died; its sandbox is no longer ready");
    sandbox.entry.note_now(|record| record.phase = SandboxPhase::Stopped);
    for container in node.containers_of(&record.id) {
        if matches!(container.entry.get().phase, ContainerPhase::Created | ContainerPhase::Running) {
            tokio::spawn(container::orphaned(node.clone(), container));
        }
    }
}
