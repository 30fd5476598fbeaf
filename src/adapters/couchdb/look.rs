//! Questions about a database of a CouchDB, for probes: how much it holds, which documents are in conflict, what its
//! replications say of themselves, and what another region lacks. What an answer means is the playbook's business.

use super::compare::{after, canary, lag, leaves, missing};
use super::keys::{CANARY, in_path};
use super::server::{Link, Server, Trouble};
use crate::adapters::AdapterError;
use crate::adapters::connection::Failure;
use crate::adapters::systems::{CouchdbAsk, CouchdbQuestion, Seen};
use hyper::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// So many names are told.
const NAMED: usize = 10;
/// Replications of one server that are looked at.
const REPLICATIONS: usize = 1_000;

/// One look. `there` is the other region, for questions about two.
pub(super) async fn look(
    here: &Arc<Server>,
    there: Option<&Arc<Server>>,
    question: &CouchdbQuestion,
    limit: Duration,
) -> Result<Seen, AdapterError> {
    let other = || there.ok_or_else(|| AdapterError::Missing("this question needs another region: `to`".to_owned()));
    let seen = match question.ask {
        CouchdbAsk::Documents => documents(here).await,
        CouchdbAsk::Conflicts => conflicts(here).await,
        CouchdbAsk::Replications => replications(here).await.map(|(good, _)| good),
        CouchdbAsk::Broken => replications(here).await.map(|(_, bad)| bad),
        CouchdbAsk::Lag => lag(here, other()?).await,
        CouchdbAsk::Missing => missing(here, other()?).await,
        // Each direction has a document of its own: two that change one would make a conflict.
        CouchdbAsk::Canary => canary(here, other()?, &format!("{CANARY}{}:{}", question.run, here.at), limit).await,
    };
    seen.map_err(|trouble| match there {
        Some(there) => here.about(&format!("asking, with {}", there.label), trouble),
        None => here.about("asking", trouble),
    })
}

fn counted(names: &[String]) -> Seen {
    let first = names.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(" ");
    Seen { value: names.len().to_string(), fields: BTreeMap::from([("names".to_owned(), first)]) }
}

async fn documents(server: &Arc<Server>) -> Result<Seen, Trouble> {
    let mut link = server.connect().await?;
    let answer = link.call(Method::GET, &server.path(""), None).await?;
    let strange = || Trouble::Failed(Failure::Undecided("an answer says not how many documents there are".to_owned()));
    let count = answer.body["doc_count"].as_u64().ok_or_else(strange)?;
    Ok(Seen { value: count.to_string(), fields: BTreeMap::new() })
}

/// Documents that have more than one revision which nobody has joined or deleted.
async fn conflicts(server: &Arc<Server>) -> Result<Seen, Trouble> {
    let mut link = server.connect().await?;
    let (mut since, mut found) = (json!(0), Vec::new());
    loop {
        let (all, next) = leaves(&link.long_get(&server.path(&after(&since))).await?)?;
        if all.is_empty() || next == since {
            return Ok(counted(&found));
        }
        // A deleted revision is a leaf too, and no conflict.
        for id in all.into_iter().filter(|(_, leaves)| leaves.len() > 1).map(|(id, _)| id) {
            if in_conflict(&mut link, server, &id).await? {
                found.push(id);
            }
        }
        since = next;
    }
}

async fn in_conflict(link: &mut Link, server: &Server, id: &str) -> Result<bool, Trouble> {
    match link.long_get(&format!("{}?conflicts=true", server.path(&in_path(id)))).await {
        Ok(document) => Ok(document["_conflicts"].as_array().is_some_and(|others| !others.is_empty())),
        Err(Trouble::Refused(no)) if no.status == 404 && no.code == "not_found" => Ok(false),
        Err(trouble) => Err(trouble),
    }
}

/// A replication as its server tells of it.
#[derive(Debug, PartialEq, Eq)]
struct Replication {
    name: String,
    state: String,
}

impl Replication {
    /// `running`, `pending` and `initializing` are the scheduler's words (CouchDB 2.1 and later), `triggered` those of
    /// documents in `_replicator` before, and of others that speak the protocol.
    fn works(&self) -> bool {
        ["running", "pending", "initializing", "triggered"].contains(&self.state.as_str())
    }
}

