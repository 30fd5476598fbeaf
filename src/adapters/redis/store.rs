//! The ledger's stream: preparing it, its entries, and reading it back.
//!
//! A run's records are one stream, so that the order in which the server carried them out shows, and a record that is there
//! twice is there twice. Keys: `PREFIX`, a set of the runs that have a stream, and `PREFIX:RUN`, the stream. Streams stay
//! after a run, so that anybody can count with `redis-cli`; the next run's `prepare` removes those that the set names.

use super::connection::{Connection, Trouble};
use super::discover::Guide;
use super::index::Id;
use super::resp::{Refusal, Value, command};
use crate::adapters::{AdapterError, ClientSettings, Fut, LedgerStore, Row};
use crate::model::Key;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// One step of preparing or reading may take this long; a read-back of any size goes on as long as pages come.
const STALL: Duration = Duration::from_secs(30);
/// Bytes of payload in one page: a server that serves a page serves nobody else meanwhile.
const PAGE: u64 = 256 * 1024;
/// Earlier runs that one `prepare` removes.
const RUNS: usize = 10_000;

/// The names of a run's keys.
#[derive(Debug, Clone)]
pub(super) struct Stream {
    runs: String,
    run: String,
    name: String,
}

/// An entry of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub id: Id,
    /// Its record, or the text that names none.
    pub key: Result<Key, String>,
    pub attempt: u32,
    pub payload: Vec<u8>,
}

impl Stream {
    pub fn new(prefix: &str, settings: &ClientSettings) -> Self {
        let run = settings.run.as_str().to_owned();
        Self { runs: prefix.to_owned(), name: format!("{prefix}:{run}"), run }
    }

    /// Appends the command that appends a record.
    pub fn append(&self, key: Key, attempt: u32, payload: &[u8], into: &mut Vec<u8>) {
        let (writer, seq, attempt) = (key.writer.to_string(), key.seq.to_string(), attempt.to_string());
        let fields: [&[u8]; 8] =
            [b"w", writer.as_bytes(), b"s", seq.as_bytes(), b"a", attempt.as_bytes(), b"p", payload];
        command(&[&[b"XADD", self.name.as_bytes(), b"*"][..], &fields].concat(), into);
    }

    /// At most `count` entries from one identifier to another, both included.
    pub async fn page(
        &self,
        connection: &mut Connection,
        from: Id,
        to: Option<Id>,
        count: usize,
    ) -> Result<Result<Vec<Entry>, Refusal>, Trouble> {
        let (from, count) = (from.to_string(), count.to_string());
        let to = to.map_or_else(|| "+".to_owned(), |to| to.to_string());
        let words: [&[u8]; 6] =
            [b"XRANGE", self.name.as_bytes(), from.as_bytes(), to.as_bytes(), b"COUNT", count.as_bytes()];
        match connection.ask(&words).await? {
            Value::Refused(refusal) => Ok(Err(refusal)),
            answer => {
                let entries = answer.items().iter().map(entry).collect::<Option<_>>();
                entries.map(Ok).ok_or_else(|| Trouble::Undecided("an entry of the stream cannot be read".to_owned()))
            }
        }
    }
}

/// An identifier, and a flat array of names and values.
fn entry(value: &Value) -> Option<Entry> {
    let [id, fields] = value.items() else { return None };
    let id = Id::parse(&id.text()?)?;
    let of = |name: &str| {
        let mut pairs = fields.items().chunks(2).filter(|pair| pair[0].text().as_deref() == Some(name));
        pairs.next().and_then(|pair| pair.get(1))
    };
    let number = |name: &str| of(name).and_then(Value::text).unwrap_or_default();
    let (writer, seq) = (number("w"), number("s"));
    let key = match (writer.parse(), seq.parse()) {
        (Ok(writer), Ok(seq)) => Ok(Key { writer, seq }),
        _ => Err(format!("entry {id}: writer `{writer}`, seq `{seq}`")),
    };
    let payload = match of("p") {
        Some(Value::Bulk(bytes)) => bytes.clone(),
        _ => Vec::new(),
    };
    Some(Entry { id, key, attempt: number("a").parse().unwrap_or_default(), payload })
}

/// A ledger's stream on a server.
pub(super) struct Store {
    pub guide: Arc<Guide>,
    pub stream: Stream,
    page: usize,
}

impl Store {
    pub fn new(guide: Arc<Guide>, stream: Stream, settings: &ClientSettings) -> Self {
        let page = (PAGE / settings.payload.max(64)).clamp(4, 1_000);
        Self { guide, stream, page: usize::try_from(page).unwrap_or(1) }
    }

    /// What a step comes to, in time or as an error that names it.
    async fn within<T>(&self, doing: &str, step: impl Future<Output = Result<T, Trouble>>) -> Result<T, AdapterError> {
        let label = format!("{}: {doing} the ledger `{}`", self.guide.place.label, self.stream.runs);
        match timeout(STALL, step).await {
            Err(_) => Err(AdapterError::TimedOut(format!("{label}: no answer for {STALL:?}"))),
            Ok(answer) => answer.map_err(|trouble| trouble.about(&label)),
        }
    }

