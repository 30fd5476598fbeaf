//! Visits of a page over HTTP: with a new connection each time, with kept ones, or tried again with back-off.
//! A visit is ok only if status and body are as expected; a nonce in them tells an answer from a cache's.

use super::connection::{Connection, Failure, Message, Reply, Site, headers};
use super::expectation::{Expectation, Numbered};
use super::http2::Connection2;
use super::{AdapterError, Client, ClientSettings, Done, Fut, HttpVersion, Line, Operation, Request};
use crate::clock::Clock;
use crate::model::{ClientBehaviour, Mono, Outcome, RetryPolicy};
use hyper::body::Bytes;
use hyper::header::{EXPECT, TRANSFER_ENCODING, UPGRADE};
use hyper::{Method, Uri};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Kept connections, free to use.
pub(super) struct Pool {
    free: Mutex<Vec<Connection>>,
    limit: usize,
}

impl Pool {
    /// Keeps at most so many idle connections.
    pub fn new(limit: usize) -> Self {
        Self { free: Mutex::new(Vec::new()), limit }
    }

    /// A kept connection that is still open, or a new one.
    pub async fn take(&self, site: &Site, limit: Duration) -> Result<Connection, Failure> {
        while let Some(mut kept) = self.pop() {
            if kept.is_usable().await {
                return Ok(kept);
            }
        }
        Connection::open(site, limit).await
    }

    fn pop(&self) -> Option<Connection> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// Keeps a connection whose answer was read to its end.
    pub fn give(&self, connection: Connection) {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < self.limit {
            free.push(connection);
        }
    }
}

/// What the outcomes of several attempts at the same thing come to.
pub(super) struct Attempts {
    sum: Outcome,
}

impl Attempts {
    /// Nothing was tried yet.
    pub fn none() -> Self {
        Self { sum: Outcome::Unsent }
    }

    /// Ok if any attempt is, unsent if none left this machine, failed if all that did definitely failed, else unknown.
    pub fn add(&mut self, outcome: Outcome) -> Outcome {
        use Outcome::{Fail, Missed, Ok, OkLocal, Unknown, Unsent};
        self.sum = match (self.sum, outcome) {
            (Ok, _) | (_, Ok) => Ok,
            (OkLocal, _) | (_, OkLocal) => OkLocal,
            (Unknown, _) | (_, Unknown) => Unknown,
            (Fail | Missed, _) | (_, Fail | Missed) => Fail,
            (Unsent, Unsent) => Unsent,
        };
        self.sum
    }
}

/// The wait after attempt `number` (from 1).
pub(super) fn backoff(policy: &RetryPolicy, number: u32) -> Duration {
    let doubled = policy.backoff.saturating_mul(1_u32.checked_shl(number.saturating_sub(1)).unwrap_or(u32::MAX));
    doubled.min(policy.max_backoff)
}

/// Tries again until it is ok or until the policy, or the operation's own limit, says no more. `attempt` gets its
/// number from 1 and its limit, and ends within that.
pub(super) async fn retry<'a>(
    clock: &Clock,
    policy: &RetryPolicy,
    until: Mono,
    mut attempt: impl FnMut(u32, Duration) -> Fut<'a, Outcome>,
) -> Outcome {
    let mut sum = Attempts::none();
    for number in 1..=policy.attempts.max(1) {
        let left = until.since(clock.mono());
        let outcome = sum.add(attempt(number, policy.attempt_timeout.min(left)).await);
        let wait = backoff(policy, number);
        let over = number == policy.attempts.max(1) || clock.mono().after(wait) >= until;
        if over || matches!(outcome, Outcome::Ok | Outcome::OkLocal) {
            return outcome;
        }
        tokio::time::sleep(wait).await;
    }
    sum.sum
}

/// Carries out one visit as the behaviour says, within its time-out. `attempt` gets its limit, and ends within that.
pub(super) async fn behave<'a>(
    clock: &Clock,
    behaviour: &ClientBehaviour,
    timeout: Duration,
    mut attempt: impl FnMut(Duration) -> Fut<'a, Outcome>,
) -> Done {
    let sent = clock.mono();
    let outcome = match behaviour {
        ClientBehaviour::Fresh | ClientBehaviour::Pooled => attempt(timeout).await,
        ClientBehaviour::Retrying(policy) => retry(clock, policy, sent.after(timeout), |_, limit| attempt(limit)).await,
    };
    Done { sent, done: clock.mono(), outcome, found: None }
}

/// A page, and what counts as ok there.
pub(super) struct Page {
    /// Where.
    pub site: Site,
    /// The path with its query; `{nonce}` in it stands for the visit's number.
    pub path: String,
    /// The request apart from that.
    pub message: Message,
    /// What counts as ok.
    pub expectation: Expectation,
}

