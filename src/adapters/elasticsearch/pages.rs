//! All documents of an index at one point in time, page by page. A page that is not whole is an error.

use super::rest::{Cluster, Link, Trouble};
use crate::adapters::AdapterError;
use hyper::Method;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::timeout;

/// One step may take this long; reading goes on as long as pages come.
pub(super) const STALL: Duration = Duration::from_secs(30);
/// The server keeps the point in time so long after a page.
const KEPT: &str = "2m";

/// Where reading an index has come to.
pub(super) struct Pages<'a> {
    cluster: &'a Cluster,
    link: Link,
    index: &'a str,
    size: u64,
    sort: &'a str,
    pit: String,
    after: Option<Value>,
    read: u64,
    there: Option<u64>,
}

impl<'a> Pages<'a> {
    /// What is there now: all that was written before is shown first. None if there is no such index.
    pub async fn open(
        cluster: &'a Cluster,
        index: &'a str,
        size: u64,
        sort: &'a str,
    ) -> Result<Option<Self>, AdapterError> {
        let mut link = within(cluster, "reach a node for", index, "monitor", cluster.connect(0)).await?;
        let path = format!("/{index}/_refresh");
        match timeout(STALL, link.call(Method::POST, &path, None)).await {
            Ok(Err(Trouble::Refused(refusal))) if refusal.kind == "index_not_found_exception" => return Ok(None),
            answer => {
                let all = whole(
                    cluster,
                    "show all of",
                    index,
                    settled(cluster, "show all of", index, "maintenance", answer)?,
                );
                all?;
            }
        }
        let path = format!("/{index}/_pit?keep_alive={KEPT}");
        let answer = within(cluster, "fix a moment of", index, "read", link.call(Method::POST, &path, None)).await?;
        let pit = answer["id"].as_str().unwrap_or_default().to_owned();
        Ok(Some(Self { cluster, link, index, size, sort, pit, after: None, read: 0, there: None }))
    }

    /// The next page; none after the last.
    pub async fn next(&mut self) -> Result<Option<Vec<Value>>, AdapterError> {
        let mut body = json!({
            "size": self.size,
            "sort": [{self.sort: "asc"}],
            "pit": {"id": self.pit, "keep_alive": KEPT},
            "track_total_hits": true,
        });
        if let Some(after) = &self.after {
            body["search_after"] = after.clone();
        }
        let (cluster, index) = (self.cluster, self.index);
        let answer = within(cluster, "read", index, "read", self.link.long_call("/_search", &body)).await?;
        let mut answer = whole(cluster, "read", index, answer)?;
        let there = answer["hits"]["total"]["value"].as_u64().unwrap_or_default();
        self.there.get_or_insert(there);
        let wrong = |why: String| AdapterError::Other(format!("{}: read `{index}`: {why}", cluster.label));
        let Value::Array(hits) = answer["hits"]["hits"].take() else {
            return Err(wrong("an answer without hits".to_owned()));
        };
        if let Some(pit) = answer["pit_id"].as_str() {
            pit.clone_into(&mut self.pit);
        }
        if hits.is_empty() {
            // What it costs the server ends by itself, if this does not end it.
            let close = json!({"id": self.pit});
            let _closed = timeout(STALL, self.link.call(Method::DELETE, "/_pit", Some(&close))).await;
            let (read, there) = (self.read, self.there.unwrap_or_default());
            return if read == there { Ok(None) } else { Err(wrong(format!("{read} documents of {there} came"))) };
        }
        self.read += hits.len() as u64;
        let last = hits.last().map(|hit| hit["sort"].clone());
        if last.as_ref().is_none_or(|last| Some(last) == self.after.as_ref()) {
            return Err(wrong("it goes round in circles".to_owned()));
        }
        self.after = last;
        Ok(Some(hits))
    }
}

/// What a step comes to, in time or as an error that names it.
pub(super) async fn within<T>(
    cluster: &Cluster,
    doing: &str,
    index: &str,
    right: &str,
    step: impl Future<Output = Result<T, Trouble>>,
) -> Result<T, AdapterError> {
    settled(cluster, doing, index, right, timeout(STALL, step).await)
}

fn settled<T>(
    cluster: &Cluster,
    doing: &str,
    index: &str,
    right: &str,
    answer: Result<Result<T, Trouble>, tokio::time::error::Elapsed>,
) -> Result<T, AdapterError> {
    let what = format!("{doing} `{index}`");
    let late = |_| AdapterError::TimedOut(format!("{}: {what}: no answer for {STALL:?}", cluster.label));
    answer.map_err(late)?.map_err(|trouble| cluster.about(&what, right, trouble))
}

/// An answer for which every shard was asked, and none failed.
fn whole(cluster: &Cluster, doing: &str, index: &str, answer: Value) -> Result<Value, AdapterError> {
    let failed = answer["_shards"]["failed"].as_u64();
    if failed == Some(0) && answer["timed_out"] != json!(true) {
        return Ok(answer);
    }
    let failed = failed.map_or_else(|| "an unknown number".to_owned(), |failed| failed.to_string());
    Err(AdapterError::Other(format!("{}: {doing} `{index}`: {failed} of its shards failed", cluster.label)))
}
