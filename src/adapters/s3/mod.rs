//! Buckets by the S3 protocol: signed requests for lists and objects, tried again where that helps; the ledger's client and
//! its objects, the availability probe of a ledger, and questions for probes. What is made of the answers is in files of
//! their own.
//!
//! Signatures are in the URL (version 4, `UNSIGNED-PAYLOAD`), so a URL is a secret for as long as it is good, and never
//! stands in a message.

mod archive;
mod classify;
mod fingerprint;
mod ledger;
mod listing;
mod look;
mod pages;
mod small;
mod store;
mod wire;

pub use archive::{Archive, Locked, Stored};
pub(super) use fingerprint::fingerprint;
pub use small::{Condition, Found, Small, Written};

use super::connection::CONNECT as DIAL;
use super::data::{Bucket, Versions};
use super::record_keys::Keys;
use super::systems::{BucketQuestion, Seen};
use super::{AdapterError, ClientSettings, Opened, base64, http, tls};
use crate::clock::Clock;
use crate::model::Addressing;
use listing::{Entry, Next};
use reqwest::{Method, Response, Url};
use rusty_s3::actions::{DeleteObject, GetObject, HeadObject, PutObject};
use rusty_s3::{Credentials, S3Action, UrlStyle};
use sha2::{Digest, Sha256};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

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

/// What a server checks a body against before it takes it.
const CHECKSUM: &str = "x-amz-checksum-sha256";
/// And what that is, which a bucket that locks objects insists on.
const ALGORITHM: (&str, &str) = ("x-amz-sdk-checksum-algorithm", "SHA256");

/// A bucket that can be asked.
struct S3 {
    client: reqwest::Client,
    bucket: rusty_s3::Bucket,
    login: Option<Credentials>,
}

/// What is asked for, in words, and the right that it needs.
#[derive(Clone)]
struct Call {
    what: String,
    right: &'static str,
}

/// The bucket's place in URLs, and who signs.
fn named(asked: &Bucket) -> Result<(rusty_s3::Bucket, Option<Credentials>), AdapterError> {
    let wrong = |why: &str| AdapterError::Other(format!("the bucket `{}`: {why}", asked.name));
    let endpoint: Url = asked.endpoint.parse().map_err(|_| wrong("its endpoint is no URL"))?;
    if !["http", "https"].contains(&endpoint.scheme()) {
        return Err(wrong("its endpoint must begin with http:// or https://"));
    }
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
    Ok((bucket, login))
}

/// Where something in a bucket is, for a message.
fn label(bucket: &rusty_s3::Bucket, key: &str) -> String {
    let url = bucket.base_url();
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("s3://{}/{key} at {}{port}", bucket.name(), url.host_str().unwrap_or_default())
}

/// Why one attempt failed.
enum Trouble {
    /// Another attempt may help, perhaps after the pause that the server asks for.
    Again(AdapterError, Option<Duration>),
    /// No other attempt would help.
    Final(AdapterError),
    /// The server has no such request at all.
    Lacking(AdapterError),
}

impl S3 {
    fn new(asked: &Bucket) -> Result<Self, AdapterError> {
        let wrong = |why: &str| AdapterError::Other(format!("the bucket `{}`: {why}", asked.name));
        let (bucket, login) = named(asked)?;
        let secure = bucket.base_url().scheme() == "https";
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
        label(&self.bucket, key)
    }

    /// A signed URL for reading. An empty key means the bucket.
    fn url(&self, key: &str, query: &[(&str, &str)]) -> Url {
        self.signed(&Method::GET, key, query)
    }

    fn signed(&self, method: &Method, key: &str, query: &[(&str, &str)]) -> Url {
        let login = self.login.as_ref();
        match *method {
            Method::DELETE => sign(DeleteObject::new(&self.bucket, login, key), query),
            Method::HEAD => sign(HeadObject::new(&self.bucket, login, key), query),
            _ => sign(GetObject::new(&self.bucket, login, key), query),
        }
    }

    /// One page of a list, as XML.
    ///
    /// # Errors
    /// `Missing` if there is no such bucket.
    async fn list(&self, versions: Versions, page: u16, prefix: &str, from: &Next) -> Result<String, AdapterError> {
        let page = page.to_string();
        let mut query = vec![("encoding-type", "url"), ("max-keys", page.as_str()), ("prefix", prefix)];
        let right = match versions {
            Versions::Current => {
                query.push(("list-type", "2"));
                "s3:ListBucket"
            }
            Versions::All => {
                query.push(("versions", ""));
                "s3:ListBucketVersions"
            }
        };
        query.extend(from.iter().map(|(name, value)| (*name, value.as_str())));
        let call = Call { what: format!("list {}", self.label(prefix)), right };
        self.text(&call, "", &query).await
    }

