//! Questions about MySQL and MariaDB servers, for probes: roles, who takes writes, lag, semi-synchronous replication. What an
//! answer means is the playbook's business.

use super::gtid;
use super::replica::{Channel, channels};
use super::server::{Server, Trouble, text, trouble};
use crate::adapters::AdapterError;
use crate::adapters::systems::{MysqlAsk, Seen};
use futures_util::future::join_all;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row};
use std::collections::BTreeMap;

/// One look.
pub(super) async fn look(server: &Server, ask: &MysqlAsk) -> Result<Seen, AdapterError> {
    let seen = match ask {
        MysqlAsk::Role => role(server).await,
        MysqlAsk::ReadOnly => read_only(server).await,
        MysqlAsk::Primary => primaries(server).await.map(|names| seen(names.join(" "))),
        MysqlAsk::Primaries => primaries(server).await.map(|names| with(seen(names.len()), "names", names.join(" "))),
        MysqlAsk::Replicas => replicas(server).await,
        MysqlAsk::Replicating => replicating(server).await,
        MysqlAsk::Lag => lag(server).await,
        MysqlAsk::LagTransactions => lag_transactions(server).await,
        MysqlAsk::SemiSync => semi_sync(server).await,
        MysqlAsk::Variable(name) => one(server, "variables", name).await,
        MysqlAsk::Status(name) => one(server, "status", name).await,
    };
    seen.map_err(|trouble| server.about("asking", &trouble))
}

fn seen(value: impl ToString) -> Seen {
    Seen { value: value.to_string(), fields: BTreeMap::new() }
}

fn with(mut seen: Seen, name: &str, value: impl ToString) -> Seen {
    seen.fields.insert(name.to_owned(), value.to_string());
    seen
}

fn unknown(why: impl Into<String>) -> Trouble {
    Trouble::NotSent(why.into())
}

/// The first server that the URL names.
async fn first(server: &Server) -> Result<Conn, Trouble> {
    match server.members().first() {
        Some(member) => server.reach(member).await,
        None => Err(unknown("the URL names no server")),
    }
}

/// The first row of a query.
async fn row(conn: &mut Conn, query: &str) -> Result<Option<Row>, Trouble> {
    conn.query_first::<Row, _>(query).await.map_err(|e| trouble(&e))
}

/// The first value of a query.
async fn value(conn: &mut Conn, query: &str) -> Result<Option<String>, Trouble> {
    Ok(row(conn, query).await?.and_then(|row| text(&row, 0)))
}

async fn is_mariadb(conn: &mut Conn) -> Result<bool, Trouble> {
    Ok(value(conn, "select version()").await?.is_some_and(|version| version.contains("MariaDB")))
}

async fn takes_writes(conn: &mut Conn) -> Result<bool, Trouble> {
    Ok(value(conn, "select @@global.read_only").await?.as_deref() == Some("0"))
}

async fn role(server: &Server) -> Result<Seen, Trouble> {
    let mut conn = first(server).await?;
    let follows: Vec<String> = channels(&mut conn).await?.into_iter().map(|channel| channel.source).collect();
    let seen = seen(if follows.is_empty() { "primary" } else { "replica" });
    Ok(with(seen, "follows", follows.join(" ")))
}

async fn read_only(server: &Server) -> Result<Seen, Trouble> {
    let mut conn = first(server).await?;
    Ok(seen(if takes_writes(&mut conn).await? { "no" } else { "yes" }))
}

/// The servers that take writes. One that does not answer takes none.
async fn primaries(server: &Server) -> Result<Vec<String>, Trouble> {
    let all = join_all(server.members().iter().map(|member| async {
        let asked = async { takes_writes(&mut server.reach(member).await?).await };
        (member.at.to_string(), asked.await)
    }));
    let all = all.await;
    // Whoever lets nobody in might take writes all the same.
    if let Some((at, Err(Trouble::Refused(why)))) =
        all.iter().find(|(_, asked)| matches!(asked, Err(Trouble::Refused(_))))
    {
        return Err(Trouble::Refused(format!("{at}: {why}")));
    }
    Ok(all.into_iter().filter(|(_, asked)| matches!(asked, Ok(true))).map(|(at, _)| at).collect())
}

