//! The fingerprint of documents: every one by its name and its source, in a form that does not depend on the order of its
//! fields, at one point in time.

use super::SearchPlace;
use super::pages::Pages;
use super::rest::Cluster;
use crate::adapters::AdapterError;
use crate::adapters::ServerPlace;
use crate::adapters::data::selection::{Sums, digest};
use crate::adapters::data::{Indices, Taken};
use serde_json::Value;
use std::time::Duration;
use tokio::time::timeout;

/// So many documents to a page.
const PAGE: u64 = 1_000;

pub(in crate::adapters) async fn fingerprint(asked: &Indices, limit: Duration) -> Result<Taken, AdapterError> {
    let server = ServerPlace { url: asked.url.clone(), connect_timeout: None, response_timeout: None };
    let place = SearchPlace { server, api_key: asked.api_key.clone(), active_shards: None };
    let cluster = Cluster::parse(&place, limit)?;
    let late = || AdapterError::TimedOut(format!("{}: no fingerprint within {limit:?}", cluster.label));
    timeout(limit, take(&cluster, asked)).await.unwrap_or_else(|_| Err(late()))
}

async fn take(cluster: &Cluster, asked: &Indices) -> Result<Taken, AdapterError> {
    let mut sums = Sums::new(&asked.selection, "document", "name, source");
    for index in asked.selection.prefixes() {
        // An index that is not there has no part, as a prefix that nothing has.
        let Some(mut pages) = Pages::open(cluster, &index, PAGE, "_shard_doc").await? else { continue };
        while let Some(hits) = pages.next().await? {
            for hit in hits {
                let id = hit["_id"].as_str().unwrap_or_default();
                let name = format!("{index}/{id}");
                if asked.selection.counts(&name) {
                    sums.add(&index, &name, digest(&[id.as_bytes(), &canonical(&hit["_source"])]));
                }
            }
        }
    }
    Ok(sums.taken())
}

/// JSON with the fields of every object in the order of their names.
fn canonical(value: &Value) -> Vec<u8> {
    fn sorted(value: &Value) -> Value {
        match value {
            Value::Object(fields) => {
                let mut fields: Vec<(&String, &Value)> = fields.iter().collect();
                fields.sort_by_key(|(name, _)| *name);
                Value::Object(fields.into_iter().map(|(name, value)| (name.clone(), sorted(value))).collect())
            }
            Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
            plain => plain.clone(),
        }
    }
    sorted(value).to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_order_of_fields_does_not_matter_and_that_of_items_does() {
        let text = |text: &str| canonical(&serde_json::from_str(text).unwrap());
        assert_eq!(text(r#"{"b": {"d": 1, "c": [1, 2]}, "a": "x"}"#), text(r#"{"a": "x", "b": {"c": [1,2], "d": 1}}"#));
        assert_ne!(text("[1, 2]"), text("[2, 1]"));
        assert_ne!(canonical(&json!({"a": 1})), canonical(&json!({"a": "1"})));
    }
}
