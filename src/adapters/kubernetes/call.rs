//! One call of a cluster's API over HTTP: bounded in time and in size. What its refusals mean is in `status`.

use super::ClusterError;
use super::status::{Hush, Status, broken};
use http_body_util::{BodyExt, Limited};
use hyper::body::Bytes;
use hyper::{Method, Request, Response};
use kube::client::Body;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use std::future::Future;
use std::time::Duration;

/// A call that takes no limit ends within this.
pub(super) const CALL: Duration = Duration::from_secs(10);
/// A server that has too much to do is asked again so often, when it says, but not later than `LONGEST`.
const AGAIN: u32 = 3;
const LONGEST: Duration = Duration::from_secs(2);
/// More than this is not read of an answer.
pub(super) const LARGEST: usize = 32 << 20;
/// A refusal has no need of more.
const REFUSAL: usize = 1 << 20;

const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Reading.
pub(super) const JSON: &str = "application/json";

/// What a server's "later" (429 with `Retry-After`) means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Later {
    /// It has too much to do and did nothing: it is asked again.
    Again,
    /// It is an answer: a disruption budget says no.
    Answer,
}

/// What is asked.
pub(super) struct Ask {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: Vec<(&'static str, String)>,
    /// Its type and bytes.
    pub(super) body: Option<(&'static str, Vec<u8>)>,
    pub(super) accept: &'static str,
    /// For people: `get pod shop/web-1`.
    pub(super) doing: String,
    pub(super) hush: Hush,
    pub(super) later: Later,
}

impl Ask {
    pub(super) fn new(method: Method, path: String, doing: String) -> Self {
        Self { method, path, query: Vec::new(), body: None, accept: JSON, doing, hush: Hush::No, later: Later::Again }
    }

    pub(super) fn get(path: String, doing: String) -> Self {
        Self::new(Method::GET, path, doing)
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    pub(super) fn sending(mut self, kind: &'static str, body: &Value) -> Self {
        self.body = Some((kind, body.to_string().into_bytes()));
        self
    }

    pub(super) fn uri(&self) -> String {
        let pair = |(name, value): &(&str, String)| format!("{name}={}", escaped(value));
        let query: Vec<String> = self.query.iter().map(pair).collect();
        if query.is_empty() { self.path.clone() } else { format!("{}?{}", self.path, query.join("&")) }
    }

    fn request(&self) -> Result<Request<Body>, ClusterError> {
        let mut request = Request::builder().method(self.method.clone()).uri(self.uri()).header("accept", self.accept);
        let mut bytes = Vec::new();
        if let Some((kind, body)) = &self.body {
            request = request.header("content-type", *kind);
            bytes.clone_from(body);
        }
        request
            .body(Body::from(bytes))
            .map_err(|_| ClusterError::Invalid(format!("{}: no URL can say this", self.doing)))
    }
}

/// A part of a path, or a value of a query.
pub(super) fn escaped(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}

/// An answer, whatever it says.
pub(super) struct Answer {
    pub(super) code: u16,
    /// None if there is more than may be read.
    pub(super) body: Option<Bytes>,
    /// It has too much to do: so long.
    wait: Option<Duration>,
}

impl Answer {
    /// What it says, or why it says no.
    pub(super) fn json(self, ask: &Ask) -> Result<Value, ClusterError> {
        let bytes = self.good(ask)?;
        let unread = |_| ClusterError::Other(format!("{}: the server's answer is no JSON", ask.doing));
        serde_json::from_slice(&bytes).map_err(unread)
    }

    pub(super) fn good(self, ask: &Ask) -> Result<Bytes, ClusterError> {
        let large = || ClusterError::Other(format!("{}: the answer has more than {} MiB", ask.doing, LARGEST >> 20));
        let bytes = self.body.ok_or_else(large)?;
        if (200..300).contains(&self.code) {
            return Ok(bytes);
        }
        Err(Status::of(self.code, &bytes).error(&ask.doing, ask.hush))
    }
}

/// Who asks.
pub(super) struct Caller {
    pub(super) client: kube::Client,
    /// For people: the URL without a login.
    pub(super) server: String,
}

impl Caller {
    /// The answer as JSON, if it is a good one.
    pub(super) async fn json(&self, ask: &Ask) -> Result<Value, ClusterError> {
        self.answer(ask).await?.json(ask)
    }

    /// Whatever the answer is.
    pub(super) async fn answer(&self, ask: &Ask) -> Result<Answer, ClusterError> {
        within(CALL, &ask.doing, async {
            let (mut broke, mut waited) = (false, 0);
            loop {
                match self.once(ask).await {
                    // The connection broke, as one does that was kept while the server was started anew: reading twice does no harm.
                    Err(ClusterError::TimedOut(_)) if ask.method == Method::GET && !broke => broke = true,
                    Ok(Answer { wait: Some(wait), .. }) if ask.later == Later::Again && waited < AGAIN => {
                        waited += 1;
                        tokio::time::sleep(wait.min(LONGEST)).await;
                    }
                    other => return other,
                }
            }
        })
        .await
    }

    async fn once(&self, ask: &Ask) -> Result<Answer, ClusterError> {
        let response = self.send(ask).await?;
        let code = response.status().as_u16();
        let after = response.headers().get("retry-after").filter(|_| code == 429);
        let wait = after.and_then(|value| value.to_str().ok()?.parse().ok()).map(Duration::from_secs);
        let most = if (200..300).contains(&code) { LARGEST } else { REFUSAL };
        let body = self.read(response, most, ask).await?;
        Ok(Answer { code, body, wait })
    }

    /// A good answer whose body is still to come. Unbounded in time: the caller bounds it.
    pub(super) async fn stream(&self, ask: &Ask) -> Result<Body, ClusterError> {
        let response = self.send(ask).await?;
        let code = response.status().as_u16();
        if (200..300).contains(&code) {
            return Ok(response.into_body());
        }
        let body = self.read(response, REFUSAL, ask).await?.unwrap_or_default();
        Err(Status::of(code, &body).error(&ask.doing, ask.hush))
    }

    /// What broke it.
    pub(super) fn broken(&self, doing: &str, error: &kube::Error) -> ClusterError {
        broken(doing, &self.server, error)
    }

    async fn send(&self, ask: &Ask) -> Result<Response<Body>, ClusterError> {
        self.client.send(ask.request()?).await.map_err(|error| self.broken(&ask.doing, &error))
    }

    async fn read(&self, response: Response<Body>, most: usize, ask: &Ask) -> Result<Option<Bytes>, ClusterError> {
        match Limited::new(response.into_body(), most).collect().await {
            Ok(body) => Ok(Some(body.to_bytes())),
            Err(error) if error.is::<http_body_util::LengthLimitError>() => Ok(None),
            Err(error) => Err(broken(&ask.doing, &self.server, error.as_ref())),
        }
    }
}

/// It ends within the limit.
pub(super) async fn within<T>(
    limit: Duration,
    doing: &str,
    work: impl Future<Output = Result<T, ClusterError>> + Send,
) -> Result<T, ClusterError> {
    let late = |_| Err(ClusterError::TimedOut(format!("{doing}: no answer within {} s", limit.as_secs_f64())));
    tokio::time::timeout(limit, work).await.unwrap_or_else(late)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_call_waits_for_ever() {
        let never = within(CALL, "get pod a/b", std::future::pending::<Result<(), ClusterError>>()).await;
        assert_eq!(never, Err(ClusterError::TimedOut("get pod a/b: no answer within 10 s".to_owned())));
    }

    #[test]
    fn what_is_asked_cannot_leave_its_place() {
        let ask =
            Ask::get(format!("/api/v1/{}", escaped("../x?y")), String::new()).with("labelSelector", "a in (b,c)&d=e");
        assert_eq!(ask.uri(), "/api/v1/..%2Fx%3Fy?labelSelector=a%20in%20%28b%2Cc%29%26d%3De");
    }
}
