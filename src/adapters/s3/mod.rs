//! Buckets by the S3 protocol: signed requests for lists and objects, tried again where that helps. What is made of the
//! answers is in files of their own.
//!
//! Signatures are in the URL (version 4, `UNSIGNED-PAYLOAD`), so a URL is a secret for as long as it is good, and never
//! stands in a message.

mod fingerprint;
mod listing;

pub(super) use fingerprint::fingerprint;

use super::data::{Bucket, Objects, Versions};
use super::{AdapterError, http, tls};
use crate::model::Addressing;
use listing::{Entry, Next};
use reqwest::{Response, Url};
use rusty_s3::actions::GetObject;
use rusty_s3::{Credentials, S3Action, UrlStyle};
use sha2::{Digest, Sha256};
use std::future::Future;
use std::time::Duration;

/// A connection is given up after this, and an answer of which so long nothing came.
const CONNECT: Duration = Duration::from_secs(5);
const SILENCE: Duration = Duration::from_secs(30);
/// A signature is good for so long: clocks differ.
const GOOD: Duration = Duration::from_secs(15 * 60);
/// What was refused for now is tried so often, after pauses that double; a server may ask for longer ones, up to a bound.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(20);
/// More of a list, or of what a server says of an error, is not read.
const LIST: usize = 16 << 20;
const SAID: usize = 16 << 10;

/// A bucket that can be asked.
struct S3 {
    client: reqwest::Client,
    bucket: rusty_s3::Bucket,
    login: Option<Credentials>,
}

/// Why one attempt failed.
enum Trouble {
    /// Another attempt may help, perhaps after the pause that the server asks for.
    Again(AdapterError, Option<Duration>),
    /// No other attempt would help.
    Final(AdapterError),
}

