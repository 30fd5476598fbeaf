//! The client of the embedded staging's ledger protocol (described in `staging`): one connection per writer, reads on
//! kept connections besides, and the dump for the read-back. What its findings mean is not decided here.

mod keys;
mod read_back;

pub(super) use keys::keys;

use super::connection::{Connection, Failure, Message, Reply, Site};
use super::snapshot::Snapshot;
use super::tally::{Frontier, Tally};
use super::visit::{Pool, retry};
use super::{Act, AdapterError, Client, ClientSettings, Done, Fut, LedgerStore, Line, Opened, Operation, Row};
use crate::clock::Clock;
use crate::model::{ClientBehaviour, Found, Key, Outcome};
use crate::workloads::payload;
use hyper::body::Bytes;
use hyper::header::{HeaderMap, HeaderValue};
use hyper::{Method, Uri};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

mod tally;

const OUTCOME: &str = "x-blackstart-outcome";
const DURABILITY: &str = "x-blackstart-durability";
const ATTEMPT: &str = "x-blackstart-attempt";
const IDLE_READS: usize = 64;
/// A payload is at most 64 KiB, and a line of the dump names it in hex.
const LINE: usize = 256 * 1024;
/// The whole dump may take so long.
const DUMP: Duration = Duration::from_secs(600);

/// A ledger in the embedded staging.
struct Kv {
    clock: Clock,
    site: Site,
    /// `/ledger/RUN`, with what the URL had before.
    path: String,
    /// Whose rows a read-back asks for: the service's, or a node's own copy.
    whose: &'static str,
    settings: ClientSettings,
    writers: Vec<Mutex<Option<Connection>>>,
    reads: Pool,
}

/// Checks the URL; connects nowhere.
///
/// # Errors
/// When the URL is not valid.
pub(super) fn open(clock: &Clock, url: &str, settings: &ClientSettings) -> Result<Opened, AdapterError> {
    let kv = Arc::new(Kv::new(clock, url, settings, "")?);
    Ok(Opened { client: Arc::<Kv>::clone(&kv), store: Some(kv) })
}

/// A node's own copy, whatever its role.
///
/// # Errors
/// As [`open`].
pub(super) fn open_copy(
    clock: &Clock,
    url: &str,
    settings: &ClientSettings,
) -> Result<Arc<dyn LedgerStore>, AdapterError> {
    Ok(Arc::new(Kv::new(clock, url, settings, "?any=1")?))
}

impl Kv {
    fn new(clock: &Clock, url: &str, settings: &ClientSettings, whose: &'static str) -> Result<Self, AdapterError> {
        let uri: Uri = url.parse().map_err(|_| AdapterError::Other("the URL of a ledger is not valid".to_owned()))?;
        Ok(Self {
            clock: clock.clone(),
            site: Site::of(&uri, &Line::default())?,
            path: format!("{}/ledger/{}", uri.path().trim_end_matches('/'), settings.run),
            whose,
            settings: settings.clone(),
            writers: (0..settings.writers).map(|_| Mutex::new(None)).collect(),
            reads: Pool::new(IDLE_READS),
        })
    }

    fn record(&self, key: Key) -> String {
        format!("{}/{}/{}", self.path, key.writer, key.seq)
    }

    /// Takes the writer's kept connection. Nobody else has it: a writer has one write in flight.
    async fn connection(&self, writer: u16, limit: Duration) -> Result<Connection, Failure> {
        let kept = self.slot(writer).and_then(|slot| slot.lock().unwrap_or_else(PoisonError::into_inner).take());
        if let Some(mut kept) = kept.filter(|_| self.settings.behaviour != ClientBehaviour::Fresh)
            && kept.is_usable().await
        {
            return Ok(kept);
        }
        Connection::open(&self.site, limit).await
    }

    fn slot(&self, writer: u16) -> Option<&Mutex<Option<Connection>>> {
        self.writers.get(usize::from(writer))
    }

