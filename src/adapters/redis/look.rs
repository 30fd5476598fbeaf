//! Questions about a Redis, for probes: its role, how far replicas are behind, how many primaries there are, what Sentinel
//! knows. What an answer means is the playbook's business.

use super::connection::{Connection, Trouble};
use super::discover::Guide;
use super::resp::Value;
use crate::adapters::AdapterError;
use crate::adapters::places::Address;
use crate::adapters::systems::{RedisAsk, Seen};
use futures_util::future::join_all;
use std::collections::{BTreeMap, BTreeSet};

/// One look.
pub(super) async fn look(guide: &Guide, ask: &RedisAsk) -> Result<Seen, AdapterError> {
    let label = &guide.place.label;
    let seen = match ask {
        RedisAsk::Role => role(guide).await,
        RedisAsk::Primary => Ok(primary(guide).await?),
        RedisAsk::Primaries => Ok(primaries(guide).await?),
        RedisAsk::Replicas => replicas(guide).await,
        RedisAsk::Lag => lag(guide).await,
        RedisAsk::Sentinels => Ok(sentinels(guide).await?),
        RedisAsk::Quorum => quorum(guide).await,
        RedisAsk::Info(field) => info(guide, field).await,
    };
    seen.map_err(|trouble| trouble.about(label))
}

fn seen(value: impl ToString) -> Seen {
    Seen { value: value.to_string(), fields: BTreeMap::new() }
}

/// Redis's own word for a replica is an old one.
fn word(role: &str) -> &str {
    if role == "slave" { "replica" } else { role }
}

async fn role_of(connection: &mut Connection) -> Result<String, Trouble> {
    let role = connection.must(&[b"ROLE"]).await?;
    Ok(word(&role.items().first().and_then(Value::text).unwrap_or_default()).to_owned())
}

async fn role(guide: &Guide) -> Result<Seen, Trouble> {
    let mut connection = guide.primary().await?;
    Ok(seen(role_of(&mut connection).await?))
}

/// `INFO` of one section: its lines `name:value`.
async fn section(connection: &mut Connection, name: &[u8]) -> Result<BTreeMap<String, String>, Trouble> {
    let text = connection.must(&[b"INFO", name]).await?.text().unwrap_or_default();
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    Ok(lines.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect())
}

async fn info(guide: &Guide, field: &str) -> Result<Seen, Trouble> {
    let mut connection = guide.primary().await?;
    let all = section(&mut connection, b"all").await?;
    all.get(field).map(seen).ok_or_else(|| Trouble::NotSent(format!("INFO has no field `{field}`")))
}

/// A replica as its primary sees it.
struct Replica {
    address: String,
    online: bool,
    offset: i64,
}

/// `slave0:ip=127.0.0.1,port=6380,state=online,offset=3221,lag=1`
fn followers(info: &BTreeMap<String, String>) -> Vec<Replica> {
    let lines = info.iter().filter(|(name, _)| {
        name.strip_prefix("slave")
            .is_some_and(|number| number.bytes().all(|b| b.is_ascii_digit()) && !number.is_empty())
    });
    lines
        .map(|(_, line)| {
            let fields: BTreeMap<&str, &str> = line.split(',').filter_map(|field| field.split_once('=')).collect();
            let of = |name| fields.get(name).copied().unwrap_or_default();
            Replica {
                address: format!("{}:{}", of("ip"), of("port")),
                online: of("state") == "online",
                offset: of("offset").parse().unwrap_or_default(),
            }
        })
        .collect()
}

async fn replicas(guide: &Guide) -> Result<Seen, Trouble> {
    let mut connection = guide.primary().await?;
    let online = followers(&section(&mut connection, b"replication").await?).into_iter().filter(|r| r.online);
    let names: Vec<String> = online.map(|replica| replica.address).collect();
    let mut seen = seen(names.len());
    seen.fields.insert("names".to_owned(), names.join(" "));
    Ok(seen)
}

/// Of the replica that is furthest behind, as its primary sees it. One that is not connected is not known to be anywhere.
async fn lag(guide: &Guide) -> Result<Seen, Trouble> {
    let mut connection = guide.primary().await?;
    let info = section(&mut connection, b"replication").await?;
    let written: i64 = info.get("master_repl_offset").and_then(|offset| offset.parse().ok()).unwrap_or_default();
    let furthest = followers(&info).into_iter().min_by_key(|replica| if replica.online { replica.offset } else { -1 });
    let furthest = furthest.ok_or_else(|| Trouble::NotSent("no replica is connected".to_owned()))?;
    if !furthest.online {
        return Err(Trouble::NotSent(format!("the replica {} is not online", furthest.address)));
    }
    let mut seen = seen((written - furthest.offset).max(0));
    seen.fields.insert("replica".to_owned(), furthest.address);
    Ok(seen)
}

/// Where the primary is, as Sentinel or the servers themselves say.
async fn primary(guide: &Guide) -> Result<Seen, AdapterError> {
    let connection = guide.primary().await.map_err(|trouble| trouble.about(&guide.place.label))?;
    Ok(seen(&connection.at))
}

