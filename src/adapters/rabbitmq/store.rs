//! The ledger's queues: preparing, and reading everything back. Reading takes every message, acknowledges none, and gives all of
//! them back: whoever reads, and whenever it ends, the messages stay where they are.

use super::connection::{Connection, Message, Told, Trouble};
use super::frame::{Args, Method, Properties, name};
use super::nodes::Nodes;
use super::queues::{Queues, Version, passive};
use crate::adapters::{AdapterError, Fut, LedgerStore, Row};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// One step of preparing or reading may take this long; a read-back of any size goes on as long as messages come.
const STALL: Duration = Duration::from_secs(30);
/// Earlier runs that one `prepare` removes.
const RUNS: usize = 1_000;
/// Times that a read looks whether there is more, while others go on writing.
const ROUNDS: usize = 100;
/// Between two looks whether all messages are back.
const LOOK: Duration = Duration::from_millis(20);
/// Messages that one consumer is handed without acknowledging any. A quorum queue gives a consumer without a limit 2,000, and
/// no limit can be more than 65,535: when one has all that it may have, the next one goes on.
const CREDIT: u16 = 500;

/// See the module.
pub(super) struct Store {
    nodes: Arc<Nodes>,
    queues: Queues,
}

impl Store {
    pub fn new(nodes: Arc<Nodes>, queues: Queues) -> Self {
        Self { nodes, queues }
    }

    /// What a step comes to, in time or as an error that names it.
    async fn within<T>(&self, doing: &str, step: impl Future<Output = Result<T, Trouble>>) -> Result<T, AdapterError> {
        let what = format!("{doing} the ledger `{}`", self.queues.own());
        match timeout(STALL, step).await {
            Err(_) => {
                let label = &self.nodes.place.label;
                Err(AdapterError::TimedOut(format!("{label}: {what}: no answer for {STALL:?}")))
            }
            Ok(answer) => answer.map_err(|trouble| self.nodes.about(&what, trouble, Some(&self.queues))),
        }
    }

    async fn connect(&self) -> Result<Connection, AdapterError> {
        self.within("reaching a node for", self.nodes.connect(0)).await.map(|(connection, _)| connection)
    }

    /// What it is, if it is a RabbitMQ that has quorum queues; other brokers speak for themselves.
    fn version(&self, connection: &Connection) -> Result<Option<Version>, AdapterError> {
        let said = |name: &str| connection.about.get(name).map_or("", String::as_str);
        let version = Version::parse(said("version")).filter(|_| said("product") == "RabbitMQ");
        if version.is_some_and(|version| version < Version::QUORUM) {
            let (label, version) = (&self.nodes.place.label, said("version"));
            let text =
                format!("{label}: this is RabbitMQ {version}: quorum queues, and this ledger, need 3.8 or later");
            return Err(AdapterError::Other(text));
        }
        Ok(version)
    }

    async fn make(&self) -> Result<(), AdapterError> {
        let mut connection = self.connect().await?;
        let version = self.version(&connection)?;
        self.within("listing what is left before", connection.call(self.queues.declare_runs(), name::DECLARE_OK))
            .await?;
        self.clear(&mut connection).await?;
        for declare in [self.queues.declare_own(version), self.queues.declare_probe(version)] {
            self.within("making", connection.call(declare, name::DECLARE_OK)).await?;
        }
        connection.part(LOOK).await;
        Ok(())
    }

    /// Removes what earlier runs left, and notes this one among them before it leaves anything.
    async fn clear(&self, connection: &mut Connection) -> Result<(), AdapterError> {
        let (mut noted, mut kept) = (false, Vec::new());
        for _ in 0..RUNS {
            let entry = self.within("looking what was before", connection.get(&self.queues.runs())).await?;
            let Some(Message { tag, body, .. }) = entry else { break };
            let run = String::from_utf8_lossy(&body).into_owned();
            if run == self.queues.run || !Queues::names_run(&run) {
                noted |= run == self.queues.run;
                kept.push(tag);
                continue;
            }
            let queue = self.queues.of(&run);
            for queue in [Queues::probe_of(&queue), queue] {
                let delete = Method::new(name::DELETE).u16(0).short(&queue).u8(0);
                self.within("clearing what was before", connection.call(delete, name::DELETE_OK)).await?;
            }
            let ack = Method::new(name::ACK).u64(tag).u8(0);
            self.within("clearing what was before", connection.say(ack)).await?;
        }
        for tag in kept {
            let back = Method::new(name::NACK).u64(tag).u8(0b10);
            self.within("looking what was before", connection.say(back)).await?;
        }
        if noted { Ok(()) } else { self.note(connection).await }
    }

