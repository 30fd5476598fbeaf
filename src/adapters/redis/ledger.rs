//! Writes ledger records: one connection per writer, one entry of the run's stream per record. With `wait`, a record counts
//! as acknowledged when so many replicas have confirmed it; fewer, and it is acknowledged by the primary alone.

use super::classify;
use super::connection::{Connection, Trouble};
use super::discover::Guide;
use super::index::{Id, Index};
use super::resp::{Value, command};
use super::store::{Entry, Stream};
use crate::adapters::writes::{Reads, Writes};
use crate::adapters::{ClientSettings, Fut, RedisWait};
use crate::clock::Clock;
use crate::model::{Found, Key, Mono, Outcome};
use crate::workloads::payload;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::timeout;

/// Connections that reads keep; more reads than that at once open their own.
const KEPT_READERS: usize = 8;
/// Entries of a range that a read looks through.
const NEAR: usize = 4_096;

/// The client of a ledger.
pub(super) struct Ledger {
    clock: Clock,
    guide: Arc<Guide>,
    stream: Stream,
    settings: ClientSettings,
    /// One answer may take so long.
    patience: Duration,
    wait: Option<RedisWait>,
    writers: Vec<tokio::sync::Mutex<Option<Connection>>>,
    readers: Mutex<Vec<Connection>>,
    index: Mutex<Index>,
}

impl Ledger {
    pub fn new(
        clock: Clock,
        guide: Arc<Guide>,
        stream: Stream,
        settings: &ClientSettings,
        patience: Option<Duration>,
        wait: Option<RedisWait>,
    ) -> Self {
        Self {
            clock,
            guide,
            stream,
            patience: patience.unwrap_or(settings.timeout),
            settings: settings.clone(),
            wait,
            writers: (0..settings.writers).map(|_| tokio::sync::Mutex::default()).collect(),
            readers: Mutex::default(),
            index: Mutex::default(),
        }
    }

    /// One attempt, with a new connection if the writer has none that is alive. A connection that failed is dropped, and
    /// so is one to a server that others have to be looked for instead of. `sent` is when the first one was sent.
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
        let bytes = self.message(key, number);
        let now = self.clock.mono();
        sent.get_or_insert(now);
        let limit = end.since(now).min(self.patience);
        match timeout(limit, self.exchange(&mut connection, &bytes, key)).await {
            // The connection goes with it: no late answer can be mistaken for another's.
            Err(_) => Outcome::Unknown,
            Ok((outcome, keep)) => {
                *writer = keep.then_some(connection);
                outcome
            }
        }
    }

    /// The record, and the question how many replicas have it, in one piece.
    fn message(&self, key: Key, number: u32) -> Vec<u8> {
        let size = usize::try_from(self.settings.payload).unwrap_or(usize::MAX);
        let bytes = payload::payload(&self.settings.run, key, size);
        let mut message = Vec::with_capacity(bytes.len() + 200);
        self.stream.append(key, number, &bytes, &mut message);
        if let Some(RedisWait { replicas, timeout }) = self.wait {
            let (replicas, limit) = (replicas.to_string(), timeout.as_millis().max(1).to_string());
            command(&[b"WAIT", replicas.as_bytes(), limit.as_bytes()], &mut message);
        }
        message
    }

    /// What became of a record, and whether its connection can be used again.
    async fn exchange(&self, connection: &mut Connection, bytes: &[u8], key: Key) -> (Outcome, bool) {
        let answers = async {
            connection.send(bytes).await?;
            let record = connection.answer().await?;
            if let Value::Refused(refusal) = &record {
                // The answer to WAIT is still to come, so the connection is of no more use.
                let keep = self.wait.is_none() && !classify::elsewhere(refusal);
                return Ok((classify::after_sending(refusal), keep));
            }
            let Some(id) = record.text().as_deref().and_then(Id::parse) else { return Ok((Outcome::Unknown, false)) };
            let Some(RedisWait { replicas, .. }) = self.wait else {
                self.note(key, id);
                return Ok((Outcome::Ok, true));
            };
            match connection.answer().await? {
                Value::Int(confirmed) => {
                    self.note(key, id);
                    let enough = confirmed >= i64::from(replicas);
                    Ok((if enough { Outcome::Ok } else { Outcome::OkLocal }, true))
                }
                // It is written, but whoever wanted replicas to have it was not told so.
                _ => Ok((Outcome::Unknown, false)),
            }
        };
        let answers: Result<_, Trouble> = answers.await;
        answers.unwrap_or((Outcome::Unknown, false))
    }

    fn note(&self, key: Key, id: Id) {
        self.index.lock().unwrap_or_else(PoisonError::into_inner).note(key, id);
    }

    /// The connection as it is if it lives, else a new one.
    async fn ready(&self, kept: Option<Connection>, limit: Duration) -> Result<Connection, Trouble> {
        if let Some(mut kept) = kept
            && kept.is_usable().await
        {
            return Ok(kept);
        }
        let late = || Trouble::Late(format!("no primary within {limit:?}"));
        timeout(limit, self.guide.primary()).await.unwrap_or_else(|_| Err(late()))
    }

    async fn look_up(&self, kept: Option<Connection>, key: Key) -> Result<Found, Outcome> {
        let mut connection = self.ready(kept, self.settings.timeout).await.map_err(|t| t.outcome())?;
        let (from, to) = self.index.lock().unwrap_or_else(PoisonError::into_inner).range(key);
        let (mut from, to) = (from.unwrap_or(Id(0, 0)), to);
        let mut found = Found::Absent;
        loop {
            let page = self.stream.page(&mut connection, from, to, NEAR).await;
            let page = page.map_err(|_| Outcome::Fail)?.map_err(|refusal| match classify::after_sending(&refusal) {
                Outcome::Unknown => Outcome::Unknown,
                _ => Outcome::Fail,
            })?;
            if let Some(Entry { payload, .. }) = page.iter().find(|entry| entry.key == Ok(key)) {
                let size = usize::try_from(self.settings.payload).unwrap_or(usize::MAX);
                found = payload::check(&self.settings.run, key, size, payload);
                break;
            }
            match page.last() {
                Some(last) if page.len() == NEAR => from = Id(last.id.0, last.id.1 + 1),
                _ => break,
            }
        }
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
