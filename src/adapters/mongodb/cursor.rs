//! All documents of a collection, in the order of their identifiers, batch by batch on one connection.

use super::bson::{Doc, Element, Fields};
use super::connection::{Connection, Trouble};

/// What is read, and how.
pub(super) struct Reading<'a> {
    pub database: &'a str,
    pub collection: &'a str,
    /// The read concern's level.
    pub level: &'a str,
    /// Documents in a batch, at most; a server sends at most 16 MiB.
    pub batch: i32,
    /// Whoever has it may answer, and not only a primary.
    pub anybody: Option<Fields>,
}

/// A cursor of the server.
pub(super) struct Cursor<'a> {
    reading: Reading<'a>,
    /// None before the first batch, zero after the last one.
    id: Option<i64>,
}

impl<'a> Cursor<'a> {
    pub fn new(reading: Reading<'a>) -> Self {
        Self { reading, id: None }
    }

    /// Hands each document of the next batch to `each`, and says how many there were; none at the end.
    pub async fn batch(
        &mut self,
        connection: &mut Connection,
        mut each: impl FnMut(Doc<'_>),
    ) -> Result<Option<u64>, Trouble> {
        let Reading { database, collection, level, batch, anybody } = &self.reading;
        let (command, list) = match self.id {
            Some(0) => return Ok(None),
            None => {
                let find = Fields::new()
                    .add("find", *collection)
                    .add("filter", Fields::new())
                    .add("sort", Fields::new().add("_id", 1_i32))
                    .add("batchSize", *batch)
                    .add("readConcern", Fields::new().add("level", *level));
                (find, "firstBatch")
            }
            Some(id) => {
                let more = Fields::new().add("getMore", id).add("collection", *collection).add("batchSize", *batch);
                (more, "nextBatch")
            }
        };
        let command = match anybody {
            Some(preference) => command.add("$readPreference", preference.clone()),
            None => command,
        };
        let reply = connection.must(database, command).await?;
        let strange = || Trouble::NotSent(format!("{}: a batch of `{collection}` cannot be read", connection.at));
        let cursor = reply.doc().doc("cursor").ok_or_else(strange)?;
        self.id = Some(cursor.number("id").ok_or_else(strange)?);
        let mut count = 0;
        for item in cursor.items(list) {
            each(item.doc().ok_or_else(strange)?);
            count += 1;
        }
        Ok(Some(count))
    }
}

/// Counts documents by looking at all of them: the number that a server keeps beside can be wrong after a crash.
pub(super) fn counting(collection: &str, level: &str) -> Fields {
    let group = Fields::new().add("_id", 1_i32).add("n", Fields::new().add("$sum", 1_i32));
    let steps = vec![Fields::new().add("$match", Fields::new()).into(), Fields::new().add("$group", group).into()];
    Fields::new()
        .add("aggregate", collection)
        .add("pipeline", super::bson::Value::Array(steps))
        .add("cursor", Fields::new())
        .add("readConcern", Fields::new().add("level", level))
}

/// The answer to that; nothing there is zero.
pub(super) fn counted(reply: Doc<'_>) -> u64 {
    let group = reply.doc("cursor").and_then(|cursor| cursor.items("firstBatch").next()).and_then(Element::doc);
    group.and_then(|group| group.number("n")).unwrap_or_default().unsigned_abs()
}
