//! Writes ledger records: one connection per writer, one object per record and attempt. A record counts as written when the
//! server has taken the object with its checksum.

use super::classify::{after_sending, before_sending};
use super::wire::{Trouble, Wire};
use crate::adapters::connection::{Connection, Failure};
use crate::adapters::record_keys::Keys;
use crate::adapters::writes::{Reads, Writes};
use crate::adapters::{Client, ClientSettings, Done, Fut, Operation};
use crate::clock::Clock;
use crate::model::{ClientBehaviour, Found, Key, Mono, Outcome};
use crate::workloads::payload;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::timeout;

/// Connections that reads keep; more reads than that at once open their own.
const KEPT_READERS: usize = 8;

/// The client of a ledger.
pub(super) struct Ledger {
    clock: Clock,
    wire: Arc<Wire>,
    keys: Keys,
    settings: ClientSettings,
    /// One answer may take so long.
    patience: Duration,
    writers: Vec<tokio::sync::Mutex<Option<Connection>>>,
    readers: Mutex<Vec<Connection>>,
}

impl Ledger {
    pub fn new(
        clock: Clock,
        wire: Arc<Wire>,
        keys: Keys,
        settings: &ClientSettings,
        patience: Option<Duration>,
    ) -> Self {
        Self {
            clock,
            wire,
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
    /// `sent` is when the first one was sent.
    async fn try_once(
        &self,
        kept: &mut Option<Connection>,
        key: Key,
        number: u32,
        limit: Duration,
        sent: &mut Option<Mono>,
    ) -> Outcome {
        let end = self.clock.mono().after(limit);
        let mut connection = match self.ready(kept.take(), limit).await {
            Ok(connection) => connection,
            Err(trouble) => return before_sending(&trouble),
        };
        let bytes = payload::payload(&self.settings.run, key, self.size());
        let name = self.keys.record(key, number);
        let now = self.clock.mono();
        sent.get_or_insert(now);
        let limit = end.since(now).min(self.patience);
        match timeout(limit, self.wire.put(&mut connection, &name, bytes)).await {
            Ok(Ok(())) => {
                *kept = Some(connection);
                Outcome::Ok
            }
            // The connection goes with it: no late answer can be mistaken for another's.
            Err(_) => Outcome::Unknown,
            Ok(Err(trouble)) => {
                let outcome = after_sending(&trouble);
                *kept = matches!(trouble, Trouble::Refused(_) if outcome == Outcome::Fail).then_some(connection);
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
        let late = || Trouble::Failed(Failure::NotSent(format!("no connection within {limit:?}")));
        timeout(limit, self.wire.connect()).await.unwrap_or_else(|_| Err(late()))
    }

    /// The first attempt's object, or what another attempt left, if there can be one.
    async fn look_up(&self, key: Key) -> Result<Found, Outcome> {
        let first = self.keys.record(key, 1);
        let mut bytes = self.fetch(&first).await?;
        if bytes.is_none() && matches!(self.settings.behaviour, ClientBehaviour::Retrying(_)) {
            let mut connection = self.reader().await?;
            let name = self.wire.first(&mut connection, &self.keys.attempts(key)).await;
            if let Some(name) = name.map_err(|trouble| after_sending(&trouble))? {
                bytes = self.fetch(&name).await?;
            }
        }
        Ok(bytes.map_or(Found::Absent, |bytes| payload::check(&self.settings.run, key, self.size(), &bytes)))
    }

    async fn fetch(&self, name: &str) -> Result<Option<Vec<u8>>, Outcome> {
        let mut connection = self.reader().await?;
        let bytes = self.wire.get(&mut connection, name).await.map_err(|trouble| after_sending(&trouble))?;
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.len() < KEPT_READERS {
            readers.push(connection);
        }
        Ok(bytes)
    }

    async fn reader(&self) -> Result<Connection, Outcome> {
        let kept = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        self.ready(kept, self.settings.timeout).await.map_err(|trouble| before_sending(&trouble))
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
        Box::pin(self.look_up(key))
    }
}

/// The availability probe that a ledger brings along.
pub(super) struct Probe {
    pub clock: Clock,
    pub wire: Wire,
    pub key: String,
    pub limit: Duration,
}

impl Probe {
    /// Writes the run's own mark again, an empty object: nothing that anybody has is changed, and it is stored as every
    /// object is. (To delete what nobody has leaves a mark of deletion in a bucket with versions.)
    async fn visit(&self) -> Outcome {
        let mut connection = match self.wire.connect().await {
            Ok(connection) => connection,
            Err(trouble) => return before_sending(&trouble),
        };
        match self.wire.put(&mut connection, &self.key, Vec::new()).await {
            Ok(()) => Outcome::Ok,
            Err(trouble) => after_sending(&trouble),
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
