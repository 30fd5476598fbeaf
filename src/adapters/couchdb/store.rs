//! The ledger's documents: preparing, counting, and reading them back in the order of their names. A document that has several
//! revisions which nobody has joined (a conflict) is there as often as it has of these.

use super::keys::{CANARY, Keys, contents, escaped, in_path};
use super::pages::{Pages, With};
use super::server::{Link, Server, Trouble};
use crate::adapters::tally::{Frontier, Tally};
use crate::adapters::{AdapterError, ClientSettings, Fut, LedgerStore, Row};
use hyper::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// One step of preparing or reading may take this long; a read-back of any size goes on as long as pages come.
const STALL: Duration = Duration::from_secs(30);
/// Bytes of payload in one page.
const PAGE: u64 = 256 * 1024;
/// Names in one page, when only these are asked for.
const NAMES: usize = 5_000;
/// Documents that are removed at a time.
const REMOVED: usize = 1_000;
/// So often in a row nothing that was listed could be removed.
const MOST_IDLE: u32 = 10;
/// Earlier runs that one `prepare` removes.
const RUNS: usize = 1_000;

/// See the module.
pub(super) struct Store {
    server: Arc<Server>,
    keys: Keys,
    page: usize,
}

impl Store {
    pub fn new(server: Arc<Server>, keys: Keys, settings: &ClientSettings) -> Self {
        let page = (PAGE / settings.payload.max(64)).clamp(4, 1_000);
        Self { server, keys, page: usize::try_from(page).unwrap_or(4) }
    }

    /// What a step comes to, in time or as an error that names it.
    async fn within<T>(&self, doing: &str, step: impl Future<Output = Result<T, Trouble>>) -> Result<T, AdapterError> {
        let what = format!("{doing} the ledger `{}`", self.keys.run());
        match timeout(STALL, step).await {
            Err(_) => Err(AdapterError::TimedOut(format!("{}: {what}: no answer for {STALL:?}", self.server.label))),
            Ok(answer) => answer.map_err(|trouble| self.server.about(&what, trouble)),
        }
    }

    fn documents(&self) -> String {
        self.server.path("_all_docs")
    }

    async fn make(&self) -> Result<(), AdapterError> {
        let mut link = self.within("reaching the server for", self.server.connect()).await?;
        let database = self.server.path("");
        let answer = self.within("looking at the database for", link.call(Method::GET, &database, None)).await?;
        if !answer.body["db_name"].is_string() {
            let label = &self.server.label;
            return Err(AdapterError::Missing(format!("{label}: what answers there is no database of CouchDB")));
        }
        let mut earlier = Pages::new(&self.keys.runs(), With::Names, RUNS);
        for (name, row) in self.within("listing", earlier.next(&mut link, &self.documents())).await? {
            if name != self.keys.own() {
                let run = name.strip_prefix(&self.keys.runs()).unwrap_or_default();
                self.remove(&mut link, &self.keys.of(run)).await?;
                self.remove(&mut link, &format!("{CANARY}{run}:")).await?;
                self.within("clearing", self.forget(&mut link, &name, &row)).await?;
            }
        }
        self.within("making", self.name_run(&mut link)).await
    }

    /// Notes that the run has left records; that it is noted already is as good.
    async fn name_run(&self, link: &mut Link) -> Result<(), Trouble> {
        let path = self.server.path(&in_path(&self.keys.own()));
        match link.call(Method::PUT, &path, Some(&json!({}))).await {
            Err(Trouble::Refused(no)) if no.status == 409 => Ok(()),
            other => other.map(|_| ()),
        }
    }

    /// Removes the name of a run that has left nothing any more; that another region did it already is as good.
    async fn forget(&self, link: &mut Link, name: &str, row: &Value) -> Result<(), Trouble> {
        let revision = escaped(row["value"]["rev"].as_str().unwrap_or_default());
        let path = format!("{}?rev={revision}", self.server.path(&in_path(name)));
        match link.call(Method::DELETE, &path, None).await {
            Err(Trouble::Refused(no)) if [404, 409].contains(&no.status) => Ok(()),
            other => other.map(|_| ()),
        }
    }

    /// Removes all documents with this beginning, also those that show when their better revision is gone.
    async fn remove(&self, link: &mut Link, prefix: &str) -> Result<(), AdapterError> {
        let mut idle = 0;
        loop {
            let mut first = Pages::new(prefix, With::Names, REMOVED);
            let rows = self.within("clearing", first.next(link, &self.documents())).await?;
            if rows.is_empty() {
                return Ok(());
            }
            let gone = |(id, row): &(String, Value)| json!({"_id": id, "_rev": row["value"]["rev"], "_deleted": true});
            let body = json!({"docs": rows.iter().map(gone).collect::<Vec<_>>()});
            let path = self.server.path("_bulk_docs");
            let answer = self.within("clearing", link.call(Method::POST, &path, Some(&body))).await?.body;
            let done = answer.as_array().into_iter().flatten().filter(|one| one["ok"] == json!(true)).count();
            // Another region may be clearing the same, and its deletions come by replication.
            idle = if done == 0 { idle + 1 } else { 0 };
            if idle > MOST_IDLE {
                let (label, why) = (&self.server.label, answer[0]["reason"].as_str().unwrap_or("nothing was removed"));
                return Err(AdapterError::Refused(format!("{label}: clearing what `{prefix}…` left: {why}")));
            }
        }
    }

    async fn read(&self, row: &mut (dyn FnMut(Row) + Send)) -> Result<(), AdapterError> {
        let mut link = self.within("reaching the server for", self.server.connect()).await?;
        let mut pages = Pages::new(&self.keys.run(), With::Documents, self.page);
        loop {
            let rows = self.within("reading", pages.next(&mut link, &self.documents())).await?;
            if rows.is_empty() {
                return Ok(());
            }
            for (id, found) in rows {
                self.hand_over(&mut link, &id, &found["doc"], row).await?;
            }
        }
    }

    /// A record, once for each revision that stands beside the others.
    async fn hand_over(
        &self,
        link: &mut Link,
        id: &str,
        document: &Value,
        row: &mut (dyn FnMut(Row) + Send),
    ) -> Result<(), AdapterError> {
        let key = self.keys.read(id);
        let mut say = |document: &Value| {
            let (attempt, payload) = contents(document);
            row(Row { key: key.clone(), attempt, payload });
        };
        say(document);
        for revision in document["_conflicts"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            let path = format!("{}?rev={}", self.server.path(&in_path(id)), escaped(revision));
            say(&self.within("reading a conflict of", link.long_get(&path)).await?);
        }
        Ok(())
    }

    async fn count(&self, upto: Option<&Frontier>) -> Result<BTreeMap<u16, Tally>, AdapterError> {
        let mut link = self.within("reaching the server for", self.server.connect()).await?;
        let mut pages = Pages::new(&self.keys.run(), With::Names, NAMES);
        let mut all: BTreeMap<u16, Tally> = BTreeMap::new();
        loop {
            let rows = self.within("counting", pages.next(&mut link, &self.documents())).await?;
            if rows.is_empty() {
                return Ok(all);
            }
            for key in rows.iter().filter_map(|(id, _)| self.keys.read(id).ok()) {
                if upto.is_none_or(|upto| upto.get(&key.writer).is_some_and(|last| key.seq <= *last)) {
                    all.entry(key.writer).or_default().add(key.seq);
                }
            }
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

    fn tally<'a>(&'a self, upto: Option<&'a Frontier>) -> Fut<'a, Result<BTreeMap<u16, Tally>, AdapterError>> {
        Box::pin(self.count(upto))
    }
}