    async fn make(&self) -> Result<(), AdapterError> {
        let Stream { runs, run, .. } = &self.stream;
        let mut connection = self.within("reaching the server of", self.guide.primary()).await?;
        let (runs, run) = (runs.as_bytes(), run.as_bytes());
        // Nothing is written where there is no stream, and yet it shows whether it could be. Redis 6.2 knows this first; an
        // older one says `ERR`, and whether it takes records shows when the first one is sent.
        let nobody = format!("{}:nobody", self.stream.runs);
        let trial = async {
            match connection.must(&[b"XADD", nobody.as_bytes(), b"NOMKSTREAM", b"*", b"w", b"0"]).await {
                Err(Trouble::Refused(refusal)) if refusal.code == "ERR" => Ok(()),
                other => other.map(|_| ()),
            }
        };
        self.within("trying to write to", trial).await?;
        self.old_enough(&mut connection).await?;
        let all = self.within("listing", connection.must(&[b"SMEMBERS", runs])).await?;
        for other in all.items().iter().take(RUNS).filter_map(Value::text).filter(|other| other.as_bytes() != run) {
            let key = format!("{}:{other}", self.stream.runs);
            self.within("clearing", connection.must(&[b"UNLINK", key.as_bytes()])).await?;
            self.within("clearing", connection.must(&[b"SREM", runs, other.as_bytes()])).await?;
        }
        self.within("making", connection.must(&[b"SADD", runs, run])).await?;
        Ok(())
    }

    /// Streams came with version 5; whoever does not say its version is taken at its word later.
    async fn old_enough(&self, connection: &mut Connection) -> Result<(), AdapterError> {
        let Ok(info) = connection.must(&[b"INFO", b"server"]).await else { return Ok(()) };
        let info = info.text().unwrap_or_default();
        let version = info.lines().find_map(|line| line.strip_prefix("redis_version:")).unwrap_or_default();
        let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
        if major.is_some_and(|major| major < 5) {
            let text = format!("{}: version {version} has no streams; 5.0 is the first", self.guide.place.label);
            return Err(AdapterError::Refused(text));
        }
        Ok(())
    }

    /// Page by page, in the stream's order, on one connection: another server would have another stream. What was there at
    /// the beginning must have come when the end is reached.
    async fn read(&self, row: &mut (dyn FnMut(Row) + Send)) -> Result<(), AdapterError> {
        let mut connection = self.within("reaching the server of", self.guide.primary()).await?;
        let there = self.length(&mut connection).await?;
        let (mut from, mut rows) = (Id(0, 0), 0_u64);
        loop {
            let page = self.stream.page(&mut connection, from, None, self.page);
            let page = async { page.await?.map_err(Trouble::Refused) };
            let page = self.within("reading", page).await?;
            let (Some(last), whole) = (page.last().map(|entry| entry.id), page.len() == self.page) else { break };
            rows += page.len() as u64;
            for Entry { key, attempt, payload, .. } in page {
                row(Row { key, attempt, payload });
            }
            if !whole {
                break;
            }
            from = Id(last.0, last.1 + 1);
        }
        if rows >= there {
            return Ok(());
        }
        let label = &self.guide.place.label;
        Err(AdapterError::Other(format!("{label}: reading the ledger: {rows} records of {there} came")))
    }

    async fn length(&self, connection: &mut Connection) -> Result<u64, AdapterError> {
        match self.within("counting", connection.must(&[b"XLEN", self.stream.name.as_bytes()])).await? {
            Value::Int(length) => Ok(length.max(0).unsigned_abs()),
            _ => Err(AdapterError::Other(format!("{}: XLEN is no number", self.guide.place.label))),
        }
    }
}

impl LedgerStore for Store {
    fn prepare(&self) -> Fut<'_, Result<(), AdapterError>> {
        Box::pin(self.make())
    }

    fn read_back<'a>(&'a self, row: &'a mut (dyn FnMut(Row) + Send)) -> Fut<'a, Result<(), AdapterError>> {
        Box::pin(self.read(row))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::Bulk(text.as_bytes().to_vec())
    }

    #[test]
    fn an_entry_that_names_no_record_is_not_hidden() {
        let of = |fields: &[&str]| {
            let fields = Value::Array(fields.iter().map(|field| text(field)).collect());
            entry(&Value::Array(vec![text("5-1"), fields])).unwrap()
        };
        let whole = of(&["w", "3", "s", "7", "a", "2", "p", "x"]);
        let key = Ok(Key { writer: 3, seq: 7 });
        assert_eq!(whole, Entry { id: Id(5, 1), key, attempt: 2, payload: b"x".to_vec() });
        let strange = of(&["w", "70000", "s", "7"]);
        assert_eq!(strange.key, Err("entry 5-1: writer `70000`, seq `7`".to_owned()));
        assert!(of(&["hello", "world", "odd"]).key.is_err());
        assert_eq!(entry(&Value::Nil), None);
    }
}
