//! Writes ledger records: one connection per writer, one insert per autocommit transaction. And the availability probe that a
//! ledger brings along.
//!
//! A connection is asked whether it lives (COM_PING) right before a statement is sent on it, as pools of applications do: one
//! that died while nobody used it then costs a new connection, and leaves no doubt about a write.

use super::classify::{after_sending, elsewhere};
use super::server::{Server, Trouble, trouble};
use super::table::{SESSION, Table};
use crate::adapters::writes::{Reads, Writes};
use crate::adapters::{Client, ClientSettings, Done, Fut, Operation};
use crate::clock::Clock;
use crate::model::{Found, Key, Mono, Outcome};
use crate::workloads::payload;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Statement};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::timeout;

/// Connections that reads keep; more reads than that at once open their own.
const KEPT_READERS: usize = 8;

/// The client of a ledger.
pub(super) struct Ledger {
    clock: Clock,
    server: Arc<Server>,
    settings: ClientSettings,
    /// One answer may take so long.
    patience: Duration,
    insert: String,
    select: String,
    writers: Vec<tokio::sync::Mutex<Option<Ready>>>,
    readers: Mutex<Vec<Ready>>,
}

/// A connection with its statement prepared. Dropping it closes the socket at once if a statement is under way.
pub(super) struct Ready {
    conn: Conn,
    statement: Statement,
}

impl Ledger {
    pub(super) fn new(
        clock: Clock,
        server: Arc<Server>,
        table: &Table,
        settings: &ClientSettings,
        patience: Option<Duration>,
    ) -> Self {
        Self {
            clock,
            server,
            patience: patience.unwrap_or(settings.timeout),
            settings: settings.clone(),
            insert: table.insert(),
            select: table.select(),
            writers: (0..settings.writers).map(|_| tokio::sync::Mutex::default()).collect(),
            readers: Mutex::default(),
        }
    }

    fn size(&self) -> usize {
        usize::try_from(self.settings.payload).unwrap_or(usize::MAX)
    }

    /// One insert, with a new connection if the writer has none that is alive. One whose answer did not come is dropped, and so
    /// is one to a server that takes no writes now. `sent` is when the first insert was sent.
    async fn try_once(
        &self,
        writer: &mut Option<Ready>,
        key: Key,
        number: u32,
        limit: Duration,
        sent: &mut Option<Mono>,
    ) -> Outcome {
        let end = self.clock.mono().after(limit);
        let mut ready = match timeout(limit, self.ready(writer.take(), &self.insert)).await {
            Ok(Ok(ready)) => ready,
            Ok(Err(trouble)) => return trouble.outcome(),
            Err(_) => return Outcome::Fail,
        };
        let bytes = payload::payload(&self.settings.run, key, self.size());
        let values = (self.settings.run.as_str(), key.writer, key.seq, number, bytes);
        let now = self.clock.mono();
        sent.get_or_insert(now);
        let insert = ready.conn.exec_drop(&ready.statement, values);
        match timeout(end.since(now).min(self.patience), insert).await {
            // The connection goes with it: no late answer can be mistaken for another's.
            Err(_) => Outcome::Unknown,
            Ok(Ok(())) => {
                *writer = Some(ready);
                Outcome::Ok
            }
            Ok(Err(e)) => {
                let outcome = after_sending(&e);
                *writer = (outcome == Outcome::Fail && !elsewhere(&e)).then_some(ready);
                outcome
            }
        }
    }

    /// The connection as it is if it lives, else a new one with its statement prepared; nothing was sent if that fails.
    async fn ready(&self, kept: Option<Ready>, sql: &str) -> Result<Ready, Trouble> {
        if let Some(mut ready) = kept
            && matches!(timeout(self.server.patience, ready.conn.ping()).await, Ok(Ok(())))
        {
            return Ok(ready);
        }
        let mut conn = self.server.open().await?;
        conn.query_drop(SESSION).await.map_err(|e| trouble(&e))?;
        let statement = conn.prep(sql).await.map_err(|e| trouble(&e))?;
        Ok(Ready { conn, statement })
    }

    async fn look_up(&self, kept: Option<Ready>, key: Key) -> Result<Found, Outcome> {
        let mut ready = self.ready(kept, &self.select).await.map_err(|trouble| trouble.outcome())?;
        let values = (self.settings.run.as_str(), key.writer, key.seq);
        let found = ready.conn.exec_first::<Vec<u8>, _, _>(&ready.statement, values).await;
        let found = match found.map_err(|_| Outcome::Fail)? {
            None => Found::Absent,
            Some(bytes) => payload::check(&self.settings.run, key, self.size(), &bytes),
        };
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.len() < KEPT_READERS {
            readers.push(ready);
        }
        Ok(found)
    }
}

impl Writes for Ledger {
    type Kept = Option<Ready>;

    fn settings(&self) -> (&Clock, &ClientSettings) {
        (&self.clock, &self.settings)
    }

    fn slot(&self, writer: u16) -> Option<&tokio::sync::Mutex<Self::Kept>> {
        self.writers.get(usize::from(writer))
    }

    fn hang_up(kept: &mut Self::Kept) {
        *kept = None;
    }

    fn attempt<'a>(
        &'a self,
        kept: &'a mut Self::Kept,
        key: Key,
        number: u32,
        limit: Duration,
        sent: &'a mut Option<Mono>,
    ) -> Fut<'a, Outcome> {
        Box::pin(self.try_once(kept, key, number, limit, sent))
    }
}

impl Reads for Ledger {
    fn find(&self, key: Key) -> Fut<'_, Result<Found, Outcome>> {
        let kept = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Box::pin(self.look_up(kept, key))
    }
}

/// The availability probe that a ledger brings along.
pub(super) struct Probe {
    pub(super) clock: Clock,
    pub(super) server: Server,
    pub(super) limit: Duration,
}

/// Refused by whoever refuses writes, in the words of a write, and yet nothing: no lock, no row, nothing in the binary log. An
/// update that finds nothing would stand in a log of statements, and be a transaction to every replica.
const COULD_WRITE: &str = "start transaction read write";

impl Probe {
    async fn visit(&self) -> Outcome {
        let mut conn = match self.server.open().await {
            Ok(conn) => conn,
            Err(trouble) => return trouble.outcome(),
        };
        let asked = conn.query_drop(COULD_WRITE).await;
        match asked {
            Ok(()) => Outcome::Ok,
            Err(mysql_async::Error::Server(_)) => Outcome::Fail,
            Err(_) => Outcome::Unknown,
        }
    }
}

impl Client for Probe {
    fn operate(&self, _: Operation) -> Fut<'_, Done> {
        Box::pin(async move {
            let sent = self.clock.mono();
            let outcome = timeout(self.limit, self.visit()).await.unwrap_or(Outcome::Unknown);
            Done { sent, done: self.clock.mono(), outcome, found: None }
        })
    }
}