    async fn put(&self, key: Key, attempt: u32, limit: Duration) -> Outcome {
        let size = usize::try_from(self.settings.payload).unwrap_or(usize::MAX);
        let body = Bytes::from(payload::payload(&self.settings.run, key, size));
        let message = Message {
            method: Method::PUT,
            headers: HeaderMap::from_iter([(
                hyper::header::HeaderName::from_static(ATTEMPT),
                HeaderValue::from(attempt),
            )]),
            body,
        };
        let exchange = async {
            let mut connection = self.connection(key.writer, limit).await?;
            let reply = connection.exchange(&self.record(key), message).await?;
            if let Some(slot) = self.slot(key.writer) {
                *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(connection);
            }
            Ok(reply)
        };
        match tokio::time::timeout(limit, exchange).await {
            Ok(Ok(reply)) => written(&reply),
            Ok(Err(failure)) => unanswered(&failure),
            // The connection was dropped with the exchange: no late answer can be mistaken for another's.
            Err(_) => Outcome::Unknown,
        }
    }

    async fn write(&self, key: Key) -> Outcome {
        match &self.settings.behaviour {
            ClientBehaviour::Fresh | ClientBehaviour::Pooled => self.put(key, 1, self.settings.timeout).await,
            ClientBehaviour::Retrying(policy) => {
                let until = self.clock.mono().after(self.settings.timeout);
                retry(&self.clock, policy, until, |attempt, limit| Box::pin(self.put(key, attempt, limit))).await
            }
        }
    }

    async fn read(&self, key: Key) -> (Outcome, Option<Found>) {
        let exchange = async {
            let mut connection = self.reads.take(&self.site, self.settings.timeout).await?;
            let reply = connection.exchange(&self.record(key), get()).await?;
            self.reads.give(connection);
            Ok(reply)
        };
        let reply = match tokio::time::timeout(self.settings.timeout, exchange).await {
            Err(_) => return (Outcome::Unknown, None),
            Ok(Err(failure)) => return (unanswered(&failure), None),
            Ok(Ok(reply)) => reply,
        };
        let size = usize::try_from(self.settings.payload).unwrap_or(usize::MAX);
        match reply.status {
            200 => (Outcome::Ok, Some(payload::check(&self.settings.run, key, size, &reply.body))),
            404 => (Outcome::Ok, Some(Found::Absent)),
            _ => (refused(&reply), None),
        }
    }
}

fn get() -> Message {
    Message { method: Method::GET, headers: HeaderMap::new(), body: Bytes::new() }
}

fn written(reply: &Reply) -> Outcome {
    match (reply.status, reply.header(DURABILITY)) {
        (200, Some("local")) => Outcome::OkLocal,
        (200, _) => Outcome::Ok,
        _ => refused(reply),
    }
}

fn refused(reply: &Reply) -> Outcome {
    if reply.header(OUTCOME) == Some("fail") { Outcome::Fail } else { Outcome::Unknown }
}

fn unanswered(failure: &Failure) -> Outcome {
    match failure {
        Failure::NotSent(_) => Outcome::Fail,
        Failure::Resources(_) => Outcome::Unsent,
        Failure::Undecided(_) => Outcome::Unknown,
    }
}

impl Client for Kv {
    fn operate(&self, operation: Operation) -> Fut<'_, Done> {
        Box::pin(async move {
            let sent = self.clock.mono();
            let (outcome, found) = match operation.act {
                Act::Write(key) => (self.write(key).await, None),
                Act::Read(key) => self.read(key).await,
                // A ledger is not visited; the probe it brings along has a client of its own.
                Act::Visit(_) => (Outcome::Unsent, None),
            };
            Done { sent, done: self.clock.mono(), outcome, found }
        })
    }
}

