//! Writes ledger records: one connection per writer, one insert per autocommit transaction.
//! An insert is acknowledged when the server is ready for the next statement, not before: the commit lies in between.

use super::classify;
use super::probe;
use super::server::{Server, Session};
use super::table::Table;
use crate::adapters::{Act, Client, ClientSettings, Done, Fut, Operation};
use crate::clock::Clock;
use crate::model::{ClientBehaviour, Found, Key, Mono, Outcome, RunId};
use crate::workloads::payload;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::timeout;
use tokio_postgres::Statement;
use tokio_postgres::types::ToSql;

/// Connections that reads keep; more reads than that at once open their own.
const KEPT_READERS: usize = 8;

/// The client of a ledger.
pub(super) struct Ledger {
    clock: Clock,
    server: Arc<Server>,
    run: RunId,
    behaviour: ClientBehaviour,
    limit: Duration,
    size: usize,
    insert: String,
    select: String,
    writers: Vec<tokio::sync::Mutex<Option<Ready>>>,
    readers: Mutex<Vec<Ready>>,
}

/// A connection with its statement prepared.
struct Ready {
    session: Session,
    statement: Statement,
}

/// What became of one attempt, and when its statement was sent (when the attempt began, if it never was).
struct Attempt {
    sent: Mono,
    outcome: Outcome,
}

impl Ledger {
    pub(super) fn new(clock: Clock, server: Arc<Server>, table: &Table, settings: &ClientSettings) -> Self {
        Self {
            clock,
            server,
            run: settings.run.clone(),
            behaviour: settings.behaviour.clone(),
            limit: settings.timeout,
            size: usize::try_from(settings.payload).unwrap_or(usize::MAX),
            insert: table.insert(),
            select: table.select(),
            writers: (0..settings.writers).map(|_| tokio::sync::Mutex::default()).collect(),
            readers: Mutex::default(),
        }
    }

    /// One logical write: one attempt, or several for a client that retries.
    async fn write(&self, key: Key) -> Done {
        let began = self.clock.mono();
        let Some(slot) = self.writers.get(usize::from(key.writer)) else {
            return Done { sent: began, done: began, outcome: Outcome::Unsent, found: None };
        };
        let mut writer = slot.lock().await;
        let Attempt { sent, outcome } = match &self.behaviour {
            ClientBehaviour::Retrying(policy) => self.write_retrying(&mut writer, key, policy, began).await,
            ClientBehaviour::Fresh => {
                *writer = None;
                let attempt = self.attempt(&mut writer, key, 1, self.limit).await;
                *writer = None;
                attempt
            }
            ClientBehaviour::Pooled => self.attempt(&mut writer, key, 1, self.limit).await,
        };
        Done { sent, done: self.clock.mono(), outcome, found: None }
    }

    /// Attempts until one is acknowledged or none is left. Ok if any was; a failure only if all definitely failed.
    async fn write_retrying(
        &self,
        writer: &mut Option<Ready>,
        key: Key,
        policy: &crate::model::RetryPolicy,
        began: Mono,
    ) -> Attempt {
        let end = began.after(self.limit);
        let (mut first_sent, mut in_doubt, mut pause) = (None, false, policy.backoff);
        for number in 1..=policy.attempts.max(1) {
            let left = end.since(self.clock.mono());
            if left.is_zero() {
                break;
            }
            let attempt = self.attempt(writer, key, number, left.min(policy.attempt_timeout)).await;
            let sent = *first_sent.get_or_insert(attempt.sent);
            match attempt.outcome {
                Outcome::Fail => {}
                Outcome::Unknown => in_doubt = true,
                decided => return Attempt { sent, outcome: decided },
            }
            if number < policy.attempts {
                self.clock.sleep_until(end.min(self.clock.mono().after(pause))).await;
                pause = (pause * 2).min(policy.max_backoff);
            }
        }
        let outcome = if in_doubt { Outcome::Unknown } else { Outcome::Fail };
        Attempt { sent: first_sent.unwrap_or(began), outcome }
    }

    /// One insert, with a new connection if the writer has none that is alive. A connection that failed is dropped.
    async fn attempt(&self, writer: &mut Option<Ready>, key: Key, number: u32, limit: Duration) -> Attempt {
        let began = self.clock.mono();
        let end = began.after(limit);
        let ready = match self.ready(writer.take(), &self.insert, limit).await {
            Ok(ready) => ready,
            Err(outcome) => return Attempt { sent: began, outcome },
        };
        let bytes = payload::payload(&self.run, key, self.size);
        let (run, id) = (self.run.as_str(), i32::from(key.writer));
        let (seq, number) = (key.seq.cast_signed(), number.cast_signed());
        ready.session.forget_warnings();
        let values: [&(dyn ToSql + Sync); 5] = [&run, &id, &seq, &number, &bytes];
        let sent = self.clock.mono();
        let insert = ready.session.client.execute(&ready.statement, &values);
        let outcome = match timeout(end.since(sent), insert).await {
            Err(_) => Outcome::Unknown,
            Ok(Err(e)) => classify::after_sending(&e),
            Ok(Ok(_)) => {
                let outcome = if ready.session.was_local_only() { Outcome::OkLocal } else { Outcome::Ok };
                *writer = Some(ready);
                outcome
            }
        };
        Attempt { sent, outcome }
    }

    /// The connection as it is if it lives, else a new one with its statement prepared; nothing was sent if that fails.
    async fn ready(&self, kept: Option<Ready>, sql: &str, limit: Duration) -> Result<Ready, Outcome> {
        if let Some(ready) = kept.filter(|r| !r.session.client.is_closed()) {
            return Ok(ready);
        }
        let connect = async {
            let session = self.server.connect(limit).await.map_err(|_| Outcome::Fail)?;
            let statement = session.client.prepare(sql).await.map_err(|_| Outcome::Fail)?;
            Ok(Ready { session, statement })
        };
        timeout(limit, connect).await.unwrap_or(Err(Outcome::Fail))
    }

    /// Reads one record back. A read changes nothing, so it is unknown only when no answer came in time.
    async fn read(&self, key: Key) -> Done {
        let sent = self.clock.mono();
        let kept = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let (outcome, found) = match timeout(self.limit, self.look_up(kept, key)).await {
            Err(_) => (Outcome::Unknown, None),
            Ok(Err(outcome)) => (outcome, None),
            Ok(Ok(found)) => (Outcome::Ok, Some(found)),
        };
        Done { sent, done: self.clock.mono(), outcome, found }
    }

    async fn look_up(&self, kept: Option<Ready>, key: Key) -> Result<Found, Outcome> {
        let ready = self.ready(kept, &self.select, self.limit).await?;
        let (run, id, seq) = (self.run.as_str(), i32::from(key.writer), key.seq.cast_signed());
        let row =
            ready.session.client.query_opt(&ready.statement, &[&run, &id, &seq]).await.map_err(|_| Outcome::Fail)?;
        let found = match row {
            None => Found::Absent,
            Some(row) => payload::check(&self.run, key, self.size, row.try_get(0).map_err(|_| Outcome::Unknown)?),
        };
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.len() < KEPT_READERS {
            readers.push(ready);
        }
        Ok(found)
    }
}

impl Client for Ledger {
    fn operate(&self, operation: Operation) -> Fut<'_, Done> {
        Box::pin(async move {
            match operation.act {
                Act::Write(key) => self.write(key).await,
                Act::Read(key) => self.read(key).await,
                Act::Visit(_) => probe::visit(&self.clock, &self.server, self.limit).await,
            }
        })
    }
}
