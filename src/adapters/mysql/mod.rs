//! MySQL and MariaDB: the ledger's client and its table, the availability probe of a ledger, questions and queries for probes,
//! fingerprints of tables. One connection per writer and no pool: a commit in doubt must stay visible. Nothing here decides
//! by an error's text, and no message holds a password.

mod classify;
mod fingerprint;
mod gtid;
mod ledger;
mod look;
mod replica;
mod server;
mod snapshot;
mod sql;
mod table;

use super::systems::{MysqlAsk, Seen};
use super::{AdapterError, ClientSettings, Opened, ServerPlace};
use crate::clock::Clock;
use server::Server;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

pub(super) use fingerprint::fingerprint;
pub(super) use sql::scalar;

fn server(place: &ServerPlace, limit: Duration) -> Result<Server, AdapterError> {
    let server = Server::parse(&place.url)?;
    let patience = place.connect_timeout.unwrap_or(server.patience).min(limit);
    Ok(server.patient(patience))
}

/// Opens a ledger in a table; connections are made when they are first needed.
///
/// # Errors
/// When the URL or the table's name is wrong.
pub fn open_ledger(
    clock: &Clock,
    place: &ServerPlace,
    table: &str,
    settings: &ClientSettings,
) -> Result<Opened, AdapterError> {
    let server = Arc::new(server(place, settings.timeout)?);
    let table = table::Table::new(Arc::clone(&server), table, settings)?;
    let client = ledger::Ledger::new(clock.clone(), server, &table, settings, place.response_timeout);
    Ok(Opened { client: Arc::new(client), store: Some(Arc::new(table)) })
}

/// Opens the probe that looks whether the server takes writes, with a fresh connection each time.
///
/// # Errors
/// When the URL is wrong.
pub fn open_probe(clock: &Clock, place: &ServerPlace, settings: &ClientSettings) -> Result<Opened, AdapterError> {
    let limit = place.response_timeout.map_or(settings.timeout, |patience| patience.min(settings.timeout));
    let probe = ledger::Probe { clock: clock.clone(), server: server(place, limit)?, limit };
    Ok(Opened { client: Arc::new(probe), store: None })
}

/// Answers one question within `limit`.
///
/// # Errors
/// When nobody answers, a right is missing, or the URL is wrong.
pub(super) async fn look(place: &ServerPlace, ask: &MysqlAsk, limit: Duration) -> Result<Seen, AdapterError> {
    let server = server(place, limit)?;
    let late = || AdapterError::TimedOut(format!("{}: no answer within {limit:?}", server.label));
    timeout(limit, look::look(&server, ask)).await.unwrap_or_else(|_| Err(late()))
}

/// Who logs in where, and to which database, for MySQL's own programs.
pub struct Login {
    /// The host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The user.
    pub user: String,
    /// Its password.
    pub password: String,
    /// The database; empty if none is named.
    pub database: String,
}

/// The first server of a URL, for MySQL's own programs.
///
/// # Errors
/// When the URL is wrong.
pub fn login(url: &str) -> Result<Login, AdapterError> {
    let server = Server::parse(url)?;
    let database = server.database().unwrap_or_default().to_owned();
    let (user, password, at) =
        server.login().ok_or_else(|| AdapterError::Other("the URL names no server".to_owned()))?;
    let (host, user, password) = (at.host.clone(), user.to_owned(), password.to_owned());
    Ok(Login { host, port: at.port, user, password, database })
}
