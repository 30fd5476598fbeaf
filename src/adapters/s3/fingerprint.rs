//! The fingerprint of objects: every one by its key, its size and its bytes, read as a stream. An ETag stands for the
//! bytes only if that was asked for: it depends on how an object was uploaded and encrypted.

use super::S3;
use super::listing::{Age, Entry, Kind};
use super::pages::Pages;
use crate::adapters::AdapterError;
use crate::adapters::data::selection::{Sums, digest};
use crate::adapters::data::{Content, Objects, Taken, Versions};
use futures_util::{StreamExt, TryStreamExt, stream};
use std::time::Duration;
use tokio::time::timeout;

/// So many objects are read at the same time.
const AT_ONCE: usize = 8;

pub(in crate::adapters) async fn fingerprint(asked: &Objects, limit: Duration) -> Result<Taken, AdapterError> {
    let s3 = S3::new(&asked.bucket)?;
    let late = || AdapterError::TimedOut(format!("{}: no fingerprint within {limit:?}", s3.label("")));
    timeout(limit, take(&s3, asked)).await.unwrap_or_else(|_| Err(late()))
}

fn shape(asked: &Objects) -> &'static str {
    match (asked.versions, asked.content) {
        (Versions::Current, Content::Read) => "key, size, content",
        (Versions::Current, Content::Etag) => "key, size, ETag",
        (Versions::All, Content::Read) => "key, order, size, content",
        (Versions::All, Content::Etag) => "key, order, size, ETag",
    }
}

async fn take(s3: &S3, asked: &Objects) -> Result<Taken, AdapterError> {
    let mut sums = Sums::new(&asked.selection, "object", shape(asked));
    for prefix in asked.selection.prefixes() {
        let (mut pages, mut places) = (Pages::of(s3, asked.versions, asked.page, &prefix), Places::default());
        loop {
            let entries = match pages.next().await {
                Ok(Some(entries)) => entries,
                Ok(None) => break,
                Err(AdapterError::Missing(_)) => {
                    let absent = vec![format!("the bucket `{}`", asked.bucket.name)];
                    return Ok(Taken { absent, ..Sums::new(&asked.selection, "object", "").taken() });
                }
                Err(error) => return Err(error),
            };
            let wanted = entries.into_iter().filter(|entry| asked.selection.counts(&entry.key));
            let placed = wanted.map(|entry| (places.of(&entry), entry)).collect::<Vec<_>>();
            let digests = stream::iter(placed).map(|(place, entry)| object(s3, asked, place, entry));
            let mut digests = digests.buffer_unordered(AT_ONCE);
            while let Some((key, digest)) = digests.try_next().await? {
                sums.add(&prefix, &key, digest);
            }
        }
    }
    Ok(sums.taken())
}

/// Where versions stand among those of their key, the newest first: a server lists them so, one key after the other. Marks
/// of deletion are counted by themselves, because some servers list them apart from the versions.
#[derive(Default)]
struct Places {
    versions: Option<(String, u64)>,
    marks: Option<(String, u64)>,
}

impl Places {
    fn of(&mut self, entry: &Entry) -> u64 {
        let last = match entry.kind {
            Kind::Object => &mut self.versions,
            Kind::Deleted => &mut self.marks,
        };
        match last {
            Some((key, place)) if *key == entry.key => {
                *place += 1;
                *place
            }
            last => {
                *last = Some((entry.key.clone(), 0));
                0
            }
        }
    }
}

async fn object(s3: &S3, asked: &Objects, place: u64, entry: Entry) -> Result<(String, u64), AdapterError> {
    let place = match (asked.versions, &entry.version) {
        (Versions::Current, _) => Vec::new(),
        (Versions::All, Some(version)) => [&place.to_le_bytes()[..], &[u8::from(version.age == Age::Latest)]].concat(),
        (Versions::All, None) => {
            return Err(AdapterError::Other(format!("list {}: it has no version", s3.label(&entry.key))));
        }
    };
    let content = match (entry.kind, asked.content) {
        (Kind::Deleted, _) => b"deleted".to_vec(),
        (Kind::Object, Content::Read) => s3.hash(&entry).await?.to_vec(),
        (Kind::Object, Content::Etag) if entry.etag.is_empty() => {
            return Err(AdapterError::Other(format!("list {}: it has no ETag", s3.label(&entry.key))));
        }
        (Kind::Object, Content::Etag) => entry.etag.clone().into_bytes(),
    };
    let digest = digest(&[entry.key.as_bytes(), &place, &entry.size.to_le_bytes(), &content]);
    Ok((entry.key, digest))
}
