//! The ledger's objects: preparing, and reading them back. Every object is read, not only listed: an ETag would be the
//! server's word for its bytes. In a bucket with versions an object that was written more than once is there as often as
//! it has versions, and one whose latest version is a mark of deletion is gone.

use super::listing::{self, Age, Entry, Kind};
use super::pages::Pages;
use super::{Call, Method, S3, Trouble, again};
use crate::adapters::data::Versions;
use crate::adapters::record_keys::Keys;
use crate::adapters::tally::{Frontier, Tally};
use crate::adapters::{AdapterError, ClientSettings, Fut, LedgerStore, Row};
use futures_util::{StreamExt, TryStreamExt, stream};
use std::collections::{BTreeMap, BTreeSet};

/// So many objects are read or removed at the same time.
const AT_ONCE: usize = 16;
/// As many as a server lists at once.
const PAGE: u16 = 1_000;
/// More versions of a run's objects are not sorted out.
const MOST_VERSIONS: usize = 2_000_000;

/// See the module.
pub(super) struct Store {
    s3: S3,
    keys: Keys,
    payload: u64,
    page: u16,
}

impl Store {
    pub fn new(s3: S3, keys: Keys, settings: &ClientSettings) -> Self {
        Self { s3, keys, payload: settings.payload, page: PAGE }
    }

    fn call(&self, doing: &str, key: &str, right: &'static str) -> Call {
        Call { what: format!("{doing} {}", self.s3.label(key)), right }
    }

    /// Does the bucket keep versions? A server that knows nothing of versions has none.
    async fn versions(&self) -> Result<Versions, AdapterError> {
        match versioning(&self.s3).await? {
            Versioning::Off => Ok(Versions::Current),
            Versioning::Enabled | Versioning::Suspended => Ok(Versions::All),
        }
    }

    async fn make(&self) -> Result<(), AdapterError> {
        let versions = self.versions().await?;
        let prefix = self.keys.runs();
        let mut runs = BTreeSet::new();
        let mut pages = Pages::of(&self.s3, versions, self.page, &prefix);
        while let Some(entries) = pages.next().await? {
            runs.extend(entries.into_iter().map(|entry| entry.key).filter(|key| *key != self.keys.own()));
        }
        for name in runs {
            let run = name.strip_prefix(&prefix).unwrap_or_default().to_owned();
            // A name without one would stand for all of them.
            if !run.is_empty() {
                self.clear(versions, &self.keys.of(&run), None).await?;
            }
            self.clear(versions, &name, Some(&name)).await?;
        }
        self.mark().await
    }

    /// The run's own mark: written, removed and written again, so that a missing right shows before anything is broken.
    async fn mark(&self) -> Result<(), AdapterError> {
        let own = self.keys.own();
        self.put(&own).await?;
        let call = self.call("delete", &own, "s3:DeleteObject");
        self.delete(&call, &own, &[]).await?;
        self.put(&own).await?;
        let call = self.call("read", &own, "s3:GetObject");
        let answer = again(|| self.s3.send(&call, Method::GET, self.s3.url(&own, &[]))).await?;
        let locked = answer.headers().contains_key("x-amz-object-lock-mode");
        if locked || answer.headers().get("x-amz-object-lock-legal-hold").is_some_and(|hold| hold == "ON") {
            let why = "this bucket locks every new object, so that records could not be removed: name another bucket";
            return Err(AdapterError::Refused(format!("write {}: {why}", self.s3.label(&own))));
        }
        Ok(())
    }

    async fn put(&self, key: &str) -> Result<(), AdapterError> {
        let call = self.call("write", key, "s3:PutObject");
        self.s3.put_empty(&call, key).await
    }

    async fn delete(&self, call: &Call, key: &str, query: &[(&str, &str)]) -> Result<(), AdapterError> {
        let attempt = || self.s3.send(call, Method::DELETE, self.s3.signed(&Method::DELETE, key, query));
        again(attempt).await.map(drop)
    }

    /// Removes what begins like this, or only this one key, with all its versions.
    async fn clear(&self, versions: Versions, prefix: &str, only: Option<&str>) -> Result<(), AdapterError> {
        let mut last: Vec<Entry> = Vec::new();
        loop {
            // Always the first page: those before it are gone.
            let first = Pages::of(&self.s3, versions, self.page, prefix).next().await?.unwrap_or_default();
            let found: Vec<Entry> = first.into_iter().filter(|e| only.is_none_or(|only| e.key == only)).collect();
            if found.is_empty() {
                return Ok(());
            }
            if found == last {
                let why = "what an earlier run left is still there after it was deleted";
                return Err(AdapterError::Other(format!("clear {}: {why}", self.s3.label(prefix))));
            }
            let gone = stream::iter(found.clone()).map(|entry| async move { self.remove(&entry).await });
            gone.buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
            last = found;
        }
    }

    async fn remove(&self, entry: &Entry) -> Result<(), AdapterError> {
        let query: Vec<(&str, &str)> = entry.version.iter().map(|v| ("versionId", v.id.as_str())).collect();
        let right = if query.is_empty() { "s3:DeleteObject" } else { "s3:DeleteObjectVersion" };
        self.delete(&self.call("delete", &entry.key, right), &entry.key, &query).await
    }