    /// A short answer about the bucket or an object.
    async fn text(&self, call: &Call, key: &str, query: &[(&str, &str)]) -> Result<String, AdapterError> {
        again(|| async {
            let answer = self.send(call, Method::GET, self.url(key, query)).await?;
            text(&call.what, answer, LIST).await
        })
        .await
    }

    /// SHA-256 of an object's bytes, which must be the ones that were listed.
    async fn hash(&self, entry: &Entry) -> Result<[u8; 32], AdapterError> {
        let what = format!("read {}", self.label(&entry.key));
        if entry.key.split('/').any(|part| part == "." || part == "..") {
            return Err(AdapterError::Other(format!("{what}: no URL can name it: leave it out")));
        }
        let query: Vec<(&str, &str)> = entry.version.iter().map(|version| ("versionId", version.id.as_str())).collect();
        let call = Call { what: what.clone(), right: reading(entry) };
        again(|| async {
            match self.send(&call, Method::GET, self.url(&entry.key, &query)).await {
                Ok(answer) => bytes(&what, answer, entry).await,
                Err(Trouble::Final(AdapterError::Missing(_))) => Err(moved(&what)),
                Err(trouble) => Err(trouble),
            }
        })
        .await
    }

    /// Sends a request without a body; what is not done is trouble.
    async fn send(&self, call: &Call, method: Method, url: Url) -> Result<Response, Trouble> {
        self.answer(call, self.client.request(method, url)).await
    }

    /// Writes an object that is empty.
    async fn put_empty(&self, call: &Call, key: &str) -> Result<(), AdapterError> {
        let sum = base64::encoded(&Sha256::digest(b""));
        let mut action = PutObject::new(&self.bucket, self.login.as_ref(), key);
        action.headers_mut().insert(CHECKSUM, sum.clone());
        action.headers_mut().insert(ALGORITHM.0, ALGORITHM.1);
        let attempt = || {
            let request = self.client.put(action.sign(GOOD)).header(CHECKSUM, &sum).header(ALGORITHM.0, ALGORITHM.1);
            // A length of nothing is not said by itself, and asked for.
            self.answer(call, request.header("content-length", "0"))
        };
        again(attempt).await.map(drop)
    }

    async fn answer(&self, call: &Call, request: reqwest::RequestBuilder) -> Result<Response, Trouble> {
        let what = &call.what;
        let answer = request.send().await.map_err(|e| Trouble::Again(http::failed(what, e), None))?;
        let status = answer.status().as_u16();
        if [200, 204].contains(&status) {
            return Ok(answer);
        }
        let seconds = |value: &reqwest::header::HeaderValue| value.to_str().ok()?.parse().ok().map(Duration::from_secs);
        let wait = answer.headers().get("retry-after").and_then(seconds);
        let code = text(what, answer, SAID).await.ok().and_then(|said| listing::code(&said));
        let shown = code.as_ref().map(|code| format!(" ({code})")).unwrap_or_default();
        let why = format!("{what}: {}status {status}{shown}", advice(call.right, status, code.as_deref()));
        Err(match (status, code.as_deref()) {
            (429 | 500 | 502 | 503 | 504, _) => Trouble::Again(AdapterError::Refused(why), wait),
            (404, Some("NoSuchBucket" | "NoSuchKey" | "NoSuchVersion")) => Trouble::Final(AdapterError::Missing(why)),
            (405 | 501, _) => Trouble::Lacking(AdapterError::Refused(why)),
            _ => Trouble::Final(AdapterError::Refused(why)),
        })
    }
}

fn sign<'a>(mut action: impl S3Action<'a>, query: &[(&str, &str)]) -> Url {
    query.iter().for_each(|(name, value)| action.query_mut().insert((*name).to_owned(), (*value).to_owned()));
    action.sign(GOOD)
}

fn reading(entry: &Entry) -> &'static str {
    if entry.version.is_some() { "s3:GetObjectVersion" } else { "s3:GetObject" }
}

