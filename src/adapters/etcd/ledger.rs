//! Writes ledger records: one connection per writer, one put per record. etcd acknowledges a put when a majority of members
//! has it on disk. Writers begin at different members, stay where they are, and go on to the next one when they must.

use super::classify::{after_sending, before_sending};
use super::gateway::{Gateway, Link, Trouble, number};
use crate::adapters::connection::Failure;
use crate::adapters::record_keys::{Keys, end_of};
use crate::adapters::writes::{Reads, Writes};
use crate::adapters::{Act, Client, ClientSettings, Done, Fut, Operation, base64};
use crate::clock::Clock;
use crate::model::{Found, Key, Mono, Outcome};
use crate::workloads::payload;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::timeout;

/// Connections that reads keep; more reads than that at once open their own.
const KEPT_READERS: usize = 8;
/// An answer with such a payload is a short one.
const SHORT: u64 = 256 * 1024;

/// The client of a ledger.
pub(super) struct Ledger {
    clock: Clock,
    gateway: Arc<Gateway>,
    keys: Keys,
    settings: ClientSettings,
    /// One answer may take so long.
    patience: Duration,
    writers: Vec<tokio::sync::Mutex<Writer>>,
    readers: Mutex<Vec<Link>>,
}

/// A writer's connection, and the member that it goes to next.
#[derive(Default)]
pub(super) struct Writer {
    link: Option<Link>,
    next: usize,
}

impl Ledger {
    pub fn new(
        clock: Clock,
        gateway: Arc<Gateway>,
        keys: Keys,
        settings: &ClientSettings,
        patience: Option<Duration>,
    ) -> Self {
        let writer = |number: u16| Writer { link: None, next: usize::from(number) };
        Self {
            clock,
            gateway,
            keys,
            patience: patience.unwrap_or(settings.timeout),
            settings: settings.clone(),
            writers: (0..settings.writers).map(|number| tokio::sync::Mutex::new(writer(number))).collect(),
            readers: Mutex::default(),
        }
    }

    /// One attempt, with a new connection if the writer has none that is alive. One whose answer did not come is dropped,
    /// and the next member is gone to. `sent` is when the first one was sent.
    async fn try_once(
        &self,
        writer: &mut Writer,
        key: Key,
        number: u32,
        limit: Duration,
        sent: &mut Option<Mono>,
    ) -> Outcome {
        let end = self.clock.mono().after(limit);
        let mut link = match self.ready(writer.link.take(), writer.next, limit).await {
            Ok(link) => link,
            Err(trouble) => return before_sending(&trouble),
        };
        let put = self.put(key, number);
        let now = self.clock.mono();
        sent.get_or_insert(now);
        let limit = end.since(now).min(self.patience);
        match timeout(limit, link.call("/v3/kv/put", &put)).await {
            Ok(Ok(_)) => {
                writer.next = link.number;
                writer.link = Some(link);
                Outcome::Ok
            }
            // The connection goes with it: no late answer can be mistaken for another's.
            Err(_) => {
                writer.next = link.number + 1;
                Outcome::Unknown
            }
            Ok(Err(trouble)) => {
                let outcome = after_sending(&trouble);
                writer.next = link.number + usize::from(outcome == Outcome::Unknown);
                writer.link = matches!(trouble, Trouble::Refused(_) if outcome == Outcome::Fail).then_some(link);
                outcome
            }
        }
    }

    fn put(&self, key: Key, number: u32) -> Value {
        let size = usize::try_from(self.settings.payload).unwrap_or(usize::MAX);
        let bytes = payload::payload(&self.settings.run, key, size);
        let name = self.keys.record(key, number);
        json!({"key": base64::encoded(name.as_bytes()), "value": base64::encoded(&bytes)})
    }

    /// The connection as it is if it lives, else a new one.
    async fn ready(&self, kept: Option<Link>, next: usize, limit: Duration) -> Result<Link, Trouble> {
        if let Some(mut kept) = kept
            && kept.is_usable().await
        {
            return Ok(kept);
        }
        let late = || Trouble::Failed(Failure::NotSent(format!("no member within {limit:?}")));
        timeout(limit, self.gateway.connect(next)).await.unwrap_or_else(|_| Err(late()))
    }

    /// A linearizable read: it waits for a majority, as the write did.
    async fn look_up(&self, kept: Option<Link>, key: Key) -> Result<Found, Outcome> {
        let next = usize::from(key.writer);
        let mut link = self.ready(kept, next, self.settings.timeout).await.map_err(|t| before_sending(&t))?;
        let from = self.keys.attempts(key);
        let range = json!({
            "key": base64::encoded(from.as_bytes()),
            "range_end": base64::encoded(&end_of(&from)),
            "limit": 1,
        });
        let answer = match self.settings.payload {
            0..=SHORT => link.call("/v3/kv/range", &range).await,
            _ => link.long_call("/v3/kv/range", &range).await,
        };
        let answer = answer.map_err(|trouble| after_sending(&trouble))?;
        let found = match answer["kvs"].get(0) {
            None => Found::Absent,
            Some(entry) => {
                let bytes = base64::decoded(entry["value"].as_str().unwrap_or_default()).unwrap_or_default();
                let size = usize::try_from(self.settings.payload).unwrap_or(usize::MAX);
                payload::check(&self.settings.run, key, size, &bytes)
            }
        };
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.len() < KEPT_READERS {
            readers.push(link);
        }
        Ok(found)
    }
}

impl Writes for Ledger {
    type Kept = Writer;

    fn settings(&self) -> (&Clock, &ClientSettings) {
        (&self.clock, &self.settings)
    }

    fn slot(&self, writer: u16) -> Option<&tokio::sync::Mutex<Self::Kept>> {
        self.writers.get(usize::from(writer))
    }

    fn hang_up(kept: &mut Self::Kept) {
        kept.link = None;
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
    pub gateway: Gateway,
    pub key: String,
    pub limit: Duration,
}

impl Probe {
    /// Deletes a key that nobody has: it changes nothing, not even the revision, and is agreed upon as every write is.
    async fn visit(&self, first: usize) -> Outcome {
        let mut link = match self.gateway.connect(first).await {
            Ok(link) => link,
            Err(trouble) => return before_sending(&trouble),
        };
        let delete = json!({"key": base64::encoded(self.key.as_bytes())});
        match link.call("/v3/kv/deleterange", &delete).await {
            Ok(answer) if number(&answer["deleted"]) == 0 => Outcome::Ok,
            Ok(_) => Outcome::Unknown,
            Err(trouble) => after_sending(&trouble),
        }
    }
}

impl Client for Probe {
    fn operate(&self, operation: Operation) -> Fut<'_, Done> {
        Box::pin(async move {
            // Each visit goes to another member first, as clients are spread over them.
            let first = match operation.act {
                Act::Visit(number) => (number % 1_024) as usize,
                Act::Write(key) | Act::Read(key) => usize::from(key.writer),
            };
            let sent = self.clock.mono();
            let outcome = timeout(self.limit, self.visit(first)).await.unwrap_or(Outcome::Unknown);
            Done { sent, done: self.clock.mono(), outcome, found: None }
        })
    }
}