impl Page {
    /// Checks the request; connects nowhere.
    ///
    /// # Errors
    /// When URL, method or headers are not valid.
    pub fn of(request: &Request, status: &[u16], contains: Option<&str>, line: &Line) -> Result<Self, AdapterError> {
        // The nonce's place must survive the URL's grammar.
        let url: Uri = request.url.replace("{nonce}", "0").parse().map_err(|_| wrong_url())?;
        let method = Method::from_bytes(request.method.as_bytes())
            .map_err(|_| AdapterError::Other(format!("`{}` is no HTTP method", request.method)))?;
        let body = Bytes::from(request.body.clone().unwrap_or_default());
        let path = request.url.split_once("://").and_then(|(_, rest)| rest.find(['/', '?']).map(|at| &rest[at..]));
        let path = path.and_then(|p| p.split('#').next()).unwrap_or("/");
        Ok(Self {
            site: Site::of(&url, line)?,
            path: if path.starts_with('?') { format!("/{path}") } else { path.to_owned() },
            message: Message { method, headers: headers(&request.headers)?, body },
            expectation: Expectation::new(status, contains),
        })
    }

    /// Does the request need more of HTTP than one head, one body and one answer?
    pub fn needs_hyper(&self) -> bool {
        self.message.method == Method::CONNECT
            || self.message.headers.contains_key(TRANSFER_ENCODING)
            || self.message.headers.contains_key(UPGRADE)
            || self.message.headers.contains_key(EXPECT)
    }
}

/// Visits a page.
pub(super) struct Visitor {
    clock: Clock,
    page: Page,
    path: Numbered,
    behaviour: ClientBehaviour,
    timeout: Duration,
    pool: Pool,
    /// With HTTP/2, the one connection on which everything goes.
    shared: Mutex<Option<Connection2>>,
}

impl Visitor {
    /// Connects nowhere yet.
    pub fn open(clock: &Clock, page: Page, settings: &ClientSettings) -> Arc<Self> {
        Arc::new(Self {
            clock: clock.clone(),
            path: Numbered::of(&page.path),
            page,
            behaviour: settings.behaviour.clone(),
            timeout: settings.timeout,
            pool: Pool::new((settings.rate * settings.timeout.as_secs_f64()).ceil() as usize + 1),
            shared: Mutex::new(None),
        })
    }

    async fn attempt(&self, number: u64, limit: Duration) -> Outcome {
        let mut path = Vec::new();
        self.path.write(number, &mut path);
        let path = String::from_utf8_lossy(&path);
        let exchange = async {
            match self.page.site.version() {
                HttpVersion::One => self.alone(&path, limit).await,
                HttpVersion::Two => self.among_others(&path, limit).await,
            }
        };
        match tokio::time::timeout(limit, exchange).await {
            Err(_) => Failure::Undecided("no answer in time".to_owned()).outcome(),
            Ok(Err(failure)) => failure.outcome(),
            Ok(Ok(reply)) => self.page.expectation.outcome(reply.status, &reply.body, number),
        }
    }

    /// On a connection that nobody else uses at the same time.
    async fn alone(&self, path: &str, limit: Duration) -> Result<Reply, Failure> {
        let site = &self.page.site;
        let mut connection = match self.behaviour {
            ClientBehaviour::Fresh => Connection::open(site, limit).await?,
            ClientBehaviour::Pooled | ClientBehaviour::Retrying(_) => self.pool.take(site, limit).await?,
        };
        let reply = connection.exchange(path, self.page.message.clone()).await?;
        if self.behaviour != ClientBehaviour::Fresh {
            self.pool.give(connection);
        }
        Ok(reply)
    }

    /// On the connection that all use at the same time, unless each has its own.
    async fn among_others(&self, path: &str, limit: Duration) -> Result<Reply, Failure> {
        let site = &self.page.site;
        let shared = || self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = shared().clone().filter(|kept| self.behaviour != ClientBehaviour::Fresh && kept.is_open());
        let connection = match kept {
            Some(kept) => kept,
            None => {
                // Those who come meanwhile open one too: nobody waits for another's attempt.
                let new = Connection2::open(site, limit).await?;
                if self.behaviour != ClientBehaviour::Fresh {
                    *shared() = Some(new.clone());
                }
                new
            }
        };
        connection.exchange(site, path, self.page.message.clone()).await
    }
}

fn wrong_url() -> AdapterError {
    AdapterError::Other("the URL of a workload is not valid".to_owned())
}

impl Client for Visitor {
    fn operate(&self, operation: Operation) -> Fut<'_, Done> {
        let number = operation.act.number();
        let attempt = move |limit| -> Fut<'_, Outcome> { Box::pin(self.attempt(number, limit)) };
        Box::pin(behave(&self.clock, &self.behaviour, self.timeout, attempt))
    }
}