/// What to do about a refusal, by the code that the protocol has for it.
fn advice(right: &str, status: u16, code: Option<&str>) -> String {
    match (status, code) {
        (_, Some("NoSuchBucket")) => "there is no such bucket: ".to_owned(),
        (_, Some("InvalidAccessKeyId")) => "the server does not know this access key: ".to_owned(),
        (_, Some("SignatureDoesNotMatch")) => "the secret does not belong to this access key: ".to_owned(),
        (_, Some("ExpiredToken" | "InvalidToken")) => "the session token is no longer good: ".to_owned(),
        (_, Some("RequestTimeTooSkewed")) => "this machine's clock and the server's differ: ".to_owned(),
        (_, Some("AuthorizationHeaderMalformed" | "PermanentRedirect")) => {
            "the bucket is in another region or at another endpoint: ".to_owned()
        }
        (_, Some("AccessDenied" | "AllAccessDisabled")) | (401 | 403, None) => {
            format!("refused; the access key needs {right}: ")
        }
        _ => String::new(),
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
            Err(Trouble::Final(error) | Trouble::Lacking(error)) => return Err(error),
        }
        pause *= 2;
    }
    Err(AdapterError::Other("nothing was tried".to_owned()))
}

async fn text(what: &str, answer: Response, most: usize) -> Result<String, Trouble> {
    String::from_utf8(whole(what, answer, most).await?)
        .map_err(|_| Trouble::Final(AdapterError::Other(format!("{what}: an answer that is no text"))))
}

/// A body that is kept, which must be no longer than `most`.
async fn whole(what: &str, mut answer: Response, most: usize) -> Result<Vec<u8>, Trouble> {
    let mut bytes = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(|e| Trouble::Again(http::failed(what, e), None))? {
        bytes.extend_from_slice(&piece);
        if bytes.len() > most {
            return Err(Trouble::Final(AdapterError::Other(format!("{what}: an oversized answer"))));
        }
    }
    Ok(bytes)
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

/// Where a bucket is, and how long its clients wait.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
pub struct BucketPlace {
    /// The bucket, and who signs.
    pub bucket: Bucket,
    /// Of one connection; 900 ms if not given.
    pub connect_timeout: Option<Duration>,
    /// Of one answer; as long as the operation if not given.
    pub response_timeout: Option<Duration>,
}

/// Opens a ledger; connections are made when they are first needed. `prefix` names its objects.
///
/// # Errors
/// When the endpoint is no URL, or the certificates that it trusts cannot be read.
pub fn open_ledger(
    clock: &Clock,
    place: &BucketPlace,
    prefix: &str,
    settings: &ClientSettings,
) -> Result<Opened, AdapterError> {
    let keys = Keys::new(prefix, settings.run.as_str());
    let store = store::Store::new(S3::new(&place.bucket)?, keys.clone(), settings);
    let wire = Arc::new(wire::Wire::new(&place.bucket, patience(place))?);
    let client = ledger::Ledger::new(clock.clone(), wire, keys, settings, place.response_timeout);
    Ok(Opened { client: Arc::new(client), store: Some(Arc::new(store)) })
}

/// Opens the probe that looks whether the bucket takes objects, with a fresh connection each time.
///
/// # Errors
/// As [`open_ledger`].
pub fn open_probe(
    clock: &Clock,
    place: &BucketPlace,
    prefix: &str,
    settings: &ClientSettings,
) -> Result<Opened, AdapterError> {
    let limit = place.response_timeout.map_or(settings.timeout, |patience| patience.min(settings.timeout));
    let key = Keys::new(prefix, settings.run.as_str()).own();
    let wire = wire::Wire::new(&place.bucket, patience(place).min(limit))?;
    Ok(Opened { client: Arc::new(ledger::Probe { clock: clock.clone(), wire, key, limit }), store: None })
}

fn patience(place: &BucketPlace) -> Duration {
    place.connect_timeout.unwrap_or(DIAL)
}

/// Answers one question within `limit`.
///
/// # Errors
/// When nobody answers, or it is refused.
pub(super) async fn look(question: &BucketQuestion, limit: Duration) -> Result<Seen, AdapterError> {
    let s3 = S3::new(&question.bucket)?;
    let late = || AdapterError::TimedOut(format!("{}: no answer within {limit:?}", s3.label("")));
    timeout(limit, look::look(&s3, question)).await.unwrap_or_else(|_| Err(late()))
}

#[cfg(test)]
mod tests;