impl S3 {
    fn new(asked: &Bucket) -> Result<Self, AdapterError> {
        let wrong = |why: &str| AdapterError::Other(format!("the bucket `{}`: {why}", asked.name));
        let endpoint: Url = asked.endpoint.parse().map_err(|_| wrong("its endpoint is no URL"))?;
        let secure = endpoint.scheme() == "https";
        let style = match asked.addressing {
            Addressing::Path => UrlStyle::Path,
            Addressing::Host => UrlStyle::VirtualHost,
        };
        let bucket = rusty_s3::Bucket::new(endpoint, style, asked.name.clone(), asked.region.clone())
            .map_err(|_| wrong("its endpoint or its name makes no URL"))?;
        let login = asked.login.as_ref().map(|login| match &login.token {
            Some(token) => Credentials::new_with_token(&login.key, &login.secret, token),
            None => Credentials::new(&login.key, &login.secret),
        });
        http::install_tls();
        let mut client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE);
        if secure {
            client = client.tls_backend_preconfigured(tls::config(&tls::Trust::Roots(asked.ca.clone()))?);
        }
        let client = client.build().map_err(|_| wrong("no HTTP client can be made for it"))?;
        Ok(Self { client, bucket, login })
    }

    /// The bucket, or something in it, for a message.
    fn label(&self, key: &str) -> String {
        let url = self.bucket.base_url();
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        format!("s3://{}/{key} at {}{port}", self.bucket.name(), url.host_str().unwrap_or_default())
    }

    /// A signed URL. An empty key means the bucket.
    fn url(&self, key: &str, query: &[(&str, &str)]) -> Url {
        let mut action = GetObject::new(&self.bucket, self.login.as_ref(), key);
        query.iter().for_each(|(name, value)| action.query_mut().insert((*name).to_owned(), (*value).to_owned()));
        action.sign(GOOD)
    }

    /// One page of a list, as XML; none if there is no such bucket.
    async fn list(&self, asked: &Objects, prefix: &str, from: &Next) -> Result<Option<String>, AdapterError> {
        let what = format!("list {}", self.label(prefix));
        let page = asked.page.to_string();
        let mut query = vec![("encoding-type", "url"), ("max-keys", page.as_str()), ("prefix", prefix)];
        query.push(match asked.versions {
            Versions::Current => ("list-type", "2"),
            Versions::All => ("versions", ""),
        });
        query.extend(from.iter().map(|(name, value)| (*name, value.as_str())));
        let found = again(|| async {
            let answer = self.send(&what, self.url("", &query)).await?;
            text(&what, answer, LIST).await
        });
        match found.await {
            Ok(text) => Ok(Some(text)),
            Err(AdapterError::Missing(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// SHA-256 of an object's bytes, which must be the ones that were listed.
    async fn hash(&self, entry: &Entry) -> Result<[u8; 32], AdapterError> {
        let what = format!("read {}", self.label(&entry.key));
        if entry.key.split('/').any(|part| part == "." || part == "..") {
            return Err(AdapterError::Other(format!("{what}: no URL can name it: leave it out")));
        }
        let query: Vec<(&str, &str)> = entry.version.iter().map(|version| ("versionId", version.id.as_str())).collect();
        again(|| async {
            match self.send(&what, self.url(&entry.key, &query)).await {
                Ok(answer) => bytes(&what, answer, entry).await,
                Err(Trouble::Final(AdapterError::Missing(_))) => Err(moved(&what)),
                Err(trouble) => Err(trouble),
            }
        })
        .await
    }

    /// Sends a request; what is not 200 is trouble.
    async fn send(&self, what: &str, url: Url) -> Result<Response, Trouble> {
        let answer = self.client.get(url).send().await.map_err(|e| Trouble::Again(http::failed(what, e), None))?;
        let status = answer.status().as_u16();
        if status == 200 {
            return Ok(answer);
        }
        let seconds = |value: &reqwest::header::HeaderValue| value.to_str().ok()?.parse().ok().map(Duration::from_secs);
        let wait = answer.headers().get("retry-after").and_then(seconds);
        let code = text(what, answer, SAID).await.ok().and_then(|said| listing::code(&said));
        let shown = code.as_ref().map(|code| format!(" ({code})")).unwrap_or_default();
        let why = format!("{what}: status {status}{shown}");
        Err(match (status, code.as_deref()) {
            (429 | 500 | 502 | 503 | 504, _) => Trouble::Again(AdapterError::Refused(why), wait),
            (404, Some("NoSuchBucket" | "NoSuchKey" | "NoSuchVersion")) => Trouble::Final(AdapterError::Missing(why)),
            _ => Trouble::Final(AdapterError::Refused(why)),
        })
    }
}

/// Tries until it works, cannot work, or has been tried often enough; the caller bounds the whole.
async fn again<T, F: Future<Output = Result<T, Trouble>>>(mut attempt: impl FnMut() -> F) -> Result<T, AdapterError> {
    let mut pause = PAUSE;
    for last in (0..ATTEMPTS).map(|n| n + 1 == ATTEMPTS) {
        match attempt().await {
            Ok(found) => return Ok(found),
            Err(Trouble::Again(error, _)) if last => return Err(error),
            Err(Trouble::Again(_, asked)) => tokio::time::sleep(asked.unwrap_or(pause).min(LONGEST_PAUSE)).await,
            Err(Trouble::Final(error)) => return Err(error),
        }
        pause *= 2;
    }
    Err(AdapterError::Other("nothing was tried".to_owned()))
}

async fn text(what: &str, mut answer: Response, most: usize) -> Result<String, Trouble> {
    let mut bytes = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(|e| Trouble::Again(http::failed(what, e), None))? {
        bytes.extend_from_slice(&piece);
        if bytes.len() > most {
            return Err(Trouble::Final(AdapterError::Other(format!("{what}: an oversized answer"))));
        }
    }
    String::from_utf8(bytes)
        .map_err(|_| Trouble::Final(AdapterError::Other(format!("{what}: an answer that is no text"))))
}

async fn bytes(what: &str, mut answer: Response, listed: &Entry) -> Result<[u8; 32], Trouble> {
    let etag = answer.headers().get("etag").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let other_tag = !etag.is_empty() && !listed.etag.is_empty() && etag != listed.etag;
    if other_tag || answer.content_length().is_some_and(|length| length != listed.size) {
        return Err(moved(what));
    }
    let (mut hash, mut length) = (Sha256::new(), 0);
    while let Some(piece) = answer.chunk().await.map_err(|e| Trouble::Again(http::failed(what, e), None))? {
        hash.update(&piece);
        length += piece.len() as u64;
    }
    match length == listed.size {
        true => Ok(hash.finalize().into()),
        false => Err(Trouble::Again(AdapterError::Other(format!("{what}: cut off after {length} bytes")), None)),
    }
}

fn moved(what: &str) -> Trouble {
    let why = "it changed since it was listed: leave it out, or stop what writes to it";
    Trouble::Final(AdapterError::Other(format!("{what}: {why}")))
}

#[cfg(test)]
mod tests;
