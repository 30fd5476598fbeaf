//! A database's documents for fingerprints: each by its name, with its content in a form that is the same wherever the same
//! document is.

use super::pages::{Pages, With};
use super::server::{Server, Trouble};
use crate::adapters::connection::CONNECT;
use crate::adapters::data::keys::KeyStore;
use crate::adapters::data::{Counts, Documents};
use crate::adapters::{AdapterError, Fut};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// Documents in one page.
const PAGE: usize = 200;
/// One page may take so long.
const STALL: Duration = Duration::from_secs(30);

/// A database whose documents are listed.
struct Database {
    server: Arc<Server>,
    revisions: Counts,
}

/// Checks the URL; connects nowhere.
///
/// # Errors
/// When the URL is not valid.
pub(in crate::adapters) fn documents(asked: &Documents) -> Result<Box<dyn KeyStore>, AdapterError> {
    let server = Arc::new(Server::parse(&asked.url, CONNECT)?);
    Ok(Box::new(Database { server, revisions: asked.revisions }))
}

impl Database {
    async fn list(&self, prefix: &str, each: &mut (dyn FnMut(&[u8], &[u8]) + Send)) -> Result<(), Trouble> {
        let mut link = self.server.connect().await?;
        let mut pages = Pages::new(prefix, With::Documents, PAGE);
        loop {
            let late = Trouble::Failed(crate::adapters::connection::Failure::Undecided("no page in time".to_owned()));
            let all = self.server.path("_all_docs");
            let page = timeout(STALL, pages.next(&mut link, &all)).await.unwrap_or(Err(late))?;
            if page.is_empty() {
                return Ok(());
            }
            for (id, row) in &page {
                each(id.as_bytes(), canonical(&row["doc"], self.revisions).as_bytes());
            }
        }
    }
}

impl KeyStore for Database {
    fn scan<'a>(
        &'a self,
        prefix: &'a str,
        each: &'a mut (dyn FnMut(&[u8], &[u8]) + Send),
    ) -> Fut<'a, Result<(), AdapterError>> {
        Box::pin(async move {
            self.list(prefix, each).await.map_err(|trouble| self.server.about("listing the documents", trouble))
        })
    }
}

/// A document as one text: the members of objects by name, attachments by their digest, without what a server adds. Its
/// revision is part of it if revisions count, and then those that conflict with it are too.
fn canonical(document: &Value, revisions: Counts) -> String {
    let empty = Map::new();
    let mut kept = Map::new();
    for (name, value) in document.as_object().unwrap_or(&empty) {
        match name.as_str() {
            "_rev" | "_conflicts" if revisions == Counts::No => {}
            "_attachments" => drop(kept.insert(name.clone(), attachments(value))),
            _ => drop(kept.insert(name.clone(), value.clone())),
        }
    }
    sorted(&Value::Object(kept)).to_string()
}

/// What they are, not when they came.
fn attachments(all: &Value) -> Value {
    let mut kept = Map::new();
    for (name, one) in all.as_object().into_iter().flatten() {
        let of = ["content_type", "digest", "length"].map(|key| (key.to_owned(), one[key].clone()));
        kept.insert(name.clone(), Value::Object(of.into_iter().collect()));
    }
    Value::Object(kept)
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let members: BTreeMap<&String, &Value> = members.iter().collect();
            Value::Object(members.into_iter().map(|(name, value)| (name.clone(), sorted(value))).collect())
        }
        Value::Array(all) => Value::Array(all.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_same_document_is_the_same_text() {
        let one = json!({"_id": "a", "_rev": "1-x", "b": {"z": 1, "y": [{"q": 1, "p": 2}]}, "_conflicts": ["1-a"]});
        let two = json!({"b": {"y": [{"p": 2, "q": 1}], "z": 1}, "_rev": "2-y", "_id": "a"});
        assert_eq!(canonical(&one, Counts::No), r#"{"_id":"a","b":{"y":[{"p":2,"q":1}],"z":1}}"#);
        assert_eq!(canonical(&one, Counts::No), canonical(&two, Counts::No));
        assert_ne!(canonical(&one, Counts::Yes), canonical(&two, Counts::Yes));
        let attached = |digest: &str, revpos: u32| json!({"_id": "a", "_attachments": {"f": {"digest": digest, "length": 3, "revpos": revpos, "stub": true}}});
        assert_eq!(canonical(&attached("md5-x", 1), Counts::No), canonical(&attached("md5-x", 2), Counts::No));
        assert_ne!(canonical(&attached("md5-x", 1), Counts::No), canonical(&attached("md5-y", 1), Counts::No));
    }
}
