//! Work that several callers want: done once, by a task of its own, whoever stops waiting.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

use crate::{Error, Result};

type Outcome<T> = Option<Result<T>>;

/// Jobs under way, by what they are about.
#[derive(Debug)]
pub(crate) struct Jobs<K, T> {
    running: Mutex<HashMap<K, watch::Receiver<Outcome<T>>>>,
}

impl<K, T> Default for Jobs<K, T> {
    fn default() -> Jobs<K, T> {
        Jobs { running: Mutex::default() }
    }
}

impl<K, T> Jobs<K, T>
where
    K: Clone + Eq + Hash + Send + 'static,
    T: Clone + Send + Sync + 'static,
{
    /// Waits for the job of this key; `start` makes it if none is under way. `finished` is called by the job when it is done, before anyone
    /// hears of it, and has to call [`Jobs::forget`]: the table lies in something that the job keeps alive.
    pub async fn join<F>(
        &self,
        key: K,
        start: impl FnOnce() -> F,
        finished: impl FnOnce(&K) + Send + 'static,
    ) -> Result<T>
    where
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let mut receiver = {
            let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            match running.get(&key) {
                Some(receiver) => receiver.clone(),
                None => {
                    let (sender, receiver) = watch::channel(None);
                    running.insert(key.clone(), receiver.clone());
                    let work = tokio::spawn(start());
                    tokio::spawn(async move {
                        // A panic in the work must not leave waiters (and all later callers) waiting.
                        let outcome = match work.await {
                            Ok(outcome) => outcome,
                            Err(error) => Err(Error::Internal(error.to_string())),
                        };
                        finished(&key);
                        sender.send_replace(Some(outcome));
                    });
                    receiver
                }
            }
        };
        let outcome = match receiver.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone(),
            Err(_) => None,
        };
        outcome.unwrap_or_else(|| Err(Error::Internal("the runtime is shutting down".into())))
    }

    pub fn forget(&self, key: &K) {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}
