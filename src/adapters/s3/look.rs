//! Questions about a bucket, for probes: how many objects and versions there are, what is deleted or locked, and how far a
//! second bucket is behind. What an answer means is the playbook's business.

use super::listing::{Age, Entry, Kind};
use super::pages::Pages;
use super::store::{Versioning, versioning};
use super::{Call, Method, S3, again};
use crate::adapters::AdapterError;
use crate::adapters::data::Versions;
use crate::adapters::systems::{BucketAsk, BucketQuestion, Seen};
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;

/// As many as a server lists at once.
const PAGE: u16 = 1_000;
/// Two buckets with more objects than this are not compared.
const MOST_OBJECTS: usize = 1_000_000;
/// So many names stand in an answer's fields.
const NAMED: usize = 3;

/// One look.
pub(super) async fn look(s3: &S3, question: &BucketQuestion) -> Result<Seen, AdapterError> {
    match &question.ask {
        BucketAsk::Versioning => kept(s3).await,
        BucketAsk::Objects(prefix) => objects(s3, prefix).await,
        BucketAsk::Versions(prefix) => versions(s3, prefix).await,
        BucketAsk::Deleted(prefix) => deleted(s3, prefix).await,
        BucketAsk::Locked(key) => locked(s3, key).await,
        BucketAsk::Behind(prefix) => {
            let missing =
                || AdapterError::Other("`behind` compares with a second bucket: name it in `other`".to_owned());
            behind(s3, &S3::new(question.other.as_ref().ok_or_else(missing)?)?, prefix).await
        }
    }
}

fn seen(value: impl ToString) -> Seen {
    Seen { value: value.to_string(), fields: BTreeMap::new() }
}

impl Seen {
    fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.fields.insert(name.to_owned(), value.to_string());
        self
    }
}

async fn kept(s3: &S3) -> Result<Seen, AdapterError> {
    Ok(seen(match versioning(s3).await? {
        Versioning::Enabled => "enabled",
        Versioning::Suspended => "suspended",
        Versioning::Off => "off",
    }))
}

async fn objects(s3: &S3, prefix: &str) -> Result<Seen, AdapterError> {
    let (mut count, mut bytes) = (0_u64, 0_u64);
    let mut pages = Pages::of(s3, Versions::Current, PAGE, prefix);
    while let Some(entries) = pages.next().await? {
        count += entries.len() as u64;
        bytes += entries.iter().map(|entry| entry.size).sum::<u64>();
    }
    Ok(seen(count).with("bytes", bytes))
}

/// Those of objects; marks of deletion are told apart.
async fn versions(s3: &S3, prefix: &str) -> Result<Seen, AdapterError> {
    let (mut count, mut older, mut marks) = (0_u64, 0_u64, 0_u64);
    let mut pages = Pages::of(s3, Versions::All, PAGE, prefix);
    while let Some(entries) = pages.next().await? {
        for entry in &entries {
            match entry.kind {
                Kind::Deleted => marks += 1,
                Kind::Object => {
                    count += 1;
                    older += u64::from(!latest(entry));
                }
            }
        }
    }
    Ok(seen(count).with("older", older).with("marks", marks))
}

fn latest(entry: &Entry) -> bool {
    entry.version.as_ref().is_none_or(|version| version.age == Age::Latest)
}

/// Objects that are gone and whose versions are still there: their latest version is a mark of deletion.
async fn deleted(s3: &S3, prefix: &str) -> Result<Seen, AdapterError> {
    let (mut count, mut names) = (0_u64, Vec::new());
    let mut pages = Pages::of(s3, Versions::All, PAGE, prefix);
    while let Some(entries) = pages.next().await? {
        for entry in entries.into_iter().filter(|entry| entry.kind == Kind::Deleted && latest(entry)) {
            count += 1;
            if names.len() < NAMED {
                names.push(entry.key);
            }
        }
    }
    Ok(seen(count).with("names", names.join(" ")))
}

/// How an object is locked. A legal hold has no end.
async fn locked(s3: &S3, key: &str) -> Result<Seen, AdapterError> {
    let call = Call { what: format!("look at {}", s3.label(key)), right: "s3:GetObject and s3:GetObjectRetention" };
    let answer = again(|| s3.send(&call, Method::HEAD, s3.signed(&Method::HEAD, key, &[]))).await?;
    let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let hold = header("x-amz-object-lock-legal-hold");
    let mode = match header("x-amz-object-lock-mode").to_ascii_lowercase() {
        mode if mode.is_empty() && hold == "ON" => "hold".to_owned(),
        mode if mode.is_empty() => "no".to_owned(),
        mode => mode,
    };
    Ok(seen(mode).with("until", header("x-amz-object-lock-retain-until-date")).with("hold", hold.to_ascii_lowercase()))
}

/// What is there, by key.
async fn all(s3: &S3, prefix: &str) -> Result<BTreeMap<String, Entry>, AdapterError> {
    let mut all = BTreeMap::new();
    let mut pages = Pages::of(s3, Versions::Current, PAGE, prefix);
    while let Some(entries) = pages.next().await? {
        all.extend(entries.into_iter().map(|entry| (entry.key.clone(), entry)));
        if all.len() > MOST_OBJECTS {
            let why = format!("there are more than {MOST_OBJECTS} objects: compare a prefix");
            return Err(AdapterError::Other(format!("list {}: {why}", s3.label(prefix))));
        }
    }
    Ok(all)
}

/// How many objects the second bucket lacks or has other ones of. The second one is listed first: what is copied meanwhile
/// may count, and what is written meanwhile counts, as it should.
async fn behind(s3: &S3, other: &S3, prefix: &str) -> Result<Seen, AdapterError> {
    let (theirs, ours) = (all(other, prefix).await?, all(s3, prefix).await?);
    let (mut missing, mut different, mut names) = (0_u64, 0_u64, Vec::new());
    let (mut oldest, mut newest) = (None, None::<DateTime<Utc>>);
    for (key, entry) in &ours {
        let when = DateTime::parse_from_rfc3339(&entry.modified).ok().map(|when| when.to_utc());
        newest = newest.max(when);
        match theirs.get(key) {
            Some(theirs) if same(entry, theirs) => continue,
            Some(_) => different += 1,
            None => missing += 1,
        }
        oldest = oldest.into_iter().chain(when).min();
        if names.len() < NAMED {
            names.push(key.as_str());
        }
    }
    let extra = theirs.keys().filter(|key| !ours.contains_key(*key)).count();
    let seconds = newest.zip(oldest).map(|(newest, oldest)| (newest - oldest).num_milliseconds() as f64 / 1e3);
    let seen = seen(missing + different).with("missing", missing).with("different", different).with("extra", extra);
    Ok(seen.with("seconds", seconds.unwrap_or_default()).with("names", names.join(" ")))
}

/// Another size is another object; another ETag is one if both stand for the bytes, which those of uploads in parts do not.
fn same(a: &Entry, b: &Entry) -> bool {
    let parts = |entry: &Entry| entry.etag.contains('-');
    a.size == b.size && (a.etag == b.etag || parts(a) || parts(b))
}