/// How many servers say that they are the primary: those that the URL names, or that any Sentinel knows. One that does not
/// answer is not counted, and named.
async fn primaries(guide: &Guide) -> Result<Seen, AdapterError> {
    let servers: BTreeSet<Address> = match &guide.place.name {
        None => guide.place.addresses.iter().cloned().collect(),
        Some(name) => known_servers(guide, name).await?,
    };
    let each = servers.iter().map(|at| async move {
        let asked = async { role_of(&mut guide.server(at).await?).await };
        (at, tokio::time::timeout(guide.patience * 2, asked).await)
    });
    let (mut primaries, mut silent) = (Vec::new(), Vec::new());
    for (at, role) in join_all(each).await {
        match role {
            Ok(Ok(role)) if role == "master" => primaries.push(at.to_string()),
            Ok(Ok(_)) => {}
            Ok(Err(_)) | Err(_) => silent.push(at.to_string()),
        }
    }
    let mut seen = seen(primaries.len());
    seen.fields.insert("names".to_owned(), primaries.join(" "));
    seen.fields.insert("silent".to_owned(), silent.join(" "));
    Ok(seen)
}

/// The primary and the replicas that any Sentinel knows.
async fn known_servers(guide: &Guide, name: &str) -> Result<BTreeSet<Address>, AdapterError> {
    let each = guide.place.addresses.iter().map(|sentinel| async move {
        let mut connection = guide.sentinel(sentinel).await?;
        let of = |pairs: &BTreeMap<String, String>| {
            let port = pairs.get("port").and_then(|port| port.parse().ok())?;
            Some(Address { host: pairs.get("ip")?.clone(), port })
        };
        let master = connection.must(&[b"SENTINEL", b"MASTER", name.as_bytes()]).await?;
        let replicas = connection.must(&[b"SENTINEL", b"REPLICAS", name.as_bytes()]).await?;
        let all = std::iter::once(&master).chain(replicas.items());
        Ok::<Vec<Address>, Trouble>(all.filter_map(|entry| of(&entry.pairs().collect())).collect())
    });
    let mut found = BTreeSet::new();
    let mut last = None;
    for answer in join_all(each).await {
        match answer {
            Ok(servers) => found.extend(servers),
            Err(trouble) => last = Some(trouble),
        }
    }
    match last {
        Some(trouble) if found.is_empty() => Err(trouble.about(&guide.place.label)),
        _ => Ok(found),
    }
}

/// How many Sentinels name the same primary; those that name another one, or do not answer, are in the fields.
async fn sentinels(guide: &Guide) -> Result<Seen, AdapterError> {
    let name = by_sentinel(guide).map_err(|trouble| trouble.about(&guide.place.label))?;
    let each = guide.place.addresses.iter().map(|sentinel| guide.ask_sentinel(sentinel, name));
    let mut views: BTreeMap<String, usize> = BTreeMap::new();
    let mut silent = 0_usize;
    for answer in join_all(each).await {
        match answer {
            Ok(address) => *views.entry(address.to_string()).or_default() += 1,
            Err(_) => silent += 1,
        }
    }
    let most = views.iter().max_by_key(|(_, count)| **count);
    let mut seen = seen(most.map_or(0, |(_, count)| *count));
    let others = views.values().sum::<usize>() - most.map_or(0, |(_, count)| *count);
    seen.fields.insert("primary".to_owned(), most.map(|(address, _)| address.clone()).unwrap_or_default());
    seen.fields.insert("others".to_owned(), others.to_string());
    seen.fields.insert("silent".to_owned(), silent.to_string());
    Ok(seen)
}

fn by_sentinel(guide: &Guide) -> Result<&str, Trouble> {
    let none = || Trouble::NotSent("its URL names no Sentinel (write redis+sentinel://…)".to_owned());
    guide.place.name.as_deref().ok_or_else(none)
}

/// Could Sentinel fail over now? `yes`, or `no` with the reason.
async fn quorum(guide: &Guide) -> Result<Seen, Trouble> {
    let name = by_sentinel(guide)?;
    let mut last = Trouble::NotSent("no Sentinel is named".to_owned());
    for sentinel in &guide.place.addresses {
        let asked = async {
            let mut connection = guide.sentinel(sentinel).await?;
            connection.ask(&[b"SENTINEL", b"CKQUORUM", name.as_bytes()]).await
        };
        match asked.await {
            Ok(Value::Refused(refusal)) => {
                let mut seen = seen("no");
                seen.fields.insert("why".to_owned(), refusal.words);
                return Ok(seen);
            }
            Ok(_) => return Ok(seen("yes")),
            Err(trouble) => last = trouble,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_are_read_from_what_the_primary_says() {
        let info = [
            ("slave0", "ip=127.0.0.1,port=6380,state=online,offset=3221,lag=1"),
            ("slave1", "ip=::1,port=6381,state=wait_bgsave,offset=0,lag=0"),
            ("slave_read_only", "1"),
            ("connected_slaves", "2"),
        ];
        let info = info.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let all: Vec<(String, bool, i64)> =
            followers(&info).into_iter().map(|r| (r.address, r.online, r.offset)).collect();
        assert_eq!(all, [("127.0.0.1:6380".to_owned(), true, 3221), ("::1:6381".to_owned(), false, 0)]);
    }
}
