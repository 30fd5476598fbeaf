//! Writes ledger records: one connection per writer, one message per record, with a confirm. Writers begin at different nodes,
//! stay where they are, and go on to the next one when they must. And the probe that a ledger brings along.

use super::classify::{after_sending, before_sending, told};
use super::connection::{Connection, Trouble};
use super::frame::Properties;
use super::nodes::Nodes;
use super::queues::Queues;
use crate::adapters::writes::Writes;
use crate::adapters::{Act, Client, ClientSettings, Done, Fut, Operation};
use crate::clock::Clock;
use crate::model::{Key, Mono, Outcome};
use crate::workloads::payload;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::timeout;

/// Saying good-bye may take so long.
const PART: Duration = Duration::from_millis(200);

/// The client of a ledger.
pub(super) struct Ledger {
    clock: Clock,
    nodes: Arc<Nodes>,
    queues: Queues,
    queue: String,
    settings: ClientSettings,
    /// One answer may take so long.
    patience: Duration,
    writers: Vec<Mutex<Writer>>,
}

/// A writer's connection, and the node that it goes to next.
#[derive(Default)]
pub(super) struct Writer {
    connection: Option<Connection>,
    next: usize,
}

impl Ledger {
    pub fn new(
        clock: Clock,
        nodes: Arc<Nodes>,
        queues: Queues,
        settings: &ClientSettings,
        patience: Option<Duration>,
    ) -> Self {
        let writer = |number: u16| Writer { connection: None, next: usize::from(number) };
        Self {
            clock,
            nodes,
            queue: queues.own(),
            queues,
            patience: patience.unwrap_or(settings.timeout),
            settings: settings.clone(),
            writers: (0..settings.writers).map(|number| Mutex::new(writer(number))).collect(),
        }
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
        let mut connection = match self.ready(writer, limit).await {
            Ok(connection) => connection,
            Err(trouble) => return before_sending(&trouble),
        };
        if connection.blocked {
            // The broker has said that it takes nothing: nothing is sent, and it is looked again with the next record.
            writer.connection = Some(connection);
            return Outcome::Fail;
        }
        let (properties, body) = self.message(key, number);
        let now = self.clock.mono();
        sent.get_or_insert(now);
        let limit = end.since(now).min(self.patience);
        let outcome = match timeout(limit, connection.publish(&self.queue, &properties, &body)).await {
            Ok(Ok(answer)) => {
                let outcome = told(answer);
                // A channel that was opened while a queue had no leader may be refused for as long as it lives.
                writer.connection = (outcome != Outcome::Unknown).then_some(connection);
                outcome
            }
            // The connection goes with it: no late answer can be mistaken for another's.
            Err(_) => Outcome::Unknown,
            Ok(Err(trouble)) => after_sending(&trouble),
        };
        writer.next += usize::from(outcome == Outcome::Unknown);
        outcome
    }

    fn message(&self, key: Key, number: u32) -> (Properties, Vec<u8>) {
        let size = usize::try_from(self.settings.payload).unwrap_or(usize::MAX);
        let app = self.settings.run.as_str().to_owned();
        let properties = Properties { delivery: self.queues.delivery(), id: Queues::record(key, number), app };
        (properties, payload::payload(&self.settings.run, key, size))
    }

    /// The connection as it is if it lives, else a new one.
    async fn ready(&self, writer: &mut Writer, limit: Duration) -> Result<Connection, Trouble> {
        if let Some(mut kept) = writer.connection.take()
            && kept.is_usable()
        {
            return Ok(kept);
        }
        let late = || Trouble::NotSent(format!("no node within {limit:?}"));
        let (connection, node) =
            timeout(limit, self.nodes.connect(writer.next)).await.unwrap_or_else(|_| Err(late()))?;
        writer.next = node;
        Ok(connection)
    }
}

impl Writes for Ledger {
    type Kept = Writer;

    fn settings(&self) -> (&Clock, &ClientSettings) {
        (&self.clock, &self.settings)
    }

    fn slot(&self, writer: u16) -> Option<&Mutex<Self::Kept>> {
        self.writers.get(usize::from(writer))
    }

    fn hang_up(kept: &mut Self::Kept) {
        kept.connection = None;
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

impl Client for Ledger {
    fn operate(&self, operation: Operation) -> Fut<'_, Done> {
        Box::pin(async move {
            match operation.act {
                Act::Write(key) => self.write(key).await,
                // A queue cannot be asked for one record (the plan has said so), and a ledger is not visited.
                Act::Read(_) | Act::Visit(_) => {
                    let now = self.clock.mono();
                    Done { sent: now, done: now, outcome: Outcome::Unsent, found: None }
                }
            }
        })
    }
}

/// The availability probe that a ledger brings along.
pub(super) struct Probe {
    pub clock: Clock,
    pub nodes: Nodes,
    pub queues: Queues,
    pub limit: Duration,
}

impl Probe {
    /// Publishes to a queue of the same kind that keeps its last message only, and waits for the confirm.
    async fn visit(&self, first: usize) -> (Outcome, Option<Connection>) {
        let mut connection = match self.nodes.connect(first).await {
            Ok((connection, _)) => connection,
            Err(trouble) => return (before_sending(&trouble), None),
        };
        let queue = Queues::probe_of(&self.queues.own());
        let delivery = self.queues.delivery();
        let properties = Properties { delivery, id: "probe".to_owned(), app: self.queues.run.clone() };
        match connection.publish(&queue, &properties, b"probe").await {
            Ok(answer) => (told(answer), Some(connection)),
            Err(trouble) => (after_sending(&trouble), None),
        }
    }
}

impl Client for Probe {
    fn operate(&self, operation: Operation) -> Fut<'_, Done> {
        Box::pin(async move {
            // Each visit goes to another node first, as clients are spread over them.
            let first = (operation.act.number() % 1_024) as usize;
            let sent = self.clock.mono();
            let (outcome, connection) =
                timeout(self.limit, self.visit(first)).await.unwrap_or((Outcome::Unknown, None));
            let done = self.clock.mono();
            if let Some(connection) = connection {
                connection.part(PART).await;
            }
            Done { sent, done, outcome, found: None }
        })
    }
}
