//! etcd: the ledger's client and its keys, the availability probe of a ledger, and questions for probes, over the JSON form
//! of its v3 API. Nothing here decides by an error's text, and no message holds a password.

mod classify;
mod gateway;
mod ledger;
mod look;
mod store;

use super::connection::CONNECT;
use super::record_keys as keys;
use super::systems::{EtcdAsk, Seen};
use super::{AdapterError, ClientSettings, LedgerStore, Opened, ServerPlace};
use crate::clock::Clock;
use gateway::Gateway;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

fn gateway(place: &ServerPlace, limit: Duration) -> Result<Gateway, AdapterError> {
    Gateway::parse(&place.url, place.connect_timeout.unwrap_or(CONNECT).min(limit))
}

/// Opens a ledger; connections are made when they are first needed. `prefix` names its keys.
///
/// # Errors
/// When the URL is wrong, or the certificates it names cannot be read.
pub fn open_ledger(
    clock: &Clock,
    place: &ServerPlace,
    prefix: &str,
    settings: &ClientSettings,
) -> Result<Opened, AdapterError> {
    let gateway = Arc::new(gateway(place, settings.timeout)?);
    let keys = keys::Keys::new(prefix, settings.run.as_str());
    let store = store::Store::new(Arc::clone(&gateway), keys.clone(), settings, store::Whose::Cluster);
    let client = ledger::Ledger::new(clock.clone(), gateway, keys, settings, place.response_timeout);
    Ok(Opened { client: Arc::new(client), store: Some(Arc::new(store)) })
}

/// What one member has by itself, of the same ledger.
///
/// # Errors
/// As [`open_ledger`].
pub fn open_copy(
    place: &ServerPlace,
    prefix: &str,
    settings: &ClientSettings,
) -> Result<Arc<dyn LedgerStore>, AdapterError> {
    let gateway = Arc::new(gateway(place, settings.timeout)?);
    let keys = keys::Keys::new(prefix, settings.run.as_str());
    Ok(Arc::new(store::Store::new(gateway, keys, settings, store::Whose::Member)))
}

/// Opens the probe that looks whether the cluster takes writes, with a fresh connection each time.
///
/// # Errors
/// As [`open_ledger`].
pub fn open_probe(
    clock: &Clock,
    place: &ServerPlace,
    prefix: &str,
    settings: &ClientSettings,
) -> Result<Opened, AdapterError> {
    let limit = place.response_timeout.map_or(settings.timeout, |patience| patience.min(settings.timeout));
    let key = keys::Keys::new(prefix, settings.run.as_str()).nobody();
    let probe = ledger::Probe { clock: clock.clone(), gateway: gateway(place, limit)?, key, limit };
    Ok(Opened { client: Arc::new(probe), store: None })
}

/// Answers one question within `limit`.
///
/// # Errors
/// When nobody answers, or the URL is wrong.
pub(super) async fn look(place: &ServerPlace, ask: &EtcdAsk, limit: Duration) -> Result<Seen, AdapterError> {
    let gateway = gateway(place, limit)?;
    let late = || AdapterError::TimedOut(format!("{}: no answer within {limit:?}", gateway.label));
    timeout(limit, look::look(&gateway, ask)).await.unwrap_or_else(|_| Err(late()))
}
