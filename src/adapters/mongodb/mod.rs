//! MongoDB: the ledger's client and its collection, the availability probe of a ledger, discovery of the primary, questions
//! for probes, and fingerprints of collections. A client of our own, because a write in doubt must stay visible: one
//! connection per writer, nothing is ever sent twice, and an answer that was given up is never taken for another's. Nothing
//! here decides by an error's text, and no message holds a password.

mod bson;
mod classify;
mod connection;
mod cursor;
mod discover;
mod fingerprint;
mod hello;
mod ledger;
mod look;
mod place;
mod records;
mod scram;
mod store;
mod wire;

use super::connection::CONNECT;
use super::systems::{MongodbAsk, Seen};
use super::{AdapterError, ClientSettings, LedgerStore, Opened, ServerPlace};
use crate::clock::Clock;
use discover::Guide;
use records::Records;
use std::sync::Arc;
use std::time::Duration;
use store::{Store, Whose};
use tokio::time::timeout;

pub(super) use fingerprint::fingerprint;

fn guide(place: &ServerPlace, limit: Duration) -> Result<Guide, AdapterError> {
    let patience = place.connect_timeout.unwrap_or(CONNECT).min(limit);
    Ok(Guide::new(place::Place::parse(&place.url)?, patience))
}

/// Opens a ledger in a collection; connections are made when they are first needed. `prefix` names its collections.
///
/// # Errors
/// When the URL is wrong, or the certificates it names cannot be read.
pub fn open_ledger(
    clock: &Clock,
    place: &ServerPlace,
    prefix: &str,
    settings: &ClientSettings,
) -> Result<Opened, AdapterError> {
    let guide = Arc::new(guide(place, settings.timeout)?);
    let records = Records::new(prefix, settings.run.as_str());
    let store = Store::new(clock, Arc::clone(&guide), records.clone(), settings, Whose::Set);
    let client = ledger::Ledger::new(clock.clone(), guide, records, settings, place.response_timeout);
    Ok(Opened { client: Arc::new(client), store: Some(Arc::new(store)) })
}

/// Opens the copy that one member has, read as it is there.
///
/// # Errors
/// As [`open_ledger`].
pub fn open_copy(
    clock: &Clock,
    place: &ServerPlace,
    prefix: &str,
    settings: &ClientSettings,
) -> Result<Arc<dyn LedgerStore>, AdapterError> {
    let guide = Arc::new(guide(place, settings.timeout)?);
    let whose = if guide.place.whom == place::Whom::Member { Whose::Member } else { Whose::Set };
    let records = Records::new(prefix, settings.run.as_str());
    Ok(Arc::new(Store::new(clock, guide, records, settings, whose)))
}

/// Opens the probe that looks whether the set takes writes, with a fresh connection each time.
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
    let records = Records::new(prefix, settings.run.as_str());
    let probe = ledger::Probe { clock: clock.clone(), guide, records, limit };
    Ok(Opened { client: Arc::new(probe), store: None })
}

/// Answers one question within `limit`.
///
/// # Errors
/// When nobody answers, or the URL is wrong.
pub(super) async fn look(place: &ServerPlace, ask: &MongodbAsk, limit: Duration) -> Result<Seen, AdapterError> {
    let guide = guide(place, limit)?;
    let late = || AdapterError::TimedOut(format!("{}: no answer within {limit:?}", guide.place.label));
    timeout(limit, look::look(&guide, ask)).await.unwrap_or_else(|_| Err(late()))
}
