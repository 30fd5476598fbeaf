//! Questions about an etcd cluster, for probes: who leads, who serves, how far members are behind, what alarms there are.
//! What an answer means is the playbook's business.

use super::gateway::{Gateway, Trouble, id, number};
use crate::adapters::connection::Failure;
use crate::adapters::record_keys::end_of;
use crate::adapters::systems::{EtcdAsk, Seen};
use crate::adapters::{AdapterError, base64};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tokio::time::timeout;

/// One look.
pub(super) async fn look(gateway: &Gateway, ask: &EtcdAsk) -> Result<Seen, AdapterError> {
    let seen = match ask {
        EtcdAsk::Leader => leader(gateway).await,
        EtcdAsk::Leaders => Ok(leaders(gateway).await),
        EtcdAsk::Serving => Ok(serving(gateway).await),
        EtcdAsk::Lag => lag(gateway).await,
        EtcdAsk::Same => same(gateway).await,
        EtcdAsk::Revision => revision(gateway).await,
        EtcdAsk::Alarms => alarms(gateway).await,
        EtcdAsk::Keys(prefix) => keys(gateway, prefix).await,
    };
    seen.map_err(|trouble| gateway.about("asking", trouble))
}

fn seen(value: impl ToString) -> Seen {
    Seen { value: value.to_string(), fields: BTreeMap::new() }
}

fn unknown(why: &str) -> Trouble {
    Trouble::Failed(Failure::NotSent(why.to_owned()))
}

/// What one member says of itself.
struct Status {
    at: String,
    member: u64,
    leader: u64,
    term: i64,
    applied: i64,
    revision: i64,
}

/// The same call to every member at the same time; none from those that do not answer.
async fn each(gateway: &Gateway, path: &str, body: &Value) -> Vec<(String, Option<Value>)> {
    let all = (0..gateway.members.len()).map(|number| async move {
        let asked = async { gateway.link(number).await?.call(path, body).await };
        let answer = timeout(gateway.patience * 2, asked).await;
        (gateway.members[number].at.to_string(), answer.ok().and_then(Result::ok))
    });
    join_all(all).await
}

/// Those that answer, and the addresses of those that do not.
async fn statuses(gateway: &Gateway) -> (Vec<Status>, String) {
    let (mut found, mut silent) = (Vec::new(), Vec::new());
    for (at, answer) in each(gateway, "/v3/maintenance/status", &json!({})).await {
        let Some(answer) = answer else {
            silent.push(at);
            continue;
        };
        found.push(Status {
            at,
            member: id(&answer["header"]["member_id"]),
            leader: id(&answer["leader"]),
            term: number(&answer["raftTerm"]),
            applied: number(&answer["raftAppliedIndex"]),
            revision: number(&answer["header"]["revision"]),
        });
    }
    (found, silent.join(" "))
}

/// The member that says itself that it leads, in the latest term.
async fn leader(gateway: &Gateway) -> Result<Seen, Trouble> {
    let (all, silent) = statuses(gateway).await;
    let leading = all.iter().filter(|status| status.member == status.leader && status.leader != 0);
    let leading = leading.max_by_key(|status| status.term).ok_or_else(|| unknown("no member says that it leads"))?;
    let mut seen = seen(&leading.at);
    seen.fields.insert("term".to_owned(), leading.term.to_string());
    let agree = all.iter().filter(|status| status.leader == leading.member).count();
    seen.fields.insert("agree".to_owned(), agree.to_string());
    seen.fields.insert("silent".to_owned(), silent);
    Ok(seen)
}

/// How many members say of themselves that they lead.
async fn leaders(gateway: &Gateway) -> Seen {
    let (all, silent) = statuses(gateway).await;
    let leading: Vec<&Status> = all.iter().filter(|s| s.member == s.leader && s.leader != 0).collect();
    let mut seen = seen(leading.len());
    let names: Vec<&str> = leading.iter().map(|status| status.at.as_str()).collect();
    seen.fields.insert("names".to_owned(), names.join(" "));
    seen.fields.insert("silent".to_owned(), silent);
    seen
}

