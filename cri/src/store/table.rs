//! Objects of one kind by id: what lists and lookups see.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::error::{Error, Result};

/// What a [`Table`] holds.
pub trait Named {
    /// `sandbox` or `container`, for errors.
    const KIND: &'static str;
}

/// Objects by id. Its lock is held for memory accesses only.
pub struct Table<T> {
    items: RwLock<BTreeMap<String, Arc<T>>>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { items: RwLock::default() }
    }
}

impl<T: Named> Table<T> {
    /// Shows `item` from now on.
    pub fn insert(&self, id: String, item: Arc<T>) {
        self.items.write().unwrap_or_else(PoisonError::into_inner).insert(id, item);
    }

    /// Hides the item with this id.
    pub fn remove(&self, id: &str) {
        self.items.write().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    /// All items, by id.
    pub fn all(&self) -> Vec<Arc<T>> {
        self.items.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// The item with this id, or the only one whose id begins so.
    pub fn get(&self, id: &str) -> Option<Arc<T>> {
        let items = self.items.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(item) = items.get(id) {
            return Some(item.clone());
        }
        let mut like =
            items.range(id.to_owned()..).take_while(|(full, _)| !id.is_empty() && full.starts_with(id));
        match (like.next(), like.next()) {
            (Some((_, item)), None) => Some(item.clone()),
            _ => None,
        }
    }

    /// [`Table::get`], or the error that a client gets.
    pub fn find(&self, id: &str) -> Result<Arc<T>> {
        self.get(id).ok_or_else(|| Error::NotFound { kind: T::KIND, id: id.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Named for u32 {
        const KIND: &'static str = "number";
    }

    #[test]
    fn an_id_may_be_cut_as_long_as_it_is_the_only_one() {
        let table = Table::default();
        for (id, item) in [("abc1", 1), ("abd2", 2)] {
            table.insert(id.into(), Arc::new(item));
        }
        assert_eq!(table.get("abc").as_deref(), Some(&1));
        assert_eq!(table.get("ab"), None);
        assert_eq!(table.get(""), None);
        assert_eq!(table.find("x").unwrap_err().to_string(), "number \"x\" not found");
    }
}