/// Continuous replications from or to this database: those that work by their own words, and those that do not.
async fn replications(server: &Arc<Server>) -> Result<(Seen, Seen), Trouble> {
    let mut link = server.connect().await?;
    let all = match scheduled(&mut link, server).await? {
        Some(all) => all,
        None => described(&mut link, server).await?,
    };
    let (good, bad): (Vec<_>, Vec<_>) = all.into_iter().partition(Replication::works);
    let names = |all: &[Replication]| all.iter().map(|one| format!("{} ({})", one.name, one.state)).collect::<Vec<_>>();
    let (mut working, broken) = (counted(&names(&good)), counted(&names(&bad)));
    if good.is_empty() && bad.is_empty() {
        let why =
            format!("no continuous replication of this server has the database `{}` at an end", server.database());
        working.fields.insert("missing".to_owned(), why);
    }
    Ok((working, broken))
}

/// What the scheduler says; none where there is none. It lists a replication that is not continuous only until it is done.
async fn scheduled(link: &mut Link, server: &Server) -> Result<Option<Vec<Replication>>, Trouble> {
    let path = server.server_path(&format!("_scheduler/docs?limit={REPLICATIONS}"));
    let answer = match link.long_get(&path).await {
        Ok(answer) => answer,
        Err(Trouble::Refused(no)) if [400, 404, 405].contains(&no.status) => return Ok(None),
        Err(trouble) => return Err(trouble),
    };
    let strange = || Trouble::Failed(Failure::Undecided("a list of replications cannot be read".to_owned()));
    let docs = answer["docs"].as_array().ok_or_else(strange)?;
    Ok(Some(of_scheduler(docs, &server.database())))
}

fn of_scheduler(docs: &[Value], database: &str) -> Vec<Replication> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let ours = docs.iter().filter(|doc| concerns(doc, database) && doc["state"] != json!("completed"));
    ours.map(|doc| Replication { name: text(&doc["doc_id"]), state: text(&doc["state"]) }).collect()
}

/// What the documents say.
async fn described(link: &mut Link, server: &Server) -> Result<Vec<Replication>, Trouble> {
    let path = server.server_path(&format!("_replicator/_all_docs?include_docs=true&limit={REPLICATIONS}"));
    let answer = link.long_get(&path).await?;
    let strange = || Trouble::Failed(Failure::Undecided("a list of replications cannot be read".to_owned()));
    Ok(of_documents(answer["rows"].as_array().ok_or_else(strange)?, &server.database()))
}

fn of_documents(rows: &[Value], database: &str) -> Vec<Replication> {
    let docs = rows.iter().map(|row| &row["doc"]);
    let ours = docs.filter(|doc| doc["continuous"] == json!(true) && concerns(doc, database));
    let text = |value: &Value, other: &str| value.as_str().unwrap_or(other).to_owned();
    let one =
        |doc: &Value| Replication { name: text(&doc["_id"], ""), state: text(&doc["_replication_state"], "not begun") };
    ours.map(one).collect()
}

/// Is this database the source or the target?
fn concerns(doc: &Value, database: &str) -> bool {
    ["source", "target"].iter().any(|end| {
        let url = doc[end].as_str().or(doc[end]["url"].as_str()).unwrap_or_default();
        let last = url.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        crate::adapters::places::decoded(last).as_deref() == Some(database)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(all: &[Replication]) -> Vec<(&str, &str, bool)> {
        all.iter().map(|one| (one.name.as_str(), one.state.as_str(), one.works())).collect()
    }

    #[test]
    fn the_scheduler_says_what_works() {
        let end = "http://h/shop";
        let docs = [
            json!({"doc_id": "a", "state": "running", "source": end, "target": "http://o/x/shop/"}),
            json!({"doc_id": "b", "state": "crashing", "source": "http://o/other", "target": end}),
            json!({"doc_id": "c", "state": "completed", "source": end, "target": end}),
            json!({"doc_id": "d", "state": "running", "source": "http://h/other", "target": "http://o/other"}),
            json!({"doc_id": "e", "state": null, "source": {"url": end}, "target": "http://o/other"}),
        ];
        let all = of_scheduler(&docs, "shop");
        assert_eq!(told(&all), [("a", "running", true), ("b", "crashing", false), ("e", "", false)]);
    }

    #[test]
    fn documents_say_it_where_there_is_no_scheduler() {
        let row = |doc: Value| json!({"id": "x", "doc": doc});
        let rows = [
            row(
                json!({"_id": "a", "continuous": true, "source": "shop", "target": "u", "_replication_state": "triggered"}),
            ),
            row(
                json!({"_id": "b", "continuous": true, "source": "u", "target": "shop", "_replication_state": "error"}),
            ),
            row(json!({"_id": "c", "continuous": true, "source": "shop", "target": "u"})),
            row(json!({"_id": "d", "source": "shop", "target": "u", "_replication_state": "triggered"})),
            row(json!({"_id": "_design/_replicator"})),
        ];
        let all = of_documents(&rows, "shop");
        assert_eq!(told(&all), [("a", "triggered", true), ("b", "error", false), ("c", "not begun", false)]);
    }
}
