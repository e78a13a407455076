//! Work that outlives the call that asked for it.
//!
//! A kubelet's timeout cancels its wait, not the work: each piece runs as its own task, and a retry with the same key
//! waits for the same task. So there is never a half-made object that nobody owns.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::error::{Error, Result};

type Outcome<T> = Option<Result<T>>;

/// Tasks under way, by key.
pub struct Work<T> {
    tasks: Arc<Mutex<HashMap<String, watch::Receiver<Outcome<T>>>>>,
}

impl<T> Default for Work<T> {
    fn default() -> Self {
        Self { tasks: Arc::default() }
    }
}

impl<T: Clone + Send + Sync + 'static> Work<T> {
    /// Waits for the task that `key` names; starts it from `job` where there is none.
    pub async fn join<F>(&self, key: &str, job: impl FnOnce() -> F) -> Result<T>
    where
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let mut outcome = self.task(key, job);
        let done = outcome.wait_for(Option::is_some).await.ok().and_then(|value| value.clone());
        done.unwrap_or_else(|| Err(Error::State { what: format!("{key}: the task ended without a result") }))
    }

    fn task<F>(&self, key: &str, job: impl FnOnce() -> F) -> watch::Receiver<Outcome<T>>
    where
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(outcome) = tasks.get(key) {
            return outcome.clone();
        }
        let (sender, outcome) = watch::channel(None);
        tasks.insert(key.to_owned(), outcome.clone());
        let (job, ended) = (job(), Ended { tasks: self.tasks.clone(), key: key.to_owned() });
        tokio::spawn(async move {
            let result = job.await;
            // First off the list, then the result: who saw the result and calls again starts anew.
            drop(ended);
            sender.send_replace(Some(result));
        });
        outcome
    }
}

/// Takes the task off the list, also where it panicked.
struct Ended<T> {
    tasks: Arc<Mutex<HashMap<String, watch::Receiver<Outcome<T>>>>>,
    key: String,
}

impl<T> Drop for Ended<T> {
    fn drop(&mut self) {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn callers_with_one_key_share_one_task() {
        let (work, runs) = (Work::<u32>::default(), Arc::new(AtomicU32::new(0)));
        let job = || {
            let runs = runs.clone();
            async move {
                tokio::time::sleep(Duration::from_millis(20)).await;
                Ok(runs.fetch_add(1, Ordering::SeqCst))
            }
        };
        let (a, b) = tokio::join!(work.join("k", job), work.join("k", job));
        assert_eq!((a.unwrap(), b.unwrap()), (0, 0));
        assert_eq!(work.join("k", job).await.unwrap(), 1);
    }

    #[tokio::test]
    async fn a_caller_that_goes_away_does_not_cancel() {
        let (work, runs) = (Work::<u32>::default(), Arc::new(AtomicU32::new(0)));
        let job = || {
            let runs = runs.clone();
            async move {
                tokio::time::sleep(Duration::from_millis(50)).await;
                Ok(runs.fetch_add(1, Ordering::SeqCst))
            }
        };
        assert!(tokio::time::timeout(Duration::from_millis(5), work.join("k", job)).await.is_err());
        assert_eq!(work.join("k", job).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_task_that_panics_is_an_error() {
        let work = Work::<u32>::default();
        let failed = work.join("k", || async { panic!("on purpose") }).await;
        assert!(failed.unwrap_err().to_string().contains("without a result"));
    }
}
