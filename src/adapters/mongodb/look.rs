//! Questions about a replica set, for probes: roles, how many primaries there are, how far members are behind, what is there.
//! What an answer means is the playbook's business.

use super::bson::{Doc, Element, Fields};
use super::connection::{Connection, Trouble};
use super::cursor::{counted, counting};
use super::discover::Guide;
use super::hello::Hello;
use super::place::Whom;
use crate::adapters::AdapterError;
use crate::adapters::systems::{MongodbAsk, Seen};
use std::collections::BTreeMap;

/// What `replSetGetStatus` needs.
const MONITOR: &str = "{role: \"clusterMonitor\", db: \"admin\"}";
/// Members' states, as the server numbers them.
const PRIMARY: i64 = 1;
const SECONDARY: i64 = 2;
const ARBITER: i64 = 7;

/// One look.
pub(super) async fn look(guide: &Guide, ask: &MongodbAsk) -> Result<Seen, AdapterError> {
    let place = &guide.place;
    let database = format!("{{role: \"read\", db: \"{}\"}}", place.database);
    let (seen, role) = match ask {
        MongodbAsk::Role => (role(guide).await, ""),
        MongodbAsk::Primary => (primary(guide).await, ""),
        MongodbAsk::Primaries => return primaries(guide).await,
        MongodbAsk::Secondaries => return secondaries(guide).await,
        MongodbAsk::Members => (members(guide).await, MONITOR),
        MongodbAsk::Lag => (lag(guide).await, MONITOR),
        MongodbAsk::Majority => (majority(guide).await, ""),
        MongodbAsk::Documents(collection) => (documents(guide, collection).await, database.as_str()),
    };
    seen.map_err(|trouble| trouble.about(&place.label, place, role))
}

fn seen(value: impl ToString) -> Seen {
    Seen { value: value.to_string(), fields: BTreeMap::new() }
}

fn unknown(why: impl Into<String>) -> Trouble {
    Trouble::NotSent(why.into())
}

async fn role(guide: &Guide) -> Result<Seen, Trouble> {
    Ok(seen(guide.open().await?.hello.role()))
}

async fn primary(guide: &Guide) -> Result<Seen, Trouble> {
    let connection = guide.open().await?;
    if !connection.hello.writable && !connection.hello.router {
        return Err(unknown(format!("{} is {}", connection.at, connection.hello.role())));
    }
    Ok(seen(&connection.at))
}

/// Members that say something of themselves; one that does not answer is not counted, and named.
async fn those(guide: &Guide, which: impl Fn(&Hello) -> bool) -> Result<(Seen, Vec<Connection>), AdapterError> {
    let (answered, silent) = guide.everybody().await?;
    let those: Vec<Connection> = answered.into_iter().filter(|connection| which(&connection.hello)).collect();
    let mut names: Vec<String> = those.iter().map(|connection| connection.at.to_string()).collect();
    names.sort();
    let mut seen = seen(names.len());
    seen.fields.insert("names".to_owned(), names.join(" "));
    let silent: Vec<String> = silent.iter().map(ToString::to_string).collect();
    seen.fields.insert("silent".to_owned(), silent.join(" "));
    Ok((seen, those))
}

async fn primaries(guide: &Guide) -> Result<Seen, AdapterError> {
    let (mut seen, all) = those(guide, |hello| hello.role() == "primary").await?;
    // Which of several is the one: that was elected last.
    if let (2.., Some(last)) = (all.len(), all.iter().max_by(|a, b| a.hello.later(&b.hello))) {
        seen.fields.insert("latest".to_owned(), last.at.to_string());
    }
    Ok(seen)
}

async fn secondaries(guide: &Guide) -> Result<Seen, AdapterError> {
    Ok(those(guide, |hello| hello.role() == "secondary").await?.0)
}

/// A member as another one sees it.
struct Member {
    name: String,
    state: i64,
    healthy: bool,
    /// When its last write was made, in milliseconds.
    applied: Option<i64>,
}

