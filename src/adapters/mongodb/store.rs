//! The ledger's collection: preparing it, and reading it back in the order of identifiers.

use super::bson::{Element, Fields, Value};
use super::classify::{DUPLICATE_KEY, Refusal, answer};
use super::connection::{Connection, Trouble};
use super::cursor::{Cursor, Reading, counted, counting};
use super::discover::Guide;
use super::place::{Acknowledged, Concern};
use super::records::{Records, acknowledged};
use crate::adapters::{AdapterError, ClientSettings, Fut, LedgerStore, Row};
use crate::clock::Clock;
use crate::model::Outcome;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// One step of preparing or reading may take this long; a read-back of any size goes on as long as pages come.
const STALL: Duration = Duration::from_secs(30);
/// Between two looks at whether a majority has what the primary has.
const PAUSE: Duration = Duration::from_millis(20);
/// Bytes of payload in one batch.
const PAGE: u64 = 1 << 20;
/// Earlier runs that one `prepare` removes.
const RUNS: i32 = 1_000;
/// There is such a collection.
const NAMESPACE_EXISTS: i64 = 48;
/// There is no such collection, which servers before 7.0 refuse to remove.
const NAMESPACE_NOT_FOUND: i64 = 26;

/// Whose data is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// The set's: what a majority has.
    Set,
    /// What one member has, by itself.
    Member,
}

/// See the module.
pub(super) struct Store {
    clock: Clock,
    guide: Arc<Guide>,
    records: Records,
    page: i32,
    whose: Whose,
}

impl Store {
    pub fn new(clock: &Clock, guide: Arc<Guide>, records: Records, settings: &ClientSettings, whose: Whose) -> Self {
        let page = (PAGE / settings.payload.max(64)).clamp(4, 2_000);
        Self { clock: clock.clone(), guide, records, page: i32::try_from(page).unwrap_or(4), whose }
    }

    /// What a step comes to, in time or as an error that names it.
    async fn within<T>(&self, doing: &str, step: impl Future<Output = Result<T, Trouble>>) -> Result<T, AdapterError> {
        let place = &self.guide.place;
        let label = format!("{}: {doing} the ledger `{}.{}`", place.label, place.database, self.records.runs);
        match timeout(STALL, step).await {
            Err(_) => Err(AdapterError::TimedOut(format!("{label}: no answer for {STALL:?}"))),
            Ok(answer) => answer.map_err(|trouble| {
                let role = format!("{{role: \"readWrite\", db: \"{}\"}}", place.database);
                trouble.about(&label, place, &role)
            }),
        }
    }

    async fn make(&self) -> Result<(), AdapterError> {
        let mut connection = self.within("reaching the primary for", self.guide.open()).await?;
        self.enough(&connection)?;
        // Nothing is written where there is nobody, and yet it shows whether it could be.
        let trial = self.records.remove_nobody(&Concern::default());
        self.within("trying to write to", self.done(&mut connection, trial)).await?;
        let runs = self.within("listing", self.runs(&mut connection)).await?;
        for other in runs.iter().filter(|other| **other != self.records.run) {
            let drop = Fields::new().add("drop", self.records.of(other).as_str());
            self.within("clearing", self.unless(&mut connection, drop, NAMESPACE_NOT_FOUND)).await?;
            let one = Fields::new().add("q", Fields::new().add("_id", other.as_str())).add("limit", 1_i32);
            let delete = Fields::new().add("delete", self.records.runs.as_str());
            let delete = delete.add("deletes", Value::Array(vec![one.into()]));
            self.within("clearing", self.done(&mut connection, delete)).await?;
        }
        let name = Fields::new().add("_id", self.records.run.as_str());
        let insert = Fields::new().add("insert", self.records.runs.as_str());
        let insert = acknowledged(insert.add("documents", Value::Array(vec![name.into()])), by_majority(&connection));
        self.within("making", self.unless(&mut connection, insert, DUPLICATE_KEY)).await?;
        let create = Fields::new().add("create", self.records.own().as_str());
        let create = acknowledged(create, by_majority(&connection));
        self.within("making", self.unless(&mut connection, create, NAMESPACE_EXISTS)).await
    }

    /// A write that more members must have than there are would never be acknowledged as asked.
    fn enough(&self, connection: &Connection) -> Result<(), AdapterError> {
        let there = connection.hello.hosts.len().max(1);
        match &self.guide.place.concern.w {
            Some(Acknowledged::Members(asked)) if usize::try_from(*asked).is_ok_and(|asked| asked > there) => {
                let label = &self.guide.place.label;
                let words = format!("{label}: w={asked} asks for {asked} members, and {there} hold data here");
                Err(AdapterError::Refused(words))
            }
            _ => Ok(()),
        }
    }