impl LedgerStore for Kv {
    fn tally<'a>(&'a self, upto: Option<&'a Frontier>) -> Fut<'a, Result<BTreeMap<u16, Tally>, AdapterError>> {
        Box::pin(self.counts(upto))
    }

    fn prepare(&self) -> Fut<'_, Result<(), AdapterError>> {
        // A run's name is enough; nothing has to be created.
        Box::pin(async { Ok(()) })
    }

    fn read_back<'a>(&'a self, row: &'a mut (dyn FnMut(Row) + Send)) -> Fut<'a, Result<(), AdapterError>> {
        Box::pin(async move {
            let (mut rows, mut said) = (0, None);
            let status = self
                .lines(&format!("{}{}", self.path, self.whose), get(), &mut |line| match line.strip_prefix("end ") {
                    Some(count) => said = count.parse().ok(),
                    None => {
                        rows += 1;
                        row(read_back::row(line));
                    }
                })
                .await?;
            read_back::ended(status, rows, said)
        })
    }

    fn snapshot(&self) -> Fut<'_, Result<Option<Box<dyn Snapshot + '_>>, AdapterError>> {
        Box::pin(async {
            if !self.whose.is_empty() {
                // A standby's own copy is read whole.
                return Ok(None);
            }
            let moment = read_back::Moment::of(self).await?;
            Ok(moment.map(|moment| Box::new(moment) as Box<dyn Snapshot + '_>))
        })
    }
}

impl Kv {
    /// Sends a request on a connection of its own and hands over its answer line by line; returns the status.
    async fn lines(
        &self,
        path: &str,
        message: Message,
        line: &mut (dyn FnMut(&str) + Send),
    ) -> Result<u16, AdapterError> {
        let (connect, limit) = (self.settings.timeout, DUMP);
        lines(&Asked { site: &self.site, what: "read back the ledger", connect, limit }, path, message, line).await
    }
}

/// Who is asked, for what, and how long it may take.
struct Asked<'a> {
    site: &'a Site,
    what: &'a str,
    connect: Duration,
    limit: Duration,
}

/// Sends a request on a connection of its own and hands over its answer line by line; returns the status.
async fn lines(
    asked: &Asked<'_>,
    path: &str,
    message: Message,
    line: &mut (dyn FnMut(&str) + Send),
) -> Result<u16, AdapterError> {
    let what = asked.what;
    let mut lines = Lines { line, rest: Vec::new() };
    let exchange = async {
        let mut connection = Connection::open(asked.site, asked.connect).await?;
        connection.stream(path, message, &mut |piece| lines.piece(piece)).await
    };
    let status = match tokio::time::timeout(asked.limit, exchange).await {
        Err(_) => return Err(AdapterError::TimedOut(format!("{what}: it takes too long"))),
        Ok(Err(Failure::NotSent(why))) => return Err(AdapterError::Unreachable(format!("{what}: {why}"))),
        Ok(Err(Failure::Resources(why) | Failure::Undecided(why))) => {
            return Err(AdapterError::Other(format!("{what}: {why}")));
        }
        Ok(Ok(status)) => status,
    };
    if lines.rest.is_empty() {
        Ok(status)
    } else {
        Err(AdapterError::Other(format!("{what}: cut off in the middle of a line")))
    }
}

/// Cuts pieces into lines.
struct Lines<'a> {
    line: &'a mut (dyn FnMut(&str) + Send),
    rest: Vec<u8>,
}

impl Lines<'_> {
    fn piece(&mut self, piece: &[u8]) -> Result<(), Failure> {
        self.rest.extend_from_slice(piece);
        let mut from = 0;
        while let Some(length) = self.rest[from..].iter().position(|byte| *byte == b'\n') {
            (self.line)(&String::from_utf8_lossy(&self.rest[from..from + length]));
            from += length + 1;
        }
        self.rest.drain(..from);
        if self.rest.len() > LINE { Err(Failure::Undecided("an endless line".to_owned())) } else { Ok(()) }
    }
}
