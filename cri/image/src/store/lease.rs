//! Keeps layers of a pull under way from being collected before their image is recorded.

use std::sync::Arc;

use super::Inner;
use crate::Digest;

/// Layers that are kept until this is dropped.
pub(crate) struct Lease {
    store: Arc<Inner>,
    layers: Vec<Digest>,
}

impl Lease {
    pub fn new(store: &Arc<Inner>, layers: Vec<Digest>) -> Lease {
        let mut state = store.state();
        for layer in &layers {
            *state.leases.entry(layer.clone()).or_default() += 1;
        }
        drop(state);
        Lease { store: Arc::clone(store), layers }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut state = self.store.state();
        for layer in &self.layers {
            if let Some(count) = state.leases.get_mut(layer) {
                *count -= 1;
                if *count == 0 {
                    state.leases.remove(layer);
                }
            }
        }
    }
}