    /// A write before those that count.
    async fn done(&self, connection: &mut Connection, fields: Fields) -> Result<(), Trouble> {
        self.unless(connection, fields, 0).await
    }

    /// The same, if it is not refused with this number: then it was done before.
    async fn unless(&self, connection: &mut Connection, fields: Fields, known: i64) -> Result<(), Trouble> {
        let reply = connection.ask(&self.guide.place.database, fields).await?;
        match answer(reply.doc(), None) {
            (Outcome::Ok, _) => Ok(()),
            (_, Some(code)) if code == known && known != 0 => Ok(()),
            _ => {
                let doc = reply.doc();
                let inner = doc.items("writeErrors").next().and_then(Element::doc);
                Err(Trouble::Refused(Refusal::of(inner.or(doc.doc("writeConcernError")).unwrap_or(doc))))
            }
        }
    }

    /// The runs that have a collection.
    async fn runs(&self, connection: &mut Connection) -> Result<Vec<String>, Trouble> {
        let find = Fields::new().add("find", self.records.runs.as_str()).add("limit", RUNS).add("batchSize", RUNS);
        let reply = connection.must(&self.guide.place.database, find.add("singleBatch", true)).await?;
        let cursor = reply.doc().doc("cursor");
        let names = cursor.into_iter().flat_map(|cursor| cursor.items("firstBatch"));
        Ok(names.filter_map(|item| Some(item.doc()?.text("_id").to_owned())).filter(|id| !id.is_empty()).collect())
    }

    /// By one cursor on one connection: after a failover others may have other records. What was there at the beginning must
    /// have come when the end is reached.
    async fn read(&self, row: &mut (dyn FnMut(Row) + Send)) -> Result<(), AdapterError> {
        let mut connection = self.within("reaching the primary for", self.guide.open()).await?;
        let level = match self.whose {
            Whose::Set if connection.hello.set.is_some() => {
                self.settled(&mut connection).await?;
                "majority"
            }
            _ => "local",
        };
        let there = self.within("counting", self.count(&mut connection, level)).await?;
        let own = self.records.own();
        let mut cursor = Cursor::new(Reading {
            database: &self.guide.place.database,
            collection: &own,
            level,
            batch: self.page,
            anybody: self.anybody(),
        });
        let mut rows = 0;
        loop {
            let batch = cursor.batch(&mut connection, |record| row(Records::read(record).row()));
            let Some(came) = self.within("reading", batch).await? else { break };
            rows += came;
        }
        if rows >= there {
            return Ok(());
        }
        let label = &self.guide.place.label;
        Err(AdapterError::Other(format!("{label}: reading the ledger: {rows} records of {there} came")))
    }

    /// Waits until a majority has what the primary has now: what it acknowledged by itself alone must not look lost only
    /// because it has not gone round yet.
    async fn settled(&self, connection: &mut Connection) -> Result<(), AdapterError> {
        let Some(last) = connection.hello.last else { return Ok(()) };
        let end = self.clock.mono().after(STALL);
        while connection.hello.majority.is_some_and(|majority| majority < last) {
            if self.clock.mono() > end {
                let label = &self.guide.place.label;
                let words =
                    format!("{label}: reading the ledger: no majority has what the primary has after {STALL:?}");
                return Err(AdapterError::TimedOut(words));
            }
            self.clock.sleep_until(self.clock.mono().after(PAUSE)).await;
            self.within("reading", connection.greet()).await?;
        }
        Ok(())
    }

    async fn count(&self, connection: &mut Connection, level: &str) -> Result<u64, Trouble> {
        let count = counting(&self.records.own(), level);
        let count = match self.anybody() {
            Some(preference) => count.add("$readPreference", preference),
            None => count,
        };
        let reply = connection.must(&self.guide.place.database, count).await?;
        Ok(counted(reply.doc()))
    }

    /// A member that is no primary answers only whoever says that it may.
    fn anybody(&self) -> Option<Fields> {
        (self.whose == Whose::Member).then(|| Fields::new().add("mode", "primaryPreferred"))
    }
}

/// What prepares a run must outlive a failover.
fn by_majority(connection: &Connection) -> Option<Fields> {
    let limit = i64::try_from(STALL.as_millis() / 2).unwrap_or(i64::MAX);
    connection.hello.set.as_ref().map(|_| Fields::new().add("w", "majority").add("wtimeout", limit))
}

impl LedgerStore for Store {
    fn prepare(&self) -> Fut<'_, Result<(), AdapterError>> {
        Box::pin(self.make())
    }

    fn read_back<'a>(&'a self, row: &'a mut (dyn FnMut(Row) + Send)) -> Fut<'a, Result<(), AdapterError>> {
        Box::pin(self.read(row))
    }
}
