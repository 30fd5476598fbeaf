//! Going over a database's documents by the order of their names, page by page (`_all_docs`). What they are is not looked at.

use super::keys::escaped;
use super::server::{Link, Trouble};
use crate::adapters::connection::Failure;
use serde_json::Value;

/// What of each document is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum With {
    /// Its name and revision.
    Names,
    /// All of it, and its other revisions if there is a conflict.
    Documents,
}

/// Names that begin like this, a page at a time.
pub(super) struct Pages {
    prefix: String,
    with: With,
    size: usize,
    /// The last name that came.
    last: Option<String>,
}

impl Pages {
    /// From the first of them; an empty beginning means all there is.
    pub fn new(prefix: &str, with: With, size: usize) -> Self {
        Self { prefix: prefix.to_owned(), with, size: size.max(2), last: None }
    }

    /// The next rows, each with its `id`; none when all have come. A page that is shorter than asked for is not taken for
    /// the last one: servers have limits of their own.
    pub async fn next(&mut self, link: &mut Link, database: &str) -> Result<Vec<(String, Value)>, Trouble> {
        let answer = link.long_get(&format!("{database}?{}", self.query())).await?;
        let strange = || Trouble::Failed(Failure::Undecided("a list of documents cannot be read".to_owned()));
        let Value::Array(rows) = answer["rows"].clone() else { return Err(strange()) };
        let mut fresh = Vec::with_capacity(rows.len());
        for row in rows {
            let id = row["id"].as_str().ok_or_else(strange)?.to_owned();
            // The page begins with the last name of the one before, whether it is still there or not.
            if self.last.as_ref().is_none_or(|last| *last != id) && id.starts_with(&self.prefix) {
                fresh.push((id, row));
            }
        }
        if let Some((id, _)) = fresh.last() {
            self.last = Some(id.clone());
        }
        Ok(fresh)
    }

    fn query(&self) -> String {
        let mut query = format!("limit={}", self.size);
        let from = self.last.as_ref().unwrap_or(&self.prefix);
        if !from.is_empty() {
            query.push_str(&format!("&startkey={}", key(from)));
        }
        if !self.prefix.is_empty() {
            // Above all that names are made of, in either order that servers have.
            query.push_str(&format!("&endkey={}", key(&format!("{}\u{fff0}", self.prefix))));
        }
        if self.with == With::Documents {
            query.push_str("&include_docs=true&conflicts=true");
        }
        query
    }
}

/// A name as JSON in a query.
fn key(name: &str) -> String {
    escaped(&Value::from(name).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_asked_for_from_where_the_last_page_ended() {
        let mut pages = Pages::new("a:", With::Documents, 10);
        let more = "&include_docs=true&conflicts=true";
        assert_eq!(pages.query(), format!("limit=10&startkey=%22a:%22&endkey=%22a:%EF%BF%B0%22{more}"));
        pages.last = Some("a:\"1".to_owned());
        assert!(pages.query().starts_with("limit=10&startkey=%22a:%5C%221%22&endkey="), "{}", pages.query());
        assert_eq!(Pages::new("", With::Names, 0).query(), "limit=2");
    }
}
