//! Redis (and what speaks its protocol): the ledger's client and its stream, the availability probe of a ledger, discovery
//! by Sentinel, and questions for probes. A client of our own, because a write in doubt must stay visible: it knows whether a
//! command was sent, and one that was given up is never answered for another. Nothing here decides by an error's text, and no
//! message holds a password.

mod classify;
mod connection;
mod discover;
mod index;
mod ledger;
mod look;
mod place;
mod probe;
mod resp;
mod store;

use super::connection::CONNECT;
use super::systems::{RedisAsk, Seen};
use super::{AdapterError, ClientSettings, Opened, RedisWait, ServerPlace};
use crate::clock::Clock;
use discover::Guide;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

fn guide(place: &ServerPlace, limit: Duration) -> Result<Guide, AdapterError> {
    let patience = place.connect_timeout.unwrap_or(CONNECT).min(limit);
    Ok(Guide::new(place::Place::parse(&place.url)?, patience))
}

/// Opens a ledger in a stream; connections are made when they are first needed. `prefix` names its keys.
///
/// # Errors
/// When the URL is wrong, or the certificates it names cannot be read.
pub fn open_ledger(
    clock: &Clock,
    place: &ServerPlace,
    prefix: &str,
    wait: Option<RedisWait>,
    settings: &ClientSettings,
) -> Result<Opened, AdapterError> {
    let guide = Arc::new(guide(place, settings.timeout)?);
    let stream = store::Stream::new(prefix, settings);
    let store = store::Store::new(Arc::clone(&guide), stream.clone(), settings);
    let patience = place.response_timeout;
    let client = ledger::Ledger::new(clock.clone(), guide, stream, settings, patience, wait);
    Ok(Opened { client: Arc::new(client), store: Some(Arc::new(store)) })
}

/// Opens the probe that looks whether the server takes writes, with a fresh connection each time.
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
    let guide = guide(place, limit)?;
    let probe = probe::Probe { clock: clock.clone(), guide, key: format!("{prefix}:nobody"), limit };
    Ok(Opened { client: Arc::new(probe), store: None })
}

/// Answers one question within `limit`.
///
/// # Errors
/// When nobody answers, or the URL is wrong.
pub(super) async fn look(place: &ServerPlace, ask: &RedisAsk, limit: Duration) -> Result<Seen, AdapterError> {
    let guide = guide(place, limit)?;
    let late = || AdapterError::TimedOut(format!("{}: no answer within {limit:?}", guide.place.label));
    timeout(limit, look::look(&guide, ask)).await.unwrap_or_else(|_| Err(late()))
}
