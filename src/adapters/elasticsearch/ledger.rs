//! Writes ledger records: one connection per writer, one document per record and attempt. Writers begin at different nodes,
//! stay where they are, and go on to the next one when they must.

use super::SearchPlace;
use super::classify::{after_sending, before_sending, created};
use super::rest::{Cluster, Link, Trouble};
use super::store::{Index, is_absent, payload as bytes_of};
use crate::adapters::connection::Failure;
use crate::adapters::writes::{Reads, Writes};
use crate::adapters::{Act, Client, ClientSettings, Done, Fut, Operation, base64};
use crate::clock::Clock;
use crate::model::{ClientBehaviour, Found, Key, Mono, Outcome};
use crate::workloads::payload;
use hyper::Method;
use serde_json::json;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::timeout;

/// Connections that reads keep; more reads than that at once open their own.
const KEPT_READERS: usize = 8;
/// So many attempts at a record are looked for.
const MOST_ATTEMPTS: u32 = 20;

/// The client of a ledger.
pub(super) struct Ledger {
    clock: Clock,
    cluster: Arc<Cluster>,
    index: Index,
    settings: ClientSettings,
    /// One answer may take so long.
    patience: Duration,
    active_shards: Option<u32>,
    writers: Vec<tokio::sync::Mutex<Writer>>,
    readers: Mutex<Vec<Link>>,
}

/// A writer's connection, and the node that it goes to next.
#[derive(Default)]
pub(super) struct Writer {
    link: Option<Link>,
    next: usize,
}

impl Ledger {
    pub fn new(
        clock: Clock,
        cluster: Arc<Cluster>,
        index: Index,
        settings: &ClientSettings,
        place: &SearchPlace,
    ) -> Self {
        let writer = |number: u16| Writer { link: None, next: usize::from(number) };
        Self {
            clock,
            cluster,
            index,
            patience: place.server.response_timeout.unwrap_or(settings.timeout),
            active_shards: place.active_shards,
            settings: settings.clone(),
            writers: (0..settings.writers).map(|number| tokio::sync::Mutex::new(writer(number))).collect(),
            readers: Mutex::default(),
        }
    }

    fn size(&self) -> usize {
        usize::try_from(self.settings.payload).unwrap_or(usize::MAX)
    }

    /// One attempt, with a new connection if the writer has none that is alive. One whose answer did not come is dropped,
    /// and the next node is gone to. `sent` is when the first one was sent.
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
        let name = Index::record(key, number);
        let bytes = payload::payload(&self.settings.run, key, self.size());
        let body = json!({"name": name, "payload": base64::encoded(&bytes)});
        let now = self.clock.mono();
        sent.get_or_insert(now);
        let limit = end.since(now).min(self.patience);
        let path = self.path(&name, limit);
        match timeout(limit, link.call(Method::PUT, &path, Some(&body))).await {
            Ok(Ok(answer)) => {
                writer.next = link.number;
                writer.link = Some(link);
                created(&answer, u64::from(self.active_shards.unwrap_or(1)))
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

    /// The server is told how long the client waits, and gives up by itself then.
    fn path(&self, name: &str, limit: Duration) -> String {
        let wanted = self.active_shards.map(|copies| format!("&wait_for_active_shards={copies}")).unwrap_or_default();
        let (alias, millis) = (&self.index.alias, limit.as_millis().max(1));
        format!("/{alias}/_create/{name}?require_alias=true&timeout={millis}ms{wanted}")
    }

    /// The connection as it is if it lives, else a new one.
    async fn ready(&self, kept: Option<Link>, next: usize, limit: Duration) -> Result<Link, Trouble> {
        if let Some(mut kept) = kept
            && kept.is_usable().await
        {
            return Ok(kept);
        }
        let late = || Trouble::Failed(Failure::NotSent(format!("no node within {limit:?}")));
        timeout(limit, self.cluster.connect(next)).await.unwrap_or_else(|_| Err(late()))
    }

    /// By its name, which sees what no search sees yet; of a client that tries again, whichever attempt is there.
    async fn look_up(&self, key: Key) -> Result<Found, Outcome> {
        let attempts = match &self.settings.behaviour {
            ClientBehaviour::Retrying(policy) => policy.attempts.min(MOST_ATTEMPTS),
            ClientBehaviour::Fresh | ClientBehaviour::Pooled => 1,
        };
        let kept = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let next = usize::from(key.writer);
        let mut link = self.ready(kept, next, self.settings.timeout).await.map_err(|t| before_sending(&t))?;
        let mut found = Found::Absent;
        for attempt in 1..=attempts {
            let path = format!("/{}/_doc/{}", self.index.name, Index::record(key, attempt));
            match link.call(Method::GET, &path, None).await {
                Ok(answer) => {
                    found = payload::check(&self.settings.run, key, self.size(), &bytes_of(&answer["_source"]));
                    break;
                }
                Err(trouble) if is_absent(&trouble).is_some() => {}
                Err(trouble) => return Err(after_sending(&trouble)),
            }
        }
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
        Box::pin(self.look_up(key))
    }
}

/// The availability probe that a ledger brings along.
pub(super) struct Probe {
    pub clock: Clock,
    pub cluster: Cluster,
    pub index: Index,
    pub limit: Duration,
}

impl Probe {
    /// Deletes a document that nobody has: nothing is changed, and the primary has to take it as every write.
    async fn visit(&self, first: usize) -> Outcome {
        let mut link = match self.cluster.connect(first).await {
            Ok(link) => link,
            Err(trouble) => return before_sending(&trouble),
        };
        let millis = self.limit.as_millis().max(1);
        let path = format!("/{}/_doc/nobody?timeout={millis}ms", self.index.name);
        match link.call(Method::DELETE, &path, None).await {
            Err(trouble) if is_absent(&trouble).is_some() => Outcome::Ok,
            Ok(_) => Outcome::Unknown,
            Err(trouble) => after_sending(&trouble),
        }
    }
}

impl Client for Probe {
    fn operate(&self, operation: Operation) -> Fut<'_, Done> {
        Box::pin(async move {
            // Each visit goes to another node first, as clients are spread over them.
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