/// How many replicas the primary has connected, and what is missing if there is none.
async fn replicas(server: &Server) -> Result<Seen, Trouble> {
    let mut conn = server.open().await?;
    let query = if is_mariadb(&mut conn).await? {
        "select variable_value from information_schema.global_status where variable_name = 'SLAVES_CONNECTED'"
    } else {
        "select count(*) from performance_schema.threads where processlist_command like 'Binlog Dump%'"
    };
    let count = value(&mut conn, query).await?;
    let count: u64 = count.and_then(|text| text.parse().ok()).ok_or_else(|| unknown("the server does not say"))?;
    let seen = seen(count);
    if count > 0 { Ok(seen) } else { Ok(with(seen, "missing", missing(&mut conn).await?)) }
}

/// What a server without replicas lacks.
async fn missing(conn: &mut Conn) -> Result<String, Trouble> {
    let settings = row(conn, "select @@global.log_bin, @@global.server_id").await?;
    let of = |at| settings.as_ref().and_then(|row| text(row, at)).unwrap_or_default();
    Ok(match (of(0).as_str(), of(1).as_str()) {
        ("0", _) => "nobody can follow this server: its binary log is off (`log_bin`)".to_owned(),
        (_, "0") => "nobody can follow this server: it has no number (`server_id`)".to_owned(),
        _ => "no replica is connected to it: `change master to …; start slave` there (MySQL: `change replication \
              source to …; start replica`)"
            .to_owned(),
    })
}

/// A server, the channels on which it follows others, and what is known of it.
struct Followed {
    at: String,
    channels: Result<Vec<Channel>, Trouble>,
}

/// What each server that the URL names says.
async fn followed(server: &Server) -> Vec<Followed> {
    let mut all = Vec::new();
    for member in server.members() {
        let asked = async { channels(&mut server.reach(member).await?).await };
        all.push(Followed { at: member.at.to_string(), channels: asked.await });
    }
    all
}

/// How many of the servers follow another one, in order.
async fn replicating(server: &Server) -> Result<Seen, Trouble> {
    let (mut good, mut others) = (Vec::new(), Vec::new());
    for Followed { at, channels } in followed(server).await {
        match channels {
            Err(Trouble::Refused(why)) => return Err(Trouble::Refused(format!("{at}: {why}"))),
            Err(_) => others.push(format!("{at} does not answer")),
            Ok(channels) if channels.is_empty() => others.push(format!("{at} follows nobody")),
            Ok(channels) => match channels.iter().find_map(Channel::trouble) {
                Some(why) => others.push(format!("{at} {why}")),
                None => good.push(at),
            },
        }
    }
    Ok(with(with(seen(good.len()), "names", good.join(" ")), "others", others.join(", ")))
}

/// Seconds that the furthest replica is behind, by its own word.
async fn lag(server: &Server) -> Result<Seen, Trouble> {
    let mut furthest: Option<(u64, String)> = None;
    for Followed { at, channels } in followed(server).await {
        for channel in channels.map_err(|trouble| at_fault(&at, trouble))? {
            let cannot = || unknown(format!("{at} {}", channel.trouble().unwrap_or_else(|| "cannot say".to_owned())));
            let behind = channel.behind.ok_or_else(cannot)?;
            if furthest.as_ref().is_none_or(|(most, _)| behind > *most) {
                furthest = Some((behind, at.clone()));
            }
        }
    }
    let (behind, at) = furthest.ok_or_else(|| unreplicated(server))?;
    Ok(with(seen(behind), "replica", at))
}

