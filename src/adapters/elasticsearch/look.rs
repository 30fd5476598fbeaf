//! Questions about an Elasticsearch cluster, for probes: how it is, which node leads, where primaries are, how many
//! documents there are. What an answer means is the playbook's business.

use super::rest::{Cluster, Link, Trouble};
use crate::adapters::AdapterError;
use crate::adapters::connection::Failure;
use crate::adapters::systems::{ElasticAsk, Seen};
use futures_util::future::join_all;
use hyper::Method;
use serde_json::Value;
use std::collections::BTreeMap;
use tokio::time::timeout;

/// One look.
pub(super) async fn look(cluster: &Cluster, ask: &ElasticAsk) -> Result<Seen, AdapterError> {
    let seen = match ask {
        ElasticAsk::Status => health(cluster, "status").await,
        ElasticAsk::Primaries => health(cluster, "active_primary_shards").await,
        ElasticAsk::Unassigned => health(cluster, "unassigned_shards").await,
        ElasticAsk::Nodes => health(cluster, "number_of_nodes").await,
        ElasticAsk::Answering => Ok(answering(cluster).await),
        ElasticAsk::Master => master(cluster).await,
        ElasticAsk::Primary(index) => primary(cluster, index).await,
        ElasticAsk::Copies(index) => copies(cluster, index).await,
        ElasticAsk::Docs(index) => docs(cluster, index).await,
    };
    seen.map_err(|trouble| cluster.about("asking", "monitor, or for documents read and maintenance", trouble))
}

fn seen(value: impl ToString) -> Seen {
    Seen { value: value.to_string(), fields: BTreeMap::new() }
}

fn unknown(why: &str) -> Trouble {
    Trouble::Failed(Failure::NotSent(why.to_owned()))
}

/// A text or a number as text.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The first node that answers; one that is there and says nothing is passed over.
async fn ask(cluster: &Cluster, method: Method, path: &str) -> Result<(Link, Value), Trouble> {
    let mut last = unknown("no node is named");
    for number in 0..cluster.nodes.len() {
        let asked = async {
            let mut link = cluster.link(number).await?;
            let answer = link.call(method.clone(), path, None).await?;
            Ok((link, answer))
        };
        match timeout(cluster.patience * 2, asked).await {
            Ok(Ok(found)) => return Ok(found),
            Ok(Err(trouble)) => last = trouble,
            Err(_) => last = unknown("no answer in time"),
        }
    }
    Err(last)
}

async fn health(cluster: &Cluster, name: &str) -> Result<Seen, Trouble> {
    let (_, answer) = ask(cluster, Method::GET, "/_cluster/health").await?;
    let mut seen = seen(text(&answer[name]));
    for (field, of) in [
        ("status", "status"),
        ("nodes", "number_of_nodes"),
        ("primaries", "active_primary_shards"),
        ("unassigned", "unassigned_shards"),
    ] {
        seen.fields.insert(field.to_owned(), text(&answer[of]));
    }
    Ok(seen)
}

/// How many of the nodes that the URL names answer by themselves.
async fn answering(cluster: &Cluster) -> Seen {
    let all = (0..cluster.nodes.len()).map(|number| async move {
        let asked = async { cluster.link(number).await?.call(Method::GET, "/", None).await };
        let answers = matches!(timeout(cluster.patience * 2, asked).await, Ok(Ok(_)));
        (cluster.nodes[number].at.to_string(), answers)
    });
    let (good, bad): (Vec<_>, Vec<_>) = join_all(all).await.into_iter().partition(|(_, answers)| *answers);
    let mut seen = seen(good.len());
    let names = |list: Vec<(String, bool)>| list.into_iter().map(|(at, _)| at).collect::<Vec<_>>().join(" ");
    seen.fields.insert("silent".to_owned(), names(bad));
    seen
}

async fn master(cluster: &Cluster) -> Result<Seen, Trouble> {
    let (_, answer) = ask(cluster, Method::GET, "/_cat/nodes?format=json&h=name,master").await?;
    let leads = answer.as_array().into_iter().flatten().find(|node| node["master"] == "*");
    Ok(seen(text(&leads.ok_or_else(|| unknown("no node is the master"))?["name"])))
}

/// Its shards, as the cluster lists them.
async fn shards(cluster: &Cluster, index: &str) -> Result<Vec<Value>, Trouble> {
    let path = format!("/_cat/shards/{index}?format=json&h=index,shard,prirep,state,node");
    match ask(cluster, Method::GET, &path).await?.1 {
        Value::Array(rows) => Ok(rows),
        _ => Err(unknown("an answer without shards")),
    }
}

/// Does it take documents? One that is on its way to another node still does.
fn is_active(shard: &Value) -> bool {
    ["STARTED", "RELOCATING"].iter().any(|state| shard["state"] == *state)
}

/// The node that holds a shard: of one on its way, `FROM -> ADDRESS ID TO`, the one it leaves.
fn node(shown: &str) -> &str {
    shown.split(" -> ").next().unwrap_or(shown).trim_end()
}

/// The node, or nodes, that hold the primaries of an index.
async fn primary(cluster: &Cluster, index: &str) -> Result<Seen, Trouble> {
    let rows = shards(cluster, index).await?;
    let active = rows.iter().filter(|row| row["prirep"] == "p" && is_active(row));
    let mut names: Vec<String> = active.map(|row| node(&text(&row["node"])).to_owned()).collect();
    names.sort();
    names.dedup();
    if names.is_empty() { Err(unknown("no primary is active")) } else { Ok(seen(names.join(" "))) }
}

/// How many copies of every shard of an index are active: of the shard that has the fewest.
async fn copies(cluster: &Cluster, index: &str) -> Result<Seen, Trouble> {
    let mut by_shard: BTreeMap<String, u64> = BTreeMap::new();
    for row in shards(cluster, index).await? {
        *by_shard.entry(text(&row["index"]) + "/" + &text(&row["shard"])).or_default() += u64::from(is_active(&row));
    }
    let (shard, fewest) = by_shard.iter().min_by_key(|(_, copies)| **copies).ok_or_else(|| unknown("no shard"))?;
    let mut seen = seen(fewest);
    seen.fields.insert("shard".to_owned(), shard.clone());
    Ok(seen)
}

/// How many documents there are, all that was written before shown first.
async fn docs(cluster: &Cluster, index: &str) -> Result<Seen, Trouble> {
    let (mut link, _) = ask(cluster, Method::POST, &format!("/{index}/_refresh")).await?;
    let answer = link.call(Method::GET, &format!("/{index}/_count"), None).await?;
    match answer["_shards"]["failed"].as_u64() {
        Some(0) => Ok(seen(text(&answer["count"]))),
        _ => Err(unknown("not all shards were counted")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_shard_on_its_way_is_active_where_it_was() {
        let row = |state: &str| json!({"state": state});
        let active = ["STARTED", "RELOCATING", "INITIALIZING", "UNASSIGNED"].map(|state| is_active(&row(state)));
        assert_eq!(active, [true, true, false, false]);
        assert_eq!((node("e1 -> 10.0.0.3 x7hR e3"), node("my node")), ("e1", "my node"));
    }
}
