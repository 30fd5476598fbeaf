//! Watches: every change since a version, over as many connections as it takes.

use super::call::{Ask, CALL, Caller, within};
use super::client::all;
use super::lines::{Lines, State};
use super::pages::{selecting, what};
use super::status::{Hush, Status};
use super::{Change, ClusterError, Flow, Object, Query};
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;
use tokio::time::MissedTickBehavior;

/// The server ends each connection after so long, so that one that was silently cut is found.
const SPAN: Duration = Duration::from_secs(30);
/// No more often than this is a connection made.
const PACE: Duration = Duration::from_millis(100);
/// No object is larger: what etcd takes is far below.
const EVENT: usize = 16 << 20;

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    object: Value,
}

/// Hands each change on until `each` has enough or the limit has come.
pub(super) async fn watch(
    caller: &Caller,
    query: &Query,
    since: &str,
    limit: Duration,
    each: &mut (dyn FnMut(Change) -> Flow + Send),
) -> Result<(), ClusterError> {
    let work = async {
        let mut version = since.to_owned();
        let mut pace = tokio::time::interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            pace.tick().await;
            if connection(caller, query, &mut version, each).await? == Flow::Enough {
                return Ok(());
            }
        }
    };
    tokio::time::timeout(limit, work).await.unwrap_or(Ok(()))
}

/// One connection to its end.
async fn connection(
    caller: &Caller,
    query: &Query,
    version: &mut String,
    each: &mut (dyn FnMut(Change) -> Flow + Send),
) -> Result<Flow, ClusterError> {
    let ask = Ask::get(all(&query.kind, query.namespace.as_deref()), format!("watch {}", what(query)));
    let ask = selecting(query, ask)
        .with("watch", "true")
        .with("resourceVersion", version.clone())
        .with("allowWatchBookmarks", "true")
        .with("timeoutSeconds", SPAN.as_secs().to_string());
    let body = within(CALL, &ask.doing, caller.stream(&ask)).await?;
    let mut lines = Lines::new(body, EVENT);
    let reading = async {
        // However it ends: whether the cluster is there is found by connecting again.
        while let Ok(Some(line)) = lines.next().await {
            match line.state {
                State::Whole if line.bytes.is_empty() => {}
                State::Whole => {
                    if event(&line.bytes, &ask.doing, version, each)? == Flow::Enough {
                        return Ok(Flow::Enough);
                    }
                }
                State::Cut => return Err(ClusterError::Other(format!("{}: an event is too large", ask.doing))),
                State::Open => break,
            }
        }
        Ok(Flow::On)
    };
    tokio::time::timeout(SPAN + CALL, reading).await.unwrap_or(Ok(Flow::On))
}

fn event(
    line: &[u8],
    doing: &str,
    version: &mut String,
    each: &mut (dyn FnMut(Change) -> Flow + Send),
) -> Result<Flow, ClusterError> {
    let unread = |_| ClusterError::Other(format!("{doing}: an event is not as expected"));
    let Event { kind, object } = serde_json::from_slice(line).map_err(unread)?;
    if kind == "ERROR" {
        let bytes = object.to_string().into_bytes();
        let code = object.get("code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok());
        return Err(Status::of(code.unwrap_or(500), &bytes).error(doing, Hush::No));
    }
    let object = Object(object);
    if !object.version().is_empty() {
        object.version().clone_into(version);
    }
    Ok(match kind.as_str() {
        "ADDED" | "MODIFIED" => each(Change::Is(object)),
        "DELETED" => each(Change::Gone(object)),
        // A bookmark: only its version counts.
        _ => Flow::On,
    })
}
