//! What one region has and another lacks, by the means of CouchDB's own replication (`_changes` here, `_revs_diff` there), and
//! whether a document that is written here arrives there: both look at the data, whatever a replicator says of itself.

use super::keys::in_path;
use super::server::{Link, Server, Trouble};
use crate::adapters::connection::Failure;
use crate::adapters::systems::Seen;
use crate::clock::Clock;
use hyper::Method;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// Changes that are compared at a time: all of `lag`, a page of `missing`.
const CHANGES: usize = 500;
/// So many names are told.
const NAMED: usize = 10;
/// Between two looks for a canary.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Documents by name, with the revisions of them that nothing has replaced.
pub(super) type Leaves = BTreeMap<String, Vec<String>>;

/// The changes of an answer, and the sequence after them.
pub(super) fn leaves(answer: &Value) -> Result<(Leaves, Value), Trouble> {
    let strange = || Trouble::Failed(Failure::Undecided("a list of changes cannot be read".to_owned()));
    let mut all = Leaves::new();
    for change in answer["results"].as_array().ok_or_else(strange)? {
        let id = change["id"].as_str().ok_or_else(strange)?.to_owned();
        let revisions = change["changes"].as_array().into_iter().flatten();
        all.insert(id, revisions.filter_map(|one| one["rev"].as_str().map(str::to_owned)).collect());
    }
    Ok((all, answer["last_seq"].clone()))
}

/// A page of changes after a sequence, which is a number in some servers and a text in others.
pub(super) fn after(since: &Value) -> String {
    let since = since.as_str().map_or_else(|| since.to_string(), super::keys::escaped);
    format!("_changes?style=all_docs&limit={CHANGES}&since={since}")
}

/// Documents whose newest revisions the other region lacks.
#[derive(Default)]
struct Lacking {
    count: u64,
    looked_at: u64,
    first: Vec<String>,
}

impl Lacking {
    /// Asks the other region which of these it has not.
    async fn add(&mut self, all: &Leaves, there: &mut Link, server: &Server) -> Result<(), Trouble> {
        let body: Map<String, Value> = all.iter().map(|(id, leaves)| (id.clone(), json!(leaves))).collect();
        if body.is_empty() {
            return Ok(());
        }
        self.looked_at += body.len() as u64;
        let answer = there.call(Method::POST, &server.path("_revs_diff"), Some(&Value::Object(body))).await?.body;
        let strange = || Trouble::Failed(Failure::Undecided("a list of what is missing cannot be read".to_owned()));
        for (id, _) in answer.as_object().ok_or_else(strange)? {
            self.count += 1;
            if self.first.len() < NAMED {
                self.first.push(id.clone());
            }
        }
        Ok(())
    }

    fn seen(self) -> Seen {
        let fields = [("first", self.first.join(" ")), ("compared", self.looked_at.to_string())];
        let fields = fields.map(|(name, value)| (name.to_owned(), value)).into();
        Seen { value: self.count.to_string(), fields }
    }
}

/// How many of the documents that were changed last here the other region lacks.
pub(super) async fn lag(here: &Arc<Server>, there: &Arc<Server>) -> Result<Seen, Trouble> {
    let (mut link, mut other) = (here.connect().await?, there.connect().await?);
    let newest = format!("_changes?style=all_docs&descending=true&limit={CHANGES}");
    let (all, _) = leaves(&link.long_get(&here.path(&newest)).await?)?;
    let mut lacking = Lacking::default();
    lacking.add(&all, &mut other, there).await?;
    Ok(lacking.seen())
}

/// How many of all documents, deleted ones too, the other region lacks.
pub(super) async fn missing(here: &Arc<Server>, there: &Arc<Server>) -> Result<Seen, Trouble> {
    let (mut link, mut other) = (here.connect().await?, there.connect().await?);
    let (mut lacking, mut since) = (Lacking::default(), json!(0));
    loop {
        let (all, next) = leaves(&link.long_get(&here.path(&after(&since))).await?)?;
        // At the end the sequence is what it was, or an answer has nothing in it.
        if all.is_empty() || next == since {
            return Ok(lacking.seen());
        }
        lacking.add(&all, &mut other, there).await?;
        since = next;
    }
}

/// Writes a document here, and looks until it is there: `arrived`, or `missing` when most of the time is over.
pub(super) async fn canary(
    here: &Arc<Server>,
    there: &Arc<Server>,
    id: &str,
    limit: Duration,
) -> Result<Seen, Trouble> {
    let (mut link, mut other) = (here.connect().await?, there.connect().await?);
    let (own, far) = (here.path(&in_path(id)), there.path(&in_path(id)));
    let revision = write(&mut link, &own).await?;
    let began = Clock::System.mono();
    // The last look must still be answered within the limit.
    let end = began.after(limit.mul_f64(0.8));
    loop {
        let found = match other.call(Method::GET, &far, None).await {
            Ok(answer) => answer.body["_rev"].as_str().is_some_and(|there| generation(there) >= generation(&revision)),
            Err(Trouble::Refused(no)) if no.status == 404 && no.code == "not_found" => false,
            Err(trouble) => return Err(trouble),
        };
        let now = Clock::System.mono();
        if found || now >= end {
            let waited = now.since(began).as_millis().to_string();
            let value = if found { "arrived" } else { "missing" };
            return Ok(Seen { value: value.to_owned(), fields: [("ms".to_owned(), waited)].into() });
        }
        sleep(LOOK_EVERY).await;
    }
}

/// A new revision of the canary.
async fn write(link: &mut Link, path: &str) -> Result<String, Trouble> {
    let mut body = json!({});
    match link.call(Method::GET, path, None).await {
        Ok(answer) => body["_rev"] = answer.body["_rev"].clone(),
        Err(Trouble::Refused(no)) if no.status == 404 && no.code == "not_found" => {}
        Err(trouble) => return Err(trouble),
    }
    let answer = link.call(Method::PUT, path, Some(&body)).await?;
    let strange = || Trouble::Failed(Failure::Undecided("an answer to a write has no revision".to_owned()));
    answer.body["rev"].as_str().map(str::to_owned).ok_or_else(strange)
}

/// How often a document has been changed: what a revision begins with.
fn generation(revision: &str) -> u64 {
    revision.split('-').next().and_then(|number| number.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_read_with_all_their_leaves() {
        let answer = json!({"results": [
            {"seq": 3, "id": "a", "changes": [{"rev": "1-x"}, {"rev": "2-y"}]},
            {"seq": 4, "id": "b", "changes": [{"rev": "1-z"}], "deleted": true},
        ], "last_seq": "4-abc"});
        let (all, last) = leaves(&answer).unwrap();
        assert_eq!((all["a"].len(), all["b"].len(), last), (2, 1, json!("4-abc")));
        assert!(leaves(&json!({})).is_err());
    }

    #[test]
    fn sequences_are_numbers_or_texts() {
        assert!(after(&json!(0)).ends_with("&since=0"));
        assert!(after(&json!("4-g1A/+=")).ends_with("&since=4-g1A%2F%2B%3D"));
        assert_eq!((generation("12-abc"), generation("x")), (12, 0));
    }
}
