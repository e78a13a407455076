//! What an OCI runtime says it can do (`RUNTIME features`).

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use tokio::process::Command;
use tokio::sync::Mutex;

use crate::config::Handler;

/// Answers of runtimes, asked once for each.
#[derive(Default)]
pub struct Features {
    rro: Mutex<HashMap<PathBuf, bool>>,
}

/// A runtime that takes longer is not asked again.
const LIMIT: Duration = Duration::from_secs(10);

impl Features {
    /// Whether the runtime makes recursively read-only mounts.
    pub async fn has_rro(&self, handler: &Handler) -> bool {
        let mut known = self.rro.lock().await;
        if let Some(answer) = known.get(&handler.path) {
            return *answer;
        }
        let answer = ask(handler).await.unwrap_or(false);
        known.insert(handler.path.clone(), answer);
        answer
    }
}

async fn ask(handler: &Handler) -> Option<bool> {
    let asked = Command::new(&handler.path).args(&handler.args).arg("features").kill_on_drop(true).output();
    let output = tokio::time::timeout(LIMIT, asked).await.ok()?.ok()?;
    let features: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
    Some(features["mountOptions"].as_array()?.iter().any(|option| option == "rro"))
}
