//! The ledger's keys in etcd: preparing, and reading them back at one revision. The order of a writer's records is that of
//! their revisions; a key that was put more than once is there as often as its version says.

use super::gateway::{Gateway, Link, Trouble, number};
use crate::adapters::record_keys::{Keys, end_of};
use crate::adapters::{AdapterError, ClientSettings, Fut, LedgerStore, Row, base64};
use crate::model::Key;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// One step of preparing or reading may take this long; a read-back of any size goes on as long as pages come.
const STALL: Duration = Duration::from_secs(30);
/// Bytes of payload in one page.
const PAGE: u64 = 256 * 1024;
/// Earlier runs that one `prepare` removes.
const RUNS: u64 = 1_000;
/// A key that was put more often is there so often and no more.
const MOST_VERSIONS: i64 = 1_000;

/// Whose data is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// The cluster's: a majority agrees that it is the latest.
    Cluster,
    /// What one member has, by itself.
    Member,
}

/// See the module.
pub(super) struct Store {
    gateway: Arc<Gateway>,
    keys: Keys,
    page: u64,
    whose: Whose,
}

/// A record as it is stored.
struct Stored {
    key: Result<(Key, u32), String>,
    payload: Vec<u8>,
    revision: i64,
    version: i64,
}

impl Store {
    pub fn new(gateway: Arc<Gateway>, keys: Keys, settings: &ClientSettings, whose: Whose) -> Self {
        let page = (PAGE / settings.payload.max(64)).clamp(4, 1_000);
        Self { gateway, keys, page, whose }
    }

    /// What a step comes to, in time or as an error that names it.
    async fn within<T>(&self, doing: &str, step: impl Future<Output = Result<T, Trouble>>) -> Result<T, AdapterError> {
        let what = format!("{doing} the ledger `{}`", self.keys.run());
        match timeout(STALL, step).await {
            Err(_) => Err(AdapterError::TimedOut(format!("{}: {what}: no answer for {STALL:?}", self.gateway.label))),
            Ok(answer) => answer.map_err(|trouble| self.gateway.about(&what, trouble)),
        }
    }

    async fn make(&self) -> Result<(), AdapterError> {
        let mut link = self.within("reaching a member for", self.gateway.connect(0)).await?;
        let runs = self.keys.runs();
        let range = json!({
            "key": base64::encoded(runs.as_bytes()),
            "range_end": base64::encoded(&end_of(&runs)),
            "keys_only": true,
            "limit": RUNS,
        });
        let all = self.within("listing", link.call("/v3/kv/range", &range)).await?;
        for entry in all["kvs"].as_array().into_iter().flatten() {
            let name = base64::decoded(entry["key"].as_str().unwrap_or_default()).unwrap_or_default();
            let name = String::from_utf8_lossy(&name).into_owned();
            if name == self.keys.own() {
                continue;
            }
            let prefix = self.keys.of(name.strip_prefix(&runs).unwrap_or_default());
            let delete = json!({
                "key": base64::encoded(prefix.as_bytes()),
                "range_end": base64::encoded(&end_of(&prefix)),
            });
            self.within("clearing", link.call("/v3/kv/deleterange", &delete)).await?;
            let delete = json!({"key": base64::encoded(name.as_bytes())});
            self.within("clearing", link.call("/v3/kv/deleterange", &delete)).await?;
        }
        let put = json!({"key": base64::encoded(self.keys.own().as_bytes())});
        self.within("making", link.call("/v3/kv/put", &put)).await?;
        Ok(())
    }

    /// One page from a key on. The first one decides the revision at which all are read.
    async fn page(&self, link: &mut Link, from: &[u8], revision: i64) -> Result<Value, AdapterError> {
        let mut range = json!({
            "key": base64::encoded(from),
            "range_end": base64::encoded(&end_of(&self.keys.run())),
            "limit": self.page,
            "serializable": self.whose == Whose::Member,
        });
        if revision > 0 {
            range["revision"] = json!(revision);
        }
        self.within("reading", link.long_call("/v3/kv/range", &range)).await
    }

    /// In the order of the keys, so writer by writer, and each writer's records in the order of their revisions.
    async fn read(&self, row: &mut (dyn FnMut(Row) + Send)) -> Result<(), AdapterError> {
        let mut link = self.within("reaching a member for", self.gateway.connect(0)).await?;
        let (mut from, mut revision) = (self.keys.run().into_bytes(), 0);
        let (mut rows, mut there) = (0, 0);
        let mut writer: Vec<Stored> = Vec::new();
        loop {
            let page = self.page(&mut link, &from, revision).await?;
            if revision == 0 {
                (revision, there) = (number(&page["header"]["revision"]), number(&page["count"]));
            }
            let entries = page["kvs"].as_array().map(Vec::as_slice).unwrap_or_default();
            for entry in entries {
                let name = base64::decoded(entry["key"].as_str().unwrap_or_default()).unwrap_or_default();
                let stored = self.stored(&name, entry);
                if writer.last().is_some_and(|last| whose(last) != whose(&stored)) {
                    hand_over(&mut writer, row);
                }
                writer.push(stored);
                // The least key above this one.
                from = [name.as_slice(), &[0]].concat();
            }
            rows += entries.len() as i64;
            if entries.is_empty() || page["more"] != json!(true) {
                break;
            }
        }
        hand_over(&mut writer, row);
        if rows == there {
            return Ok(());
        }
        let label = &self.gateway.label;
        Err(AdapterError::Other(format!("{label}: reading the ledger: {rows} keys of {there} came")))
    }

    fn stored(&self, name: &[u8], entry: &Value) -> Stored {
        Stored {
            key: self.keys.read(name),
            payload: base64::decoded(entry["value"].as_str().unwrap_or_default()).unwrap_or_default(),
            revision: number(&entry["mod_revision"]),
            version: number(&entry["version"]),
        }
    }
}

fn whose(stored: &Stored) -> Option<u16> {
    stored.key.as_ref().ok().map(|(key, _)| key.writer)
}

fn hand_over(writer: &mut Vec<Stored>, row: &mut (dyn FnMut(Row) + Send)) {
    writer.sort_by_key(|stored| stored.revision);
    for Stored { key, payload, version, .. } in writer.drain(..) {
        let (key, attempt) = match key {
            Ok((key, attempt)) => (Ok(key), attempt),
            Err(text) => (Err(text), 0),
        };
        for _ in 0..version.clamp(1, MOST_VERSIONS) {
            row(Row { key: key.clone(), attempt, payload: payload.clone() });
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
