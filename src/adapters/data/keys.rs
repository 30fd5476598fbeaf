//! Keys of a store, with their values: handed out by the store, digested and summed up here. How a store is asked for
//! its keys is its adapter's business.

use super::selection::{Selection, Sums, digest};
use super::{Counts, Documents, Keys, Taken};
use crate::adapters::{AdapterError, Fut};
use std::time::Duration;
use tokio::time::timeout;

/// A store that can hand out its keys.
pub(in crate::adapters) trait KeyStore: Send + Sync {
    /// Hands every key that begins with the prefix to `each`, with its value as bytes that are the same wherever the same
    /// is stored; in any order, and as often as the store really holds it (a cursor that may repeat keys must be cleared
    /// of that).
    ///
    /// # Errors
    /// When it cannot be sure that these were all.
    fn scan<'a>(
        &'a self,
        prefix: &'a str,
        each: &'a mut (dyn FnMut(&[u8], &[u8]) + Send),
    ) -> Fut<'a, Result<(), AdapterError>>;
}

pub(super) async fn fingerprint(asked: &Keys, limit: Duration) -> Result<Taken, AdapterError> {
    let store: Box<dyn KeyStore> = match asked.service {
        super::KeyService::Kv => Box::new(crate::adapters::kv::keys(&asked.url, limit)?),
    };
    let late = || AdapterError::TimedOut(format!("no fingerprint of the keys within {limit:?}"));
    timeout(limit, sums(&*store, &asked.selection)).await.unwrap_or_else(|_| Err(late()))
}

pub(super) async fn documents(asked: &Documents, limit: Duration) -> Result<Taken, AdapterError> {
    let store = crate::adapters::couchdb::documents(asked)?;
    let shape = if asked.revisions == Counts::Yes { "name, content, revisions" } else { "name, content" };
    let sums = sums_of(&*store, &asked.selection, "document", shape);
    let late = || AdapterError::TimedOut(format!("no fingerprint of the documents within {limit:?}"));
    timeout(limit, sums).await.unwrap_or_else(|_| Err(late()))
}

/// The fingerprint of what a store hands out.
pub(in crate::adapters) async fn sums(store: &dyn KeyStore, selection: &Selection) -> Result<Taken, AdapterError> {
    sums_of(store, selection, "key", "key, value").await
}

/// The same, with what the things are called and what of each is looked at.
async fn sums_of(
    store: &dyn KeyStore,
    selection: &Selection,
    unit: &'static str,
    shape: &'static str,
) -> Result<Taken, AdapterError> {
    let mut sums = Sums::new(selection, unit, shape);
    for prefix in selection.prefixes() {
        let mut add = |key: &[u8], value: &[u8]| {
            let name = String::from_utf8_lossy(key);
            if selection.counts(&name) {
                sums.add(&prefix, &name, digest(&[key, value]));
            }
        };
        store.scan(&prefix, &mut add).await?;
    }
    Ok(sums.taken())
}

#[cfg(test)]
mod tests;
