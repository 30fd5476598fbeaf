//! The names of a ledger's documents in CouchDB. Pure.
//!
//! A record is the document `PREFIX:RUN:WRITER:SEQ` with its payload in base64 (`p`) and its attempt (`a`): names have a
//! fixed width, so that their order is that of the numbers, and a record has one document, so that a second attempt is
//! refused wherever the first is known. `PREFIX.runs:RUN` names a run that has left records.

use crate::adapters::base64;
use crate::model::Key;
use serde_json::{Value, json};

/// What the documents begin with that a probe writes in one region and looks for in another.
pub(super) const CANARY: &str = "blackstart_canary:";

/// Of one run.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    prefix: String,
    run: String,
}

impl Keys {
    pub fn new(prefix: &str, run: &str) -> Self {
        Self { prefix: prefix.to_owned(), run: run.to_owned() }
    }

    pub fn record(&self, key: Key) -> String {
        format!("{}:{}:{:05}:{:012}", self.prefix, self.run, key.writer, key.seq)
    }

    /// What all of the run's documents begin with.
    pub fn run(&self) -> String {
        self.of(&self.run)
    }

    /// The same for another run.
    pub fn of(&self, run: &str) -> String {
        format!("{}:{run}:", self.prefix)
    }

    /// What the names of runs begin with.
    pub fn runs(&self) -> String {
        format!("{}.runs:", self.prefix)
    }

    /// The run's own name among those.
    pub fn own(&self) -> String {
        format!("{}{}", self.runs(), self.run)
    }

    /// A document that nobody has.
    pub fn nobody(&self) -> String {
        format!("{}.nobody:{}", self.prefix, self.run)
    }

    /// The record that a document of the run is, or its name as text if it is none.
    pub fn read(&self, id: &str) -> Result<Key, String> {
        let words: Option<Vec<&str>> = id.strip_prefix(&self.run()).map(|rest| rest.split(':').collect());
        let numbers = match words.as_deref() {
            Some([writer, seq]) => writer.parse().ok().zip(seq.parse().ok()),
            _ => None,
        };
        numbers.map(|(writer, seq)| Key { writer, seq }).ok_or_else(|| id.to_owned())
    }
}

/// A record's document, as it is put.
pub(super) fn document(attempt: u32, payload: &[u8]) -> Value {
    json!({"a": attempt, "p": base64::encoded(payload)})
}

/// The attempt and the payload of a record's document; nothing of what it has not.
pub(super) fn contents(document: &Value) -> (u32, Vec<u8>) {
    let attempt = document["a"].as_u64().and_then(|attempt| u32::try_from(attempt).ok()).unwrap_or_default();
    (attempt, document["p"].as_str().and_then(base64::decoded).unwrap_or_default())
}

/// A text for a URL's path or query.
pub(super) fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~:".contains(&byte);
    let one = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(one).collect()
}

/// A document's name in a path: `_design/x` keeps its slash.
pub(super) fn in_path(id: &str) -> String {
    match id.strip_prefix("_design/") {
        Some(rest) => format!("_design/{}", escaped(rest)),
        None => escaped(id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_the_order_of_numbers_and_can_be_read_again() {
        let keys = Keys::new("ledger", "run-1");
        let record = |writer, seq| keys.record(Key { writer, seq });
        assert_eq!(record(3, 41), "ledger:run-1:00003:000000000041");
        let all = [record(0, 9), record(0, 10), record(2, 0), record(10, 0)];
        assert!(all.is_sorted());
        assert_eq!(keys.read(&all[1]), Ok(Key { writer: 0, seq: 10 }));
        for id in ["ledger:run-2:00000:000000000001", "ledger:run-1:x:1", "ledger:run-1:1", "ledger:run-1:70000:1"] {
            assert_eq!(keys.read(id), Err(id.to_owned()));
        }
        assert!(!keys.of("run-10").starts_with(&keys.run()) && !keys.own().starts_with(&keys.run()));
    }

    #[test]
    fn a_document_holds_any_payload() {
        let payload: Vec<u8> = (0..=255).collect();
        assert_eq!(contents(&document(3, &payload)), (3, payload));
        assert_eq!(contents(&json!({"a": -1, "p": "?"})), (0, Vec::new()));
    }

    #[test]
    fn what_has_a_meaning_in_a_url_is_escaped() {
        assert_eq!(escaped("a:b/c d\u{fff0}\""), "a:b%2Fc%20d%EF%BF%B0%22");
        assert_eq!(in_path("_design/a/b"), "_design/a%2Fb");
    }
}
