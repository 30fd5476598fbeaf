//! Documents of collections, with all that they hold: read in the order of their identifiers, digested and summed up here. A
//! document's digest is that of its bytes as the server stores them, so a number that became a text, or a field that moved,
//! counts as a change. The indexes of a collection belong to it too.

use super::bson::{Doc, Element, Fields};
use super::connection::{Connection, Trouble};
use super::cursor::{Cursor, Reading};
use super::records::shown;
use crate::adapters::AdapterError;
use crate::adapters::data::selection::{Selection as Names, Sums, digest};
use crate::adapters::data::{Collections, Taken};
use crate::model::{DataPart, glob};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::timeout;

/// Documents in one batch.
const BATCH: i32 = 1_000;
/// Collections of one database.
const MOST: i32 = 10_000;
const UNIT: &str = "document";

/// One fingerprint, given up after `limit`.
///
/// # Errors
/// When the database cannot be read within the limit.
pub async fn fingerprint(asked: &Collections, limit: Duration) -> Result<Taken, AdapterError> {
    let guide = super::guide(&asked.place, limit)?;
    let label = format!("{}: reading `{}`", guide.place.label, guide.place.database);
    let late = || AdapterError::TimedOut(format!("{label}: no fingerprint within {limit:?}"));
    let taken = async {
        let mut connection = guide.open().await?;
        take(&mut connection, &guide.place.database, asked).await
    };
    let role = format!("{{role: \"read\", db: \"{}\"}}", guide.place.database);
    let taken = timeout(limit, taken).await.map_err(|_| late())?;
    taken.map_err(|trouble| trouble.about(&label, &guide.place, &role))
}

async fn take(connection: &mut Connection, database: &str, asked: &Collections) -> Result<Taken, Trouble> {
    let there = collections(connection, database).await?;
    let counts = |name: &&String| {
        let wanted = asked.collections.is_empty() || asked.collections.iter().any(|pattern| glob(pattern, name));
        let own =
            |own: &String| *name == own || name.strip_prefix(own.as_str()).is_some_and(|rest| rest.starts_with('.'));
        wanted && !asked.exclude.iter().any(|pattern| glob(pattern, name)) && !asked.own.iter().any(own)
    };
    let chosen: Vec<&String> = there.iter().filter(counts).collect();
    let names = Names { prefixes: chosen.iter().map(|name| (*name).clone()).collect(), ..Names::default() };
    let mut sums = Sums::new(&names, UNIT, "");
    let mut shapes = BTreeMap::new();
    for name in &chosen {
        shapes.insert((*name).clone(), indexes(connection, database, name).await?);
        documents(connection, database, name, &mut sums).await?;
    }
    let mut taken = sums.taken();
    for (name, shape) in &shapes {
        let part = taken.print.parts.entry(name.clone()).or_insert_with(|| DataPart::new(0, 0, ""));
        part.shape.clone_from(shape);
    }
    let missing = |pattern: &&String| !there.iter().any(|name| glob(pattern, name));
    taken.absent = asked.collections.iter().filter(missing).map(|name| format!("the collection `{name}`")).collect();
    Ok(taken)
}

/// The names of all collections that hold documents, but not the server's own.
async fn collections(connection: &mut Connection, database: &str) -> Result<Vec<String>, Trouble> {
    let list = Fields::new()
        .add("listCollections", 1_i32)
        .add("filter", Fields::new().add("type", "collection"))
        .add("nameOnly", true)
        .add("cursor", Fields::new().add("batchSize", MOST));
    let reply = connection.must(database, list).await?;
    let cursor = whole(reply.doc(), connection)?;
    let names = cursor.items("firstBatch").filter_map(|item| Some(item.doc()?.text("name").to_owned()));
    let mut names: Vec<String> = names.filter(|name| !name.starts_with("system.")).collect();
    names.sort();
    Ok(names)
}

/// What stands for a collection's indexes: name, keys and whether they are unique, in the order of names.
async fn indexes(connection: &mut Connection, database: &str, collection: &str) -> Result<String, Trouble> {
    let list = Fields::new().add("listIndexes", collection).add("cursor", Fields::new().add("batchSize", MOST));
    let reply = connection.must(database, list).await?;
    let cursor = whole(reply.doc(), connection)?;
    let mut all: Vec<String> = Vec::new();
    for index in cursor.items("firstBatch").filter_map(Element::doc) {
        let keys = index.doc("key").map(Doc::iter).into_iter().flatten();
        let keys: Vec<String> = keys.map(|(name, order)| format!("{name}: {}", shown(Some(order)))).collect();
        let unique = if index.is("unique") { ", unique" } else { "" };
        all.push(format!("{} ({}{unique})", index.text("name"), keys.join(", ")));
    }
    all.sort();
    Ok(format!("_id, document; {}", all.join("; ")))
}

/// A list that came in one piece.
fn whole<'a>(reply: Doc<'a>, connection: &Connection) -> Result<Doc<'a>, Trouble> {
    let cursor = reply.doc("cursor").filter(|cursor| cursor.number("id") == Some(0));
    cursor.ok_or_else(|| Trouble::NotSent(format!("{}: there are more than {MOST} names", connection.at)))
}

async fn documents(
    connection: &mut Connection,
    database: &str,
    collection: &str,
    sums: &mut Sums<'_>,
) -> Result<(), Trouble> {
    let anybody = (!connection.hello.writable).then(|| Fields::new().add("mode", "primaryPreferred"));
    let level = if connection.hello.set.is_some() && connection.hello.writable { "majority" } else { "local" };
    let mut cursor = Cursor::new(Reading { database, collection, level, batch: BATCH, anybody });
    let mut add = |document: Doc<'_>| {
        let id = document.get("_id");
        let name = format!("{collection}/{}", shown(id));
        let (kind, bytes) = id.map_or((0, &[][..]), |id| (id.kind, id.bytes));
        sums.add(collection, &name, digest(&[&[kind], bytes, document.bytes()]));
    };
    while cursor.batch(connection, &mut add).await?.is_some() {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::bson::Value;
    use super::*;

    #[test]
    fn a_digest_is_of_the_bytes_as_they_are_stored() {
        let bytes = |fields: Fields| {
            let mut bytes = Vec::new();
            fields.finish_into(&mut bytes);
            bytes
        };
        let of = |fields: Fields| digest(&[&[0x02], b"x", &bytes(fields)]);
        let plain = of(Fields::new().add("_id", "x").add("n", 1_i32).add("m", 2_i32));
        for other in [
            Fields::new().add("_id", "x").add("n", 1_i64).add("m", 2_i32),
            Fields::new().add("_id", "x").add("m", 2_i32).add("n", 1_i32),
            Fields::new().add("_id", "x").add("n", 1_i32),
            Fields::new().add("_id", "x").add("n", Value::Bytes(vec![1])).add("m", 2_i32),
        ] {
            assert_ne!(of(other), plain);
        }
    }
}
