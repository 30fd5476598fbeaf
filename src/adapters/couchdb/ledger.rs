//! Writes ledger records: one connection per writer, one new document per record.

use super::classify::{Before, after_sending, answered, before_sending, writable};
use super::keys::{Keys, contents, document, in_path};
use super::server::{Link, Server, Trouble};
use crate::adapters::connection::Failure;
use crate::adapters::writes::{Reads, Writes};
use crate::adapters::{Client, ClientSettings, Done, Fut, Operation};
use crate::clock::Clock;
use crate::model::{Found, Key, Mono, Outcome};
use crate::workloads::payload;
use hyper::Method;
use serde_json::json;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::timeout;

/// Connections that reads keep; more reads than that at once open their own.
const KEPT_READERS: usize = 8;
/// A revision that no document has: nobody's first has this sum.
const NO_REVISION: &str = "1-00000000000000000000000000000000";

/// The client of a ledger.
pub(super) struct Ledger {
    clock: Clock,
    server: Arc<Server>,
    keys: Keys,
    settings: ClientSettings,
    /// One answer may take so long.
    patience: Duration,
    writers: Vec<tokio::sync::Mutex<Writer>>,
    readers: Mutex<Vec<Link>>,
}

/// A writer's connection, and the record whose last attempt is in doubt.
#[derive(Default)]
pub(super) struct Writer {
    link: Option<Link>,
    doubt: Option<Key>,
}

impl Ledger {
    pub fn new(
        clock: Clock,
        server: Arc<Server>,
        keys: Keys,
        settings: &ClientSettings,
        patience: Option<Duration>,
    ) -> Self {
        Self {
            clock,
            server,
            keys,
            patience: patience.unwrap_or(settings.timeout),
            settings: settings.clone(),
            writers: (0..settings.writers).map(|_| tokio::sync::Mutex::default()).collect(),
            readers: Mutex::default(),
        }
    }

    fn size(&self) -> usize {
        usize::try_from(self.settings.payload).unwrap_or(usize::MAX)
    }

    /// One attempt, with a new connection if the writer has none that is alive. One whose answer did not come is dropped.
    async fn try_once(
        &self,
        writer: &mut Writer,
        key: Key,
        number: u32,
        limit: Duration,
        sent: &mut Option<Mono>,
    ) -> Outcome {
        let end = self.clock.mono().after(limit);
        let mut link = match self.ready(writer.link.take(), limit).await {
            Ok(link) => link,
            Err(trouble) => return before_sending(&trouble),
        };
        let id = self.keys.record(key);
        let path = self.server.path(&in_path(&id));
        let body = document(number, &payload::payload(&self.settings.run, key, self.size()));
        let now = self.clock.mono();
        sent.get_or_insert(now);
        let before = if writer.doubt == Some(key) { Before::Doubt } else { Before::Clear };
        let limit = end.since(now).min(self.patience);
        let outcome = match timeout(limit, link.call(Method::PUT, &path, Some(&body))).await {
            // The connection goes with it: no late answer can be mistaken for another's.
            Err(_) => Outcome::Unknown,
            Ok(Ok(answer)) => {
                writer.link = Some(link);
                answered(&answer, &id)
            }
            Ok(Err(trouble)) => {
                writer.link = matches!(trouble, Trouble::Refused(_)).then_some(link);
                after_sending(&trouble, before)
            }
        };
        if outcome == Outcome::Unknown {
            writer.doubt = Some(key);
        }
        outcome
    }

    /// The connection as it is if it lives, else a new one.
    async fn ready(&self, kept: Option<Link>, limit: Duration) -> Result<Link, Trouble> {
        if let Some(mut kept) = kept
            && kept.is_usable().await
        {
            return Ok(kept);
        }
        let late = || Trouble::Failed(Failure::NotSent(format!("no connection within {limit:?}")));
        timeout(limit, self.server.connect()).await.unwrap_or_else(|_| Err(late()))
    }

    async fn look_up(&self, kept: Option<Link>, key: Key) -> Result<Found, Outcome> {
        let mut link = self.ready(kept, self.settings.timeout).await.map_err(|t| before_sending(&t))?;
        let path = self.server.path(&in_path(&self.keys.record(key)));
        let found = match link.long_get(&path).await {
            Ok(document) => payload::check(&self.settings.run, key, self.size(), &contents(&document).1),
            // Of a proxy that knows no such page nothing is learnt.
            Err(Trouble::Refused(no)) if no.status == 404 && no.code == "not_found" => Found::Absent,
            Err(trouble) => return Err(after_sending(&trouble, Before::Clear)),
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
    pub server: Arc<Server>,
    pub id: String,
    pub limit: Duration,
}

impl Probe {
    /// Changes a document that nobody has, from a revision that nobody had: that is a conflict wherever writes are taken.
    async fn visit(&self) -> Outcome {
        let mut link = match self.server.connect().await {
            Ok(link) => link,
            Err(trouble) => return before_sending(&trouble),
        };
        let path = self.server.path(&in_path(&self.id));
        writable(&link.call(Method::PUT, &path, Some(&json!({"_rev": NO_REVISION}))).await)
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
