//! Lists of any length, page by page, strictly: nothing that was not asked for, and no way round in circles.

use super::S3;
use super::listing::{self, Entry, Next};
use crate::adapters::AdapterError;
use crate::adapters::data::Versions;

/// Where a list has come to.
pub(super) struct Pages<'a> {
    s3: &'a S3,
    versions: Versions,
    page: u16,
    prefix: &'a str,
    /// How to go on; none at the end.
    from: Option<Next>,
}

impl<'a> Pages<'a> {
    /// Of all keys with this beginning.
    pub fn of(s3: &'a S3, versions: Versions, page: u16, prefix: &'a str) -> Self {
        Self { s3, versions, page, prefix, from: Some(Next::new()) }
    }

    /// The next page; none after the last.
    ///
    /// # Errors
    /// `Missing` if there is no such bucket; anything else when the list cannot be had, or is none.
    pub async fn next(&mut self) -> Result<Option<Vec<Entry>>, AdapterError> {
        let Some(from) = self.from.take() else { return Ok(None) };
        let text = self.s3.list(self.versions, self.page, self.prefix, &from).await?;
        let wrong = |why: String| AdapterError::Other(format!("list {}: {why}", self.s3.label(self.prefix)));
        let page = listing::parse(&text).map_err(wrong)?;
        if let Some(stray) = page.entries.iter().find(|entry| !entry.key.starts_with(self.prefix)) {
            return Err(wrong(format!("`{}` was not asked for", stray.key)));
        }
        if page.next.as_ref() == Some(&from) {
            return Err(wrong("it goes round in circles".to_owned()));
        }
        self.from = page.next;
        Ok(Some(page.entries))
    }
}