    async fn note(&self, connection: &mut Connection) -> Result<(), AdapterError> {
        let run = &self.queues.run;
        let properties = Properties { delivery: 2, id: run.clone(), app: run.clone() };
        let (runs, body) = (self.queues.runs(), run.as_bytes());
        let told = self.within("noting", connection.publish(&runs, &properties, body)).await?;
        if told == Told::Acked {
            return Ok(());
        }
        let label = &self.nodes.place.label;
        Err(AdapterError::Refused(format!("{label}: the queue `{runs}` does not take the run's name ({told:?})")))
    }

    /// How many messages wait in the queue.
    async fn count(&self, connection: &mut Connection) -> Result<u64, AdapterError> {
        let ask = connection.call(passive(&self.queues.own()), name::DECLARE_OK);
        let answer = self.within("counting", ask).await?;
        let mut args = Args(&answer);
        Ok(args.short().and_then(|_| args.u32()).unwrap_or_default().into())
    }

    async fn read(&self, row: &mut (dyn FnMut(Row) + Send)) -> Result<(), AdapterError> {
        let mut connection = self.connect().await?;
        let mut wanted = self.count(&mut connection).await?;
        let credit = Method::new(name::QOS).u32(0).u16(CREDIT).u8(0);
        self.within("reading", connection.call(credit, name::QOS_OK)).await?;
        let mut rows = 0;
        for _ in 0..ROUNDS {
            while rows < wanted {
                if rows % u64::from(CREDIT) == 0 {
                    self.consume(&mut connection, rows / u64::from(CREDIT)).await?;
                }
                let what = format!("reading ({rows} of {wanted} records came)");
                row(self.row(self.within(&what, connection.delivery()).await?));
                rows += 1;
            }
            let more = self.count(&mut connection).await? + connection.waiting() as u64;
            if more == 0 {
                break;
            }
            wanted = rows + more;
        }
        self.give_back(&mut connection, rows).await?;
        connection.part(LOOK).await;
        Ok(())
    }

    /// One more consumer, which acknowledges, and keeps nobody else out.
    async fn consume(&self, connection: &mut Connection, number: u64) -> Result<(), AdapterError> {
        let queue = self.queues.own();
        let consume = Method::new(name::CONSUME).u16(0).short(&queue).short(&consumer(number)).u8(0).table(&[]);
        self.within("reading", connection.call(consume, name::CONSUME_OK)).await.map(|_| ())
    }

    /// Returns all messages, consumer by consumer, so that they are in their order again, and waits until they are there: the
    /// next one who reads shall find them.
    async fn give_back(&self, connection: &mut Connection, rows: u64) -> Result<(), AdapterError> {
        let consumers = rows.div_ceil(CREDIT.into());
        for number in 0..consumers {
            let cancel = Method::new(name::CANCEL).short(&consumer(number)).u8(0);
            self.within("returning", connection.call(cancel, name::CANCEL_OK)).await?;
        }
        // Messages are numbered from 1 as they come; the last consumer may have got more than were looked at.
        for number in 1..=consumers {
            let last = if number == consumers { 0 } else { number * u64::from(CREDIT) };
            self.within("returning", connection.say(Method::new(name::NACK).u64(last).u8(0b11))).await?;
        }
        let label = &self.nodes.place.label;
        let back = async {
            loop {
                if self.count(connection).await? >= rows {
                    return Ok(());
                }
                sleep(LOOK).await;
            }
        };
        let late = Err(AdapterError::TimedOut(format!("{label}: returning {rows} records took more than {STALL:?}")));
        timeout(STALL, back).await.unwrap_or(late)
    }

    fn row(&self, message: Message) -> Row {
        let Message { properties, body: payload, .. } = message;
        let ours = properties.app == self.queues.run;
        match Queues::read(&properties.id).filter(|_| ours) {
            Some((key, attempt)) => Row { key: Ok(key), attempt, payload },
            None => Row { key: Err(format!("{} of {}", properties.id, properties.app)), attempt: 0, payload },
        }
    }
}

fn consumer(number: u64) -> String {
    format!("read-back-{number}")
}

impl LedgerStore for Store {
    fn prepare(&self) -> Fut<'_, Result<(), AdapterError>> {
        Box::pin(self.make())
    }

    fn read_back<'a>(&'a self, row: &'a mut (dyn FnMut(Row) + Send)) -> Fut<'a, Result<(), AdapterError>> {
        Box::pin(self.read(row))
    }
}
