//! Writes ledger records: one connection per writer, one document per record, each inserted once and never again. A record
//! counts as acknowledged when the server says that the write concern is met; written and not met, it is acknowledged by the
//! primary alone. And the availability probe that a ledger brings along.

use super::classify::{self, after_sending};
use super::connection::{Connection, Trouble};
use super::discover::Guide;
use super::records::Records;
use crate::adapters::writes::{Reads, Writes};
use crate::adapters::{Client, ClientSettings, Done, Fut, Operation};
use crate::clock::Clock;
use crate::model::{Found, Key, Mono, Outcome};
use crate::workloads::payload;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::timeout;

/// Connections that reads keep; more reads than that at once open their own.
const KEPT_READERS: usize = 8;

/// The client of a ledger.
pub(super) struct Ledger {
    clock: Clock,
    guide: Arc<Guide>,
    records: Records,
    settings: ClientSettings,
    /// One answer may take so long.
    patience: Duration,
    writers: Vec<tokio::sync::Mutex<Option<Connection>>>,
    readers: Mutex<Vec<Connection>>,
}

impl Ledger {
    pub fn new(
        clock: Clock,
        guide: Arc<Guide>,
        records: Records,
        settings: &ClientSettings,
        patience: Option<Duration>,
    ) -> Self {
        Self {
            clock,
            guide,
            records,
            patience: patience.unwrap_or(settings.timeout),
            settings: settings.clone(),
            writers: (0..settings.writers).map(|_| tokio::sync::Mutex::default()).collect(),
            readers: Mutex::default(),
        }
    }

    /// One attempt, with a new connection if the writer has none that is alive. A connection that failed is dropped, and
    /// so is one to a member that others have to be looked for instead of. `sent` is when the first one was sent.
    async fn try_once(
        &self,
        writer: &mut Option<Connection>,
        key: Key,
        number: u32,
        limit: Duration,
        sent: &mut Option<Mono>,
    ) -> Outcome {
        let end = self.clock.mono().after(limit);
        let mut connection = match self.ready(writer.take(), limit).await {
            Ok(connection) => connection,
            Err(trouble) => return trouble.outcome(),
        };
        let size = usize::try_from(self.settings.payload).unwrap_or(usize::MAX);
        let bytes = payload::payload(&self.settings.run, key, size);
        let insert = self.records.insert(key, number, &bytes, &self.guide.place.concern);
        let now = self.clock.mono();
        sent.get_or_insert(now);
        let limit = end.since(now).min(self.patience);
        match timeout(limit, connection.ask(&self.guide.place.database, insert)).await {
            // The connection goes with it: no late answer can be mistaken for another's.
            Err(_) | Ok(Err(_)) => Outcome::Unknown,
            Ok(Ok(reply)) => {
                let (outcome, code) = classify::answer(reply.doc(), Some(1));
                *writer = (!code.is_some_and(classify::elsewhere)).then_some(connection);
                outcome
            }
        }
    }

    /// The connection as it is if it lives, else a new one.
    async fn ready(&self, kept: Option<Connection>, limit: Duration) -> Result<Connection, Trouble> {
        if let Some(mut kept) = kept
            && kept.is_usable().await
        {
            return Ok(kept);
        }
        let late = || Trouble::Late(format!("no primary within {limit:?}"));
        timeout(limit, self.guide.open()).await.unwrap_or_else(|_| Err(late()))
    }

    /// As the write was: what a majority has, if a majority was to have it.
    async fn look_up(&self, kept: Option<Connection>, key: Key) -> Result<Found, Outcome> {
        let mut connection = self.ready(kept, self.settings.timeout).await.map_err(|t| t.outcome())?;
        let agreed = self.guide.place.concern.is_of_a_majority() && connection.hello.set.is_some();
        let find = self.records.attempts(key, if agreed { "majority" } else { "local" });
        let reply = connection.ask(&self.guide.place.database, find).await.map_err(|_| Outcome::Fail)?;
        let doc = reply.doc();
        if doc.number("ok") != Some(1) {
            let code = doc.number("code").unwrap_or_default();
            return Err(if after_sending(code) == Outcome::Unknown { Outcome::Unknown } else { Outcome::Fail });
        }
        let cursor = doc.doc("cursor").ok_or(Outcome::Fail)?;
        let found = match cursor.items("firstBatch").next().and_then(super::bson::Element::doc) {
            None => Found::Absent,
            Some(record) => {
                let size = usize::try_from(self.settings.payload).unwrap_or(usize::MAX);
                payload::check(&self.settings.run, key, size, Records::read(record).payload)
            }
        };
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.len() < KEPT_READERS {
            readers.push(connection);
        }
        Ok(found)
    }
}

impl Writes for Ledger {
    type Kept = Option<Connection>;

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
    pub clock: Clock,
    pub guide: Guide,
    pub records: Records,
    pub limit: Duration,
}

impl Probe {
    /// Removes a document that nobody has: it changes nothing and is not replicated, is refused as every write is, and waits
    /// for the write concern as every write does.
    async fn visit(&self) -> Outcome {
        let mut connection = match self.guide.open().await {
            Ok(connection) => connection,
            Err(Trouble::Late(_)) => return Outcome::Unknown,
            Err(trouble) => return trouble.outcome(),
        };
        let delete = self.records.remove_nobody(&self.guide.place.concern);
        match connection.ask(&self.guide.place.database, delete).await {
            Ok(reply) => classify::answer(reply.doc(), Some(0)).0,
            Err(trouble) => trouble.outcome(),
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
