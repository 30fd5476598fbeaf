//! The ledger's index: preparing it, and reading it back at one point in time. Each run has an index of its own, marked as
//! ours in its mapping, and writes through an alias of it: an index that was deleted is not made anew by a write.

use super::pages::{Pages, within};
use super::rest::{Cluster, Link, Trouble};
use crate::adapters::{AdapterError, ClientSettings, Fut, LedgerStore, Row, base64};
use crate::model::Key;
use hyper::Method;
use serde_json::{Value, json};
use std::sync::Arc;

/// Bytes of payload in one page.
const PAGE: u64 = 1 << 20;
/// The oldest version that says what it is (`X-Elastic-Product`), and has points in time.
const OLDEST: (u64, u64) = (7, 14);
/// What marks an index as a ledger's.
const MARK: &str = "blackstart_run";

/// The names of a run's index and documents.
#[derive(Debug, Clone)]
pub(super) struct Index {
    prefix: String,
    run: String,
    /// Its name: that of an index has no capital letters.
    pub name: String,
    /// What is written through.
    pub alias: String,
}

impl Index {
    pub fn new(prefix: &str, settings: &ClientSettings) -> Self {
        let run = settings.run.as_str().to_owned();
        let name = format!("{prefix}-{}", run.to_ascii_lowercase());
        Self { prefix: prefix.to_owned(), alias: format!("{name}-w"), name, run }
    }

    /// Names have a fixed width, so that their order is that of the numbers.
    pub fn record(key: Key, attempt: u32) -> String {
        format!("{:05}-{:012}-{attempt:05}", key.writer, key.seq)
    }

    /// The record and the attempt that a document's name says.
    fn read(name: &str) -> Option<(Key, u32)> {
        match name.split('-').collect::<Vec<_>>().as_slice() {
            [writer, seq, attempt] => {
                Some((Key { writer: writer.parse().ok()?, seq: seq.parse().ok()? }, attempt.parse().ok()?))
            }
            _ => None,
        }
    }
}

/// See the module.
pub(super) struct Store {
    cluster: Arc<Cluster>,
    index: Index,
    page: u64,
}

impl Store {
    pub fn new(cluster: Arc<Cluster>, index: Index, settings: &ClientSettings) -> Self {
        Self { cluster, index, page: (PAGE / settings.payload.max(64)).clamp(4, 1_000) }
    }

    async fn make(&self) -> Result<(), AdapterError> {
        let cluster = &*self.cluster;
        let mut link = within(cluster, "reach a node for", &self.index.name, "monitor", cluster.connect(0)).await?;
        self.new_enough(&mut link).await?;
        let pattern = format!("{}-*", self.index.prefix);
        let path = format!("/{pattern}/_mapping");
        let all = link.call(Method::GET, &path, None);
        let all = within(cluster, "list", &pattern, "view_index_metadata", all).await?;
        for (name, described) in all.as_object().into_iter().flatten() {
            let marked = described["mappings"]["_meta"][MARK].as_str();
            if marked.is_some_and(|run| run != self.index.run) {
                let path = format!("/{name}");
                within(cluster, "clear", name, "delete_index", link.call(Method::DELETE, &path, None)).await?;
            }
        }
        if all.get(&self.index.name).is_none() {
            self.create(&mut link).await?;
        }
        self.may(&mut link).await
    }

    async fn new_enough(&self, link: &mut Link) -> Result<(), AdapterError> {
        let answer = link.call(Method::GET, "/", None);
        let answer = within(&self.cluster, "ask for the version for", &self.index.name, "monitor", answer).await?;
        let version = answer["version"]["number"].as_str().unwrap_or_default();
        let mut numbers = version.split('.').map(|number| number.parse::<u64>().unwrap_or_default());
        let found = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
        if found >= OLDEST {
            return Ok(());
        }
        let (label, (major, minor)) = (&self.cluster.label, OLDEST);
        Err(AdapterError::Refused(format!("{label}: version {version} is too old: {major}.{minor} or later is needed")))
    }

    /// Copies and shards are those that the cluster gives every index.
    async fn create(&self, link: &mut Link) -> Result<(), AdapterError> {
        let body = json!({
            "aliases": {self.index.alias.as_str(): {"is_write_index": true}},
            "mappings": {
                "_meta": {MARK: self.index.run},
                "dynamic": false,
                "properties": {"name": {"type": "keyword"}},
            },
        });
        let path = format!("/{}", self.index.name);
        let create = link.call(Method::PUT, &path, Some(&body));
        within(&self.cluster, "create", &self.index.name, "create_index", create).await.map(drop)
    }

    /// A document is written, looked at and deleted, so that a missing right shows before anything is broken.
    async fn may(&self, link: &mut Link) -> Result<(), AdapterError> {
        let (cluster, name) = (&*self.cluster, &self.index.name);
        let path = format!("/_cluster/health/{name}?wait_for_status=yellow&timeout=20s");
        let health = link.call(Method::GET, &path, None);
        within(cluster, "wait for a primary of", name, "monitor", health).await?;
        let (alias, body) = (&self.index.alias, json!({"name": "right"}));
        let path = format!("/{alias}/_doc/right?require_alias=true&timeout=20s");
        within(cluster, "write to", name, "index", link.call(Method::PUT, &path, Some(&body))).await?;
        let path = format!("/{name}/_doc/right");
        within(cluster, "read from", name, "read", link.call(Method::GET, &path, None)).await?;
        within(cluster, "delete from", name, "delete", link.call(Method::DELETE, &path, None)).await?;
        let path = format!("/{name}/_refresh");
        within(cluster, "refresh", name, "maintenance", link.call(Method::POST, &path, None)).await.map(drop)
    }

    /// In the order of the names. An index that is not there has no records: all of them are gone.
    async fn read(&self, row: &mut (dyn FnMut(Row) + Send)) -> Result<(), AdapterError> {
        let Some(mut pages) = Pages::open(&self.cluster, &self.index.name, self.page, "name").await? else {
            return Ok(());
        };
        while let Some(hits) = pages.next().await? {
            hits.iter().map(stored).for_each(&mut *row);
        }
        Ok(())
    }
}

fn stored(hit: &Value) -> Row {
    let id = hit["_id"].as_str().unwrap_or_default();
    let payload = payload(&hit["_source"]);
    match Index::read(id) {
        Some((key, attempt)) => Row { key: Ok(key), attempt, payload },
        None => Row { key: Err(id.to_owned()), attempt: 0, payload },
    }
}

/// A record's bytes; none of them if they cannot be read.
pub(super) fn payload(source: &Value) -> Vec<u8> {
    base64::decoded(source["payload"].as_str().unwrap_or_default()).unwrap_or_default()
}

impl LedgerStore for Store {
    fn prepare(&self) -> Fut<'_, Result<(), AdapterError>> {
        Box::pin(self.make())
    }

    fn read_back<'a>(&'a self, row: &'a mut (dyn FnMut(Row) + Send)) -> Fut<'a, Result<(), AdapterError>> {
        Box::pin(self.read(row))
    }
}

/// Is it the answer that a document is not there?
pub(super) fn is_absent(trouble: &Trouble) -> Option<()> {
    match trouble {
        Trouble::Refused(refusal) if refusal.status == 404 && refusal.kind == "not_found" => Some(()),
        _ => None,
    }
}
