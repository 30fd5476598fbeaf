//! CouchDB, Cloudant, and whatever else speaks their HTTP interface: the ledger's client and its documents, the availability
//! probe of a ledger, questions for probes, and a database's documents for fingerprints. Nothing here decides by an error's
//! text, and no message holds a password.

mod classify;
mod compare;
mod keys;
mod ledger;
mod look;
mod pages;
mod prints;
mod server;
mod store;

pub(super) use prints::documents;

use super::connection::CONNECT;
use super::systems::{CouchdbQuestion, Seen};
use super::{AdapterError, ClientSettings, LedgerStore, Opened, ServerPlace};
use crate::clock::Clock;
use server::Server;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

fn server(place: &ServerPlace, limit: Duration) -> Result<Arc<Server>, AdapterError> {
    Server::parse(&place.url, place.connect_timeout.unwrap_or(CONNECT).min(limit)).map(Arc::new)
}

/// Opens a ledger; connections are made when they are first needed. `prefix` names its documents.
///
/// # Errors
/// When the URL is wrong, or the certificates it names cannot be read.
pub fn open_ledger(
    clock: &Clock,
    place: &ServerPlace,
    prefix: &str,
    settings: &ClientSettings,
) -> Result<Opened, AdapterError> {
    let server = server(place, settings.timeout)?;
    let keys = keys::Keys::new(prefix, settings.run.as_str());
    let store = store::Store::new(Arc::clone(&server), keys.clone(), settings);
    let client = ledger::Ledger::new(clock.clone(), server, keys, settings, place.response_timeout);
    Ok(Opened { client: Arc::new(client), store: Some(Arc::new(store)) })
}

/// What another region has of the same ledger.
///
/// # Errors
/// As [`open_ledger`].
pub fn open_copy(
    place: &ServerPlace,
    prefix: &str,
    settings: &ClientSettings,
) -> Result<Arc<dyn LedgerStore>, AdapterError> {
    let server = server(place, settings.timeout)?;
    let keys = keys::Keys::new(prefix, settings.run.as_str());
    Ok(Arc::new(store::Store::new(server, keys, settings)))
}

/// Opens the probe that looks whether the database takes writes, with a fresh connection each time.
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
    let id = keys::Keys::new(prefix, settings.run.as_str()).nobody();
    let probe = ledger::Probe { clock: clock.clone(), server: server(place, limit)?, id, limit };
    Ok(Opened { client: Arc::new(probe), store: None })
}

/// Answers one question within `limit`.
///
/// # Errors
/// When nobody answers, or a URL is wrong.
pub(super) async fn look(question: &CouchdbQuestion, limit: Duration) -> Result<Seen, AdapterError> {
    let here = server(&question.place, limit)?;
    let there = question.to.as_ref().map(|place| server(place, limit)).transpose()?;
    let late = || AdapterError::TimedOut(format!("{}: no answer within {limit:?}", here.label));
    let look = look::look(&here, there.as_ref(), question, limit);
    timeout(limit, look).await.unwrap_or_else(|_| Err(late()))
}
