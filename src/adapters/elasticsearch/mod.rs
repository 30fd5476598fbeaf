//! Elasticsearch by its REST API: the ledger's client and its index, the availability probe of a ledger, documents for
//! fingerprints, and questions for probes. Nothing here decides by an error's text, and no message holds a password.

mod classify;
mod documents;
mod ledger;
mod look;
mod pages;
mod rest;
mod store;

pub(super) use documents::fingerprint;

use super::systems::{ElasticAsk, Seen};
use super::{AdapterError, ClientSettings, Opened, ServerPlace};
use crate::clock::Clock;
use rest::Cluster;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// Where a cluster is, who asks, and how long its clients wait. It holds secrets: no `Debug`.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
pub struct SearchPlace {
    /// Its nodes.
    pub server: ServerPlace,
    /// In place of user and password.
    pub api_key: Option<String>,
    /// So many copies must be active for a write; 1 if not given.
    pub active_shards: Option<u32>,
}

/// Opens a ledger; connections are made when they are first needed. `prefix` names its indices.
///
/// # Errors
/// When the URL is wrong, or the certificates it names cannot be read.
pub fn open_ledger(
    clock: &Clock,
    place: &SearchPlace,
    prefix: &str,
    settings: &ClientSettings,
) -> Result<Opened, AdapterError> {
    let cluster = Arc::new(Cluster::parse(place, settings.timeout)?);
    let index = store::Index::new(prefix, settings);
    let store = store::Store::new(Arc::clone(&cluster), index.clone(), settings);
    let client = ledger::Ledger::new(clock.clone(), cluster, index, settings, place);
    Ok(Opened { client: Arc::new(client), store: Some(Arc::new(store)) })
}

/// Opens the probe that looks whether the index takes writes, with a fresh connection each time.
///
/// # Errors
/// As [`open_ledger`].
pub fn open_probe(
    clock: &Clock,
    place: &SearchPlace,
    prefix: &str,
    settings: &ClientSettings,
) -> Result<Opened, AdapterError> {
    let limit = place.server.response_timeout.map_or(settings.timeout, |patience| patience.min(settings.timeout));
    let index = store::Index::new(prefix, settings);
    let probe = ledger::Probe { clock: clock.clone(), cluster: Cluster::parse(place, limit)?, index, limit };
    Ok(Opened { client: Arc::new(probe), store: None })
}

/// Answers one question within `limit`.
///
/// # Errors
/// When nobody answers, or the URL is wrong.
pub(super) async fn look(place: &SearchPlace, ask: &ElasticAsk, limit: Duration) -> Result<Seen, AdapterError> {
    let cluster = Cluster::parse(place, limit)?;
    let late = || AdapterError::TimedOut(format!("{}: no answer within {limit:?}", cluster.label));
    timeout(limit, look::look(&cluster, ask)).await.unwrap_or_else(|_| Err(late()))
}