/// How many members answer a read that a majority has to agree to.
async fn serving(gateway: &Gateway) -> Seen {
    let range = json!({"key": base64::encoded(b"blackstart.nobody"), "count_only": true});
    let all = each(gateway, "/v3/kv/range", &range).await;
    let (good, bad): (Vec<_>, Vec<_>) = all.into_iter().partition(|(_, answer)| answer.is_some());
    let names = |list: Vec<(String, Option<Value>)>| list.into_iter().map(|(at, _)| at).collect::<Vec<_>>().join(" ");
    let mut seen = seen(good.len());
    seen.fields.insert("names".to_owned(), names(good));
    seen.fields.insert("others".to_owned(), names(bad));
    seen
}

/// Entries that the furthest member has not applied and another one has.
async fn lag(gateway: &Gateway) -> Result<Seen, Trouble> {
    let (all, silent) = statuses(gateway).await;
    if !silent.is_empty() {
        return Err(unknown(&format!("no answer from {silent}")));
    }
    let furthest = all.iter().min_by_key(|status| status.applied).ok_or_else(|| unknown("no member is named"))?;
    let most = all.iter().map(|status| status.applied).max().unwrap_or_default();
    let mut seen = seen(most - furthest.applied);
    seen.fields.insert("member".to_owned(), furthest.at.clone());
    Ok(seen)
}

/// How many members hold the same data: their own hashes of all keys up to a revision that all of them have.
async fn same(gateway: &Gateway) -> Result<Seen, Trouble> {
    let (all, silent) = statuses(gateway).await;
    let revision = all.iter().map(|status| status.revision).min().ok_or_else(|| unknown("no member answers"))?;
    let mut hashes: BTreeMap<(u64, i64), Vec<String>> = BTreeMap::new();
    for (at, answer) in each(gateway, "/v3/maintenance/hash", &json!({"revision": revision})).await {
        if let Some(answer) = answer {
            hashes.entry((id(&answer["hash"]), number(&answer["compact_revision"]))).or_default().push(at);
        }
    }
    let most = hashes.values().map(Vec::len).max().unwrap_or_default();
    let mut seen = seen(most);
    seen.fields.insert("revision".to_owned(), revision.to_string());
    let groups: Vec<String> = hashes.values().map(|names| names.join(" ")).collect();
    seen.fields.insert("groups".to_owned(), if groups.len() > 1 { groups.join(" | ") } else { String::new() });
    seen.fields.insert("silent".to_owned(), silent);
    Ok(seen)
}

/// A count of keys with this beginning, at the latest revision.
async fn keys(gateway: &Gateway, prefix: &str) -> Result<Seen, Trouble> {
    let mut link = gateway.connect(0).await?;
    // All keys: from the least to no end.
    let (from, to) = if prefix.is_empty() { (vec![0], vec![0]) } else { (prefix.as_bytes().to_vec(), end_of(prefix)) };
    let range = json!({"key": base64::encoded(&from), "range_end": base64::encoded(&to), "count_only": true});
    let answer = link.call("/v3/kv/range", &range).await?;
    let mut seen = seen(number(&answer["count"]));
    seen.fields.insert("revision".to_owned(), number(&answer["header"]["revision"]).to_string());
    Ok(seen)
}

async fn revision(gateway: &Gateway) -> Result<Seen, Trouble> {
    let mut link = gateway.connect(0).await?;
    let range = json!({"key": base64::encoded(b"blackstart.nobody"), "count_only": true});
    let answer = link.call("/v3/kv/range", &range).await?;
    Ok(seen(number(&answer["header"]["revision"])))
}

/// How many alarms there are (no space left, corruption).
async fn alarms(gateway: &Gateway) -> Result<Seen, Trouble> {
    let mut link = gateway.connect(0).await?;
    let answer = link.call("/v3/maintenance/alarm", &json!({"action": "GET"})).await?;
    let all = answer["alarms"].as_array().map(Vec::as_slice).unwrap_or_default();
    let names: Vec<&str> = all.iter().filter_map(|alarm| alarm["alarm"].as_str()).collect();
    let mut seen = seen(all.len());
    seen.fields.insert("names".to_owned(), names.join(" "));
    Ok(seen)
}
