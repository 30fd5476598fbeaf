//! The ledger's documents: what they are called, what they hold, and the commands about them. Pure.
//!
//! A run's records are a collection of their own, `PREFIX.RUN`; the collection `PREFIX` has a document for each run that has
//! one. A record's `_id` is its writer, number and attempt in figures of a fixed width, so that their order is that of the
//! numbers and a read finds it by the index that every collection has. Its fields say the same once more, and only they
//! count when records are read back.

use super::bson::{Doc, Element, Fields, Value};
use super::place::Concern;
use crate::adapters::Row;
use crate::model::Key;

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Records {
    /// The collection that names the runs.
    pub runs: String,
    /// This run.
    pub run: String,
}

/// A record as it is stored.
pub(super) struct Stored<'a> {
    pub key: Result<Key, String>,
    pub attempt: u32,
    pub payload: &'a [u8],
}

impl Stored<'_> {
    pub fn row(self) -> Row {
        Row { key: self.key, attempt: self.attempt, payload: self.payload.to_vec() }
    }
}

impl Records {
    pub fn new(prefix: &str, run: &str) -> Self {
        Self { runs: prefix.to_owned(), run: run.to_owned() }
    }

    /// The collection of a run's records.
    pub fn of(&self, run: &str) -> String {
        format!("{}.{run}", self.runs)
    }

    /// The collection of this run's records.
    pub fn own(&self) -> String {
        self.of(&self.run)
    }

    fn id(key: Key, attempt: u32) -> String {
        format!("{}{attempt:05}", Self::beginning(key))
    }

    /// What the identifiers of a record's attempts begin with.
    fn beginning(Key { writer, seq }: Key) -> String {
        format!("{writer:05}/{seq:012}/")
    }

    /// Inserts a record.
    pub fn insert(&self, key: Key, attempt: u32, payload: &[u8], concern: &Concern) -> Fields {
        let record = Fields::new()
            .add("_id", Self::id(key, attempt).as_str())
            .add("w", i32::from(key.writer))
            .add("s", i64::try_from(key.seq).unwrap_or(i64::MAX))
            .add("a", i64::from(attempt))
            .add("p", Value::Bytes(payload.to_vec()));
        let insert =
            Fields::new().add("insert", self.own().as_str()).add("documents", Value::Array(vec![record.into()]));
        acknowledged(insert, concern.fields())
    }

    /// Removes a document that nobody has.
    pub fn remove_nobody(&self, concern: &Concern) -> Fields {
        let one = Fields::new().add("q", Fields::new().add("_id", "nobody")).add("limit", 1_i32);
        let delete = Fields::new().add("delete", self.runs.as_str()).add("deletes", Value::Array(vec![one.into()]));
        acknowledged(delete, concern.fields())
    }

    /// Finds a record, whichever attempt wrote it.
    pub fn attempts(&self, key: Key, level: &str) -> Fields {
        let from = Self::beginning(key);
        // The character after `/`.
        let to = format!("{}0", from.trim_end_matches('/'));
        let range = Fields::new().add("$gte", from.as_str()).add("$lt", to.as_str());
        let find = Fields::new().add("find", self.own().as_str()).add("filter", Fields::new().add("_id", range));
        find.add("limit", 1_i32).add("singleBatch", true).add("readConcern", Fields::new().add("level", level))
    }

    /// A record as it is stored; one that names no record is not hidden.
    pub fn read(record: Doc<'_>) -> Stored<'_> {
        let (writer, seq) = (record.number("w"), record.number("s"));
        let key = match (writer.and_then(|w| w.try_into().ok()), seq.and_then(|s| s.try_into().ok())) {
            (Some(writer), Some(seq)) => Ok(Key { writer, seq }),
            _ => Err(format!(
                "document {}: w {}, s {}",
                shown(record.get("_id")),
                shown(record.get("w")),
                shown(record.get("s"))
            )),
        };
        let attempt = record.number("a").and_then(|attempt| attempt.try_into().ok()).unwrap_or_default();
        Stored { key, attempt, payload: record.get("p").and_then(Element::data).unwrap_or_default() }
    }
}

/// With a write concern, if there is one.
pub(super) fn acknowledged(fields: Fields, concern: Option<Fields>) -> Fields {
    match concern {
        Some(concern) => fields.add("writeConcern", concern),
        None => fields,
    }
}

/// A value for people.
pub(super) fn shown(value: Option<Element<'_>>) -> String {
    let Some(value) = value else { return "none".to_owned() };
    if let Some(text) = value.text() {
        return format!("`{}`", text.chars().take(60).collect::<String>());
    }
    match value.number() {
        Some(number) => number.to_string(),
        None => value.bytes.iter().take(30).map(|byte| format!("{byte:02x}")).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(fields: Fields) -> Row {
        let mut bytes = Vec::new();
        fields.finish_into(&mut bytes);
        Records::read(Doc::whole(&bytes).unwrap()).row()
    }

    #[test]
    fn identifiers_are_in_the_order_of_numbers() {
        let id = |writer, seq, attempt| Records::id(Key { writer, seq }, attempt);
        assert_eq!(id(3, 7, 1), "00003/000000000007/00001");
        let ordered = [id(2, 999, 1), id(3, 7, 1), id(3, 7, 2), id(3, 8, 1), id(3, 10, 1), id(10, 0, 1)];
        assert!(ordered.is_sorted());
    }

    #[test]
    fn a_document_that_names_no_record_is_not_hidden() {
        let whole = Fields::new().add("w", 3_i32).add("s", 7_i64).add("a", 2_i64).add("p", Value::Bytes(vec![1]));
        let key = Ok(Key { writer: 3, seq: 7 });
        assert_eq!(row(whole), Row { key, attempt: 2, payload: vec![1] });
        let strange = row(Fields::new().add("_id", "x").add("w", 70_000_i32).add("s", "seven"));
        assert_eq!(strange.key, Err("document `x`: w 70000, s `seven`".to_owned()));
        assert!(row(Fields::new().add("_id", Value::Raw(0x07, vec![7; 12]))).key.is_err());
        assert!(row(Fields::new().add("w", -1_i32).add("s", 1_i32)).key.is_err());
    }
}
