//! Requests of a workload's client: signed, on a connection in its own hands, tried once. What an answer means is decided
//! elsewhere.

use super::listing;
use super::{ALGORITHM, CHECKSUM, GOOD, named};
use crate::adapters::connection::{Connection, Failure, Message, Reply, Site};
use crate::adapters::data::Bucket;
use crate::adapters::{AdapterError, Line, base64};
use hyper::body::Bytes;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Uri};
use reqwest::Url;
use rusty_s3::actions::{GetObject, PutObject};
use rusty_s3::{Credentials, S3Action};
use sha2::{Digest, Sha256};
use std::time::Duration;

/// How objects of a bucket are written and read.
pub(super) struct Wire {
    site: Site,
    bucket: rusty_s3::Bucket,
    login: Option<Credentials>,
    /// Connecting may take so long.
    patience: Duration,
}

/// Why it is not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The connection, or what came over it, was no good.
    Failed(Failure),
    /// The server said no.
    Refused(Refusal),
}

/// An error as a server says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub status: u16,
    /// The protocol's own word for it, if there is one.
    pub code: Option<String>,
}

impl Wire {
    /// # Errors
    /// When the endpoint is no URL, or the certificates that it trusts cannot be read.
    pub fn new(asked: &Bucket, patience: Duration) -> Result<Self, AdapterError> {
        let (bucket, login) = named(asked)?;
        let wrong = || AdapterError::Other(format!("the bucket `{}`: its endpoint is no URL", asked.name));
        let uri: Uri = bucket.base_url().as_str().parse().map_err(|_| wrong())?;
        let line = Line { ca: asked.ca.clone(), ..Line::default() };
        Ok(Self { site: Site::of(&uri, &line)?, bucket, login, patience })
    }

    /// A connection of its own.
    pub async fn connect(&self) -> Result<Connection, Trouble> {
        Connection::open(&self.site, self.patience).await.map_err(Trouble::Failed)
    }

    /// Writes an object. The server is told what its bytes come to, and refuses what was damaged on the way.
    pub async fn put(&self, connection: &mut Connection, key: &str, body: Vec<u8>) -> Result<(), Trouble> {
        let sum = base64::encoded(&Sha256::digest(&body));
        let mut action = PutObject::new(&self.bucket, self.login.as_ref(), key);
        action.headers_mut().insert(CHECKSUM, sum.clone());
        action.headers_mut().insert(ALGORITHM.0, ALGORITHM.1);
        let mut headers = HeaderMap::new();
        headers.extend(HeaderValue::from_str(&sum).ok().map(|sum| (HeaderName::from_static(CHECKSUM), sum)));
        headers.insert(HeaderName::from_static(ALGORITHM.0), HeaderValue::from_static(ALGORITHM.1));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        // A length of nothing is not said by itself, and asked for.
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        let message = Message { method: Method::PUT, headers, body: Bytes::from(body) };
        let reply = exchange(connection, &action.sign(GOOD), message).await?;
        match (reply.status, reply.header("etag")) {
            (200, Some(_)) => Ok(()),
            (200, None) => Err(strange("an object was taken without an ETag")),
            _ => Err(refused(&reply)),
        }
    }

    /// An object's bytes; none if there is no such object.
    pub async fn get(&self, connection: &mut Connection, key: &str) -> Result<Option<Vec<u8>>, Trouble> {
        let url = GetObject::new(&self.bucket, self.login.as_ref(), key).sign(GOOD);
        let reply = exchange(connection, &url, get()).await?;
        match reply.status {
            200 => Ok(Some(reply.body)),
            404 if code(&reply).as_deref() == Some("NoSuchKey") => Ok(None),
            _ => Err(refused(&reply)),
        }
    }

    /// The first key with this beginning, if there is one.
    pub async fn first(&self, connection: &mut Connection, prefix: &str) -> Result<Option<String>, Trouble> {
        let mut action = GetObject::new(&self.bucket, self.login.as_ref(), "");
        for (name, value) in [("encoding-type", "url"), ("list-type", "2"), ("max-keys", "1"), ("prefix", prefix)] {
            action.query_mut().insert(name, value.to_owned());
        }
        let reply = exchange(connection, &action.sign(GOOD), get()).await?;
        if reply.status != 200 {
            return Err(refused(&reply));
        }
        let page = listing::parse(&String::from_utf8_lossy(&reply.body)).map_err(|why| strange(&why))?;
        Ok(page.entries.into_iter().next().map(|entry| entry.key))
    }
}

fn get() -> Message {
    Message { method: Method::GET, headers: HeaderMap::new(), body: Bytes::new() }
}

async fn exchange(connection: &mut Connection, url: &Url, message: Message) -> Result<Reply, Trouble> {
    let path = format!("{}?{}", url.path(), url.query().unwrap_or_default());
    connection.exchange(path.trim_end_matches('?'), message).await.map_err(Trouble::Failed)
}

fn code(reply: &Reply) -> Option<String> {
    listing::code(&String::from_utf8_lossy(&reply.body))
}

fn refused(reply: &Reply) -> Trouble {
    Trouble::Refused(Refusal { status: reply.status, code: code(reply) })
}

fn strange(why: &str) -> Trouble {
    Trouble::Failed(Failure::Undecided(why.to_owned()))
}