impl Member {
    fn read(doc: Doc<'_>) -> Self {
        let date = |name: &str| doc.get(name).and_then(Element::millis);
        Self {
            name: doc.text("name").to_owned(),
            state: doc.number("state").unwrap_or_default(),
            // It says nothing of this about itself.
            healthy: doc.get("health").is_none_or(|health| health.number() == Some(1)),
            // Older servers say it to the second.
            applied: date("lastAppliedWallTime").or_else(|| date("optimeDate")),
        }
    }
}

/// All members as whoever the URL means sees them.
async fn status(guide: &Guide) -> Result<Vec<Member>, Trouble> {
    let mut connection = guide.open().await?;
    if connection.hello.set.is_none() {
        let at = &connection.at;
        let help = "start it with --replSet NAME and run rs.initiate()";
        return Err(Trouble::Unfit(format!("{at} is no member of a replica set, so nothing is replicated: {help}")));
    }
    let reply = connection.must("admin", Fields::new().add("replSetGetStatus", 1_i32)).await?;
    let members: Vec<Member> = reply.doc().items("members").filter_map(|m| m.doc().map(Member::read)).collect();
    if members.is_empty() { Err(unknown("the set has no members")) } else { Ok(members) }
}

/// How many members are in order: primary, secondary or arbiter, and seen.
async fn members(guide: &Guide) -> Result<Seen, Trouble> {
    let all = status(guide).await?;
    let fine = |member: &&Member| member.healthy && [PRIMARY, SECONDARY, ARBITER].contains(&member.state);
    let names = |members: Vec<&Member>| members.iter().map(|m| m.name.as_str()).collect::<Vec<_>>().join(" ");
    let (fine, others): (Vec<&Member>, Vec<&Member>) = all.iter().partition(fine);
    let mut seen = seen(fine.len());
    seen.fields.insert("names".to_owned(), names(fine));
    seen.fields.insert("others".to_owned(), names(others));
    Ok(seen)
}

/// Seconds by which the last write of the member that is furthest behind is older than the primary's. One that is not seen is
/// not known to be anywhere.
async fn lag(guide: &Guide) -> Result<Seen, Trouble> {
    let all = status(guide).await?;
    let newest = all.iter().find(|member| member.state == PRIMARY && member.healthy).and_then(|m| m.applied);
    let newest = newest.ok_or_else(|| unknown("no primary is seen"))?;
    let others: Vec<&Member> = all.iter().filter(|m| m.state != PRIMARY && m.state != ARBITER).collect();
    if let Some(lost) = others.iter().find(|member| !member.healthy || member.state != SECONDARY) {
        return Err(unknown(format!("the member {} is no secondary now", lost.name)));
    }
    let furthest = others.iter().filter_map(|member| Some((member.applied?, &member.name))).min();
    let (applied, name) = furthest.ok_or_else(|| unknown("there is no secondary"))?;
    let mut seen = seen(seconds(newest - applied));
    seen.fields.insert("member".to_owned(), name.clone());
    Ok(seen)
}

fn seconds(millis: i64) -> String {
    let millis = millis.max(0);
    format!("{}.{:03}", millis / 1_000, millis % 1_000)
}

/// Seconds by which the last write that a majority has is older than the primary's last one.
async fn majority(guide: &Guide) -> Result<Seen, Trouble> {
    let connection = guide.open().await?;
    let Hello { last: Some(last), majority: Some(majority), .. } = &connection.hello else {
        return Err(unknown(format!("{} does not say what a majority has", connection.at)));
    };
    Ok(seen(if majority >= last { seconds(0) } else { seconds(last.millis - majority.millis) }))
}

/// How many documents a collection has, counted one by one.
async fn documents(guide: &Guide, collection: &str) -> Result<Seen, Trouble> {
    let mut connection = guide.open().await?;
    let level = if connection.hello.set.is_some() { "majority" } else { "local" };
    let count = match guide.place.whom {
        Whom::Primary(_) => counting(collection, level),
        Whom::Member => {
            let anybody = Fields::new().add("mode", "primaryPreferred");
            counting(collection, "local").add("$readPreference", anybody)
        }
    };
    let reply = connection.must(&guide.place.database, count).await?;
    Ok(seen(counted(reply.doc())))
}
