//! PostgreSQL: queries for probes, the ledger's client and its table, and the availability probe of a ledger.
//! One connection per writer and no pool: a commit in doubt must stay visible. Nothing here decides by an error's text,
//! and no message holds a password.

mod classify;
mod fingerprint;
mod hosts;
mod ledger;
mod look;
mod position;
mod probe;
pub(super) mod server;
mod snapshot;
mod sql;
mod table;
mod tally;
mod tls;

use super::{AdapterError, ClientSettings, Opened};
use crate::clock::Clock;
use std::sync::Arc;

pub(super) use fingerprint::fingerprint;
pub(super) use look::{hindrance, look};
pub use sql::Databases;

/// Opens a ledger in a table; connections are made when they are first needed.
///
/// # Errors
/// When the URL or the table's name is wrong, or the certificates it names cannot be read.
pub fn open_ledger(clock: &Clock, url: &str, table: &str, settings: &ClientSettings) -> Result<Opened, AdapterError> {
    let server = Arc::new(server::Server::parse(url)?);
    let table = table::Table::new(Arc::clone(&server), table, settings)?;
    let client = ledger::Ledger::new(clock.clone(), server, &table, settings);
    Ok(Opened { client: Arc::new(client), store: Some(Arc::new(table)) })
}

/// Opens the probe that looks whether the database takes writes, with a fresh connection each time.
///
/// # Errors
/// When the URL is wrong or the certificates it names cannot be read.
pub fn open_probe(clock: &Clock, url: &str, settings: &ClientSettings) -> Result<Opened, AdapterError> {
    let probe = probe::Probe::new(clock.clone(), Arc::new(server::Server::parse(url)?), settings.timeout);
    Ok(Opened { client: Arc::new(probe), store: None })
}

/// The database of a URL as libpq's variables, for PostgreSQL's own programs. The password is among them.
///
/// # Errors
/// When the URL is wrong.
pub fn environment(url: &str) -> Result<Vec<(String, String)>, AdapterError> {
    Ok(server::Server::parse(url)?.environment(url))
}