fn at_fault(at: &str, trouble: Trouble) -> Trouble {
    match trouble {
        Trouble::NotSent(why) => Trouble::NotSent(format!("{at}: {why}")),
        Trouble::Late(why) => Trouble::Late(format!("{at}: {why}")),
        Trouble::Refused(why) => Trouble::Refused(format!("{at}: {why}")),
        resources @ Trouble::Resources(_) => resources,
    }
}

fn unreplicated(server: &Server) -> Trouble {
    unknown(match server.members() {
        [_] => {
            "this server follows nobody: it is not a replica. Name the replicas in the URL too (HOST:PORT,HOST:PORT), or \
                set up replication"
        }
        _ => "none of these servers follows another one: there is no replication",
    })
}

/// Transactions that the primary has and the furthest replica has not.
async fn lag_transactions(server: &Server) -> Result<Seen, Trouble> {
    let mut primary = server.open().await?;
    let mariadb = is_mariadb(&mut primary).await?;
    let own = if mariadb { "select @@global.gtid_binlog_pos" } else { "select @@global.gtid_executed" };
    let mut furthest: Option<(u64, String)> = None;
    for member in server.members() {
        let asked = async {
            let mut conn = server.reach(member).await?;
            if takes_writes(&mut conn).await? {
                return Ok(None);
            }
            let query = if mariadb { "select @@global.gtid_slave_pos" } else { own };
            value(&mut conn, query).await
        };
        let Some(has) = asked.await.map_err(|trouble| at_fault(&member.at.to_string(), trouble))? else { continue };
        // Asked afterwards: what the replica had, the primary had before.
        let behind = if mariadb {
            let all = value(&mut primary, own).await?.unwrap_or_default();
            gtid::position(&all).zip(gtid::position(&has)).map(|(all, has)| gtid::ahead(&all, &has))
        } else {
            let query = format!("select gtid_subtract(@@global.gtid_executed, '{}')", has.replace('\'', ""));
            value(&mut primary, &query).await?.and_then(|set| gtid::size(&set))
        };
        let behind = behind.ok_or_else(|| unknown("a list of transactions cannot be read"))?;
        if furthest.as_ref().is_none_or(|(most, _)| behind > *most) {
            furthest = Some((behind, member.at.to_string()));
        }
    }
    let none = || unknown("none of these servers is a read-only replica; name the replicas in the URL too");
    let (behind, at) = furthest.ok_or_else(none)?;
    Ok(with(seen(behind), "replica", at))
}

/// Does a commit wait for a replica now, as the primary says?
async fn semi_sync(server: &Server) -> Result<Seen, Trouble> {
    let mut conn = server.open().await?;
    let rows: Vec<Row> = conn.query("show global status like 'Rpl_semi_sync_%'").await.map_err(|e| trouble(&e))?;
    let of = |end: &str| {
        let names = [format!("rpl_semi_sync_master_{end}"), format!("rpl_semi_sync_source_{end}")];
        let named = |row: &&Row| text(row, 0).is_some_and(|name| names.contains(&name.to_ascii_lowercase()));
        rows.iter().find(named).and_then(|row| text(row, 1))
    };
    let on = of("status").unwrap_or_else(|| "OFF".to_owned()).to_ascii_lowercase();
    let mut seen = seen(on);
    for (name, end) in [("replicas", "clients"), ("unconfirmed", "no_tx")] {
        if let Some(value) = of(end) {
            seen = with(seen, name, value);
        }
    }
    if rows.is_empty() {
        seen = with(seen, "missing", "the server has no semi-synchronous replication (MySQL: `install plugin …`)");
    }
    Ok(seen)
}

/// A global variable, or a figure of the server's status.
async fn one(server: &Server, what: &str, name: &str) -> Result<Seen, Trouble> {
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Err(unknown(format!("`{name}` is no name; letters, digits and _ are")));
    }
    let mut conn = server.open().await?;
    let found = row(&mut conn, &format!("show global {what} where variable_name = '{name}'")).await?;
    let value = found.as_ref().and_then(|row| text(row, 1));
    value.map(seen).ok_or_else(|| unknown(format!("the server knows no `{name}`")))
}