    /// What is there of the run.
    async fn present<'a>(&'a self, prefix: &'a str) -> Result<Present<'a>, AdapterError> {
        let versions = self.versions().await?;
        let label = self.s3.label(prefix);
        Ok(Present { versions, pages: Pages::of(&self.s3, versions, self.page, prefix), label })
    }

    async fn read(&self, row: &mut (dyn FnMut(Row) + Send)) -> Result<(), AdapterError> {
        let prefix = self.keys.run();
        let mut present = self.present(&prefix).await?;
        while let Some(entries) = present.next().await? {
            let mut rows = stream::iter(entries).map(|entry| self.row(entry)).buffered(AT_ONCE);
            while let Some(found) = rows.try_next().await? {
                found.into_iter().for_each(&mut *row);
            }
        }
        Ok(())
    }

    /// The record of an object; none if it is gone since it was listed.
    async fn row(&self, entry: Entry) -> Result<Option<Row>, AdapterError> {
        let (key, attempt) = match self.keys.read(entry.key.as_bytes()) {
            Ok((key, attempt)) => (Ok(key), attempt),
            Err(text) => (Err(text), 0),
        };
        // One of another size is not what was written, whatever it holds.
        if key.is_err() || entry.size != self.payload {
            return Ok(Some(Row { key, attempt, payload: Vec::new() }));
        }
        let query: Vec<(&str, &str)> = entry.version.iter().map(|v| ("versionId", v.id.as_str())).collect();
        let call = self.call("read", &entry.key, super::reading(&entry));
        let payload = again(|| async {
            let answer = self.s3.send(&call, Method::GET, self.s3.url(&entry.key, &query)).await?;
            super::whole(&call.what, answer, usize::try_from(self.payload).unwrap_or(usize::MAX)).await
        });
        match payload.await {
            Ok(payload) => Ok(Some(Row { key, attempt, payload })),
            Err(AdapterError::Missing(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// By names alone: nothing is read.
    async fn count(&self, upto: Option<&Frontier>) -> Result<BTreeMap<u16, Tally>, AdapterError> {
        let prefix = self.keys.run();
        let (mut present, mut all) = (self.present(&prefix).await?, BTreeMap::<u16, Tally>::new());
        while let Some(entries) = present.next().await? {
            let keys = entries.iter().filter_map(|entry| self.keys.read(entry.key.as_bytes()).ok());
            for (key, _) in keys {
                if upto.is_none_or(|upto| upto.get(&key.writer).is_some_and(|last| key.seq <= *last)) {
                    all.entry(key.writer).or_default().add(key.seq);
                }
            }
        }
        Ok(all)
    }
}

/// What is there, piece by piece, in the order of keys: a page at a time, or all of it where versions are to be sorted out.
struct Present<'a> {
    versions: Versions,
    pages: Pages<'a>,
    label: String,
}

impl Present<'_> {
    async fn next(&mut self) -> Result<Option<Vec<Entry>>, AdapterError> {
        if self.versions == Versions::Current {
            return self.pages.next().await;
        }
        let (mut all, mut any) = (Vec::new(), None);
        while let Some(entries) = self.pages.next().await? {
            any = Some(());
            all.extend(entries);
            if all.len() > MOST_VERSIONS {
                let label = &self.label;
                return Err(AdapterError::Other(format!("list {label}: there are more than {MOST_VERSIONS} versions")));
            }
        }
        Ok(any.map(|()| alive(all)))
    }
}

/// Versions of objects that are there: whose latest version is no mark of deletion. The oldest of each comes first.
fn alive(mut all: Vec<Entry>) -> Vec<Entry> {
    let latest = |entry: &Entry| entry.version.as_ref().is_some_and(|version| version.age == Age::Latest);
    let there = all.iter().filter(|entry| entry.kind == Kind::Object && latest(entry));
    let there: BTreeSet<String> = there.map(|entry| entry.key.clone()).collect();
    all.retain(|entry| entry.kind == Kind::Object && there.contains(&entry.key));
    // A server lists the newest version of a key first.
    all.reverse();
    all.sort_by(|a, b| a.key.cmp(&b.key));
    all
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

/// What a bucket does with versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Versioning {
    Enabled,
    /// Older ones are kept, and no new ones made.
    Suspended,
    Off,
}

/// A server that knows nothing of versions has none.
pub(super) async fn versioning(s3: &S3) -> Result<Versioning, AdapterError> {
    let call = Call { what: format!("ask for the versioning of {}", s3.label("")), right: "s3:GetBucketVersioning" };
    let attempt = || async {
        match s3.send(&call, Method::GET, s3.url("", &[("versioning", "")])).await {
            Ok(answer) => super::text(&call.what, answer, super::SAID).await.map(Some),
            Err(Trouble::Lacking(_)) => Ok(None),
            Err(trouble) => Err(trouble),
        }
    };
    let Some(text) = again(attempt).await? else { return Ok(Versioning::Off) };
    let said = listing::said(&text, "Status").map_err(|why| AdapterError::Other(format!("{}: {why}", call.what)))?;
    match said.as_deref() {
        None => Ok(Versioning::Off),
        Some("Enabled") => Ok(Versioning::Enabled),
        Some("Suspended") => Ok(Versioning::Suspended),
        Some(other) => Err(AdapterError::Other(format!("{}: `{other}` is no state of versioning", call.what))),
    }
}
