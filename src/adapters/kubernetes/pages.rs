//! Lists, page by page: what is in memory is never more than a page of the server's.

use super::call::{Answer, Ask, Caller};
use super::client::all;
use super::status::{Metadata, Status};
use super::{ClusterError, Flow, Kind, Object, PAGE, Query};
use serde::Deserialize;
use serde_json::{Map, Value};

/// A list whose version is gone begins again so often, or goes on with another version.
const AGAIN: u32 = 8;

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    items: Option<Vec<Map<String, Value>>>,
}

/// Where a list stands.
struct Course {
    limit: u32,
    token: Option<String>,
    /// Of the first page: a watch since then misses nothing, even if later pages are newer.
    version: Option<String>,
    handed: bool,
    again: u32,
}

/// For people: `pod in shop`.
pub(super) fn what(query: &Query) -> String {
    let kind = query.kind.kind.to_lowercase();
    let place = query.namespace.as_ref().map(|name| format!(" in {name}")).unwrap_or_default();
    format!("{kind} objects{place}")
}

/// The query's own part of a request.
pub(super) fn selecting(query: &Query, mut ask: Ask) -> Ask {
    if !query.labels.is_empty() {
        ask = ask.with("labelSelector", query.labels.clone());
    }
    if !query.fields.is_empty() {
        ask = ask.with("fieldSelector", query.fields.clone());
    }
    ask
}

/// As the API shows an object alone: those of a list do not say what they are.
fn object(kind: &Kind, item: Map<String, Value>) -> Object {
    let mut whole = Map::with_capacity(item.len() + 2);
    whole.insert("apiVersion".to_owned(), kind.api().into());
    whole.insert("kind".to_owned(), kind.kind.clone().into());
    whole.extend(item);
    Object(Value::Object(whole))
}

/// Hands each object on; the version that the list is of.
pub(super) async fn list(
    caller: &Caller,
    query: &Query,
    each: &mut (dyn FnMut(Object) -> Flow + Send),
) -> Result<String, ClusterError> {
    let mut course = Course { limit: PAGE, token: None, version: None, handed: false, again: 0 };
    loop {
        let ask = Ask::get(all(&query.kind, query.namespace.as_deref()), format!("list {}", what(query)));
        let mut ask = selecting(query, ask).with("limit", course.limit.to_string());
        if let Some(token) = &course.token {
            ask = ask.with("continue", token.clone());
        }
        let answer = caller.answer(&ask).await?;
        if course.turns(&answer) {
            continue;
        }
        let bytes = answer.good(&ask)?;
        let page: Page = serde_json::from_slice(&bytes)
            .map_err(|_| ClusterError::Other(format!("{}: the server's answer is no list", ask.doing)))?;
        drop(bytes);
        let version = course.version.get_or_insert(page.metadata.resource_version).clone();
        for item in page.items.into_iter().flatten() {
            course.handed = true;
            if each(object(&query.kind, item)) == Flow::Enough {
                return Ok(version);
            }
        }
        if page.metadata.token.is_empty() {
            return Ok(version);
        }
        course.token = Some(page.metadata.token);
    }
}

impl Course {
    /// Is another question to be asked instead?
    fn turns(&mut self, answer: &Answer) -> bool {
        if answer.code < 300 && answer.body.is_none() && self.limit > 1 {
            // Fewer large objects at once.
            self.limit = (self.limit / 8).max(1);
            return true;
        }
        if answer.code != 410 || self.token.is_none() || self.again == AGAIN {
            return false;
        }
        self.again += 1;
        if !self.handed {
            (self.token, self.version) = (None, None);
            return true;
        }
        // The server offers to go on with what is there now, after what was handed on.
        let status = Status::of(410, answer.body.as_deref().unwrap_or_default());
        let token = Some(status.metadata.token).filter(|token| !token.is_empty());
        let goes_on = token.is_some();
        self.token = token.or(self.token.take());
        goes_on
    }
}
