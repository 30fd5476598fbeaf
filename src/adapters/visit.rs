//! Visits of a page over HTTP: with a new connection each time, with kept ones, or tried again with back-off.
//! A visit is ok only if status and body are as expected; a nonce in them tells an answer from a cache's.

use super::connection::{Connection, Failure, Message, Reply, Site, headers};
use super::{Act, AdapterError, Client, ClientSettings, Done, Fut, Operation, Request};
use crate::clock::Clock;
use crate::model::{ClientBehaviour, Mono, Outcome, RetryPolicy};
use hyper::body::Bytes;
use hyper::{Method, Uri};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

const NONCE: &str = "{nonce}";

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

/// Visits a page.
pub(super) struct Visitor {
    clock: Clock,
    site: Site,
    path: String,
    message: Message,
    status: Vec<u16>,
    contains: Option<String>,
    behaviour: ClientBehaviour,
    timeout: Duration,
    pool: Pool,
}

impl Visitor {
    /// Checks the request; connects nowhere.
    ///
    /// # Errors
    /// When URL, method or headers are not valid.
    pub fn open(
        clock: &Clock,
        request: &Request,
        status: &[u16],
        contains: Option<&str>,
        settings: &ClientSettings,
    ) -> Result<Arc<Self>, AdapterError> {
        // The nonce's place must survive the URL's grammar.
        let url: Uri = request.url.replace(NONCE, "0").parse().map_err(|_| wrong_url())?;
        let method = Method::from_bytes(request.method.as_bytes())
            .map_err(|_| AdapterError::Other(format!("`{}` is no HTTP method", request.method)))?;
        let body = Bytes::from(request.body.clone().unwrap_or_default());
        let path = request.url.split_once("://").and_then(|(_, rest)| rest.find(['/', '?']).map(|at| &rest[at..]));
        let path = path.and_then(|p| p.split('#').next()).unwrap_or("/");
        Ok(Arc::new(Self {
            clock: clock.clone(),
            site: Site::of(&url)?,
            path: if path.starts_with('?') { format!("/{path}") } else { path.to_owned() },
            message: Message { method, headers: headers(&request.headers)?, body },
            status: status.to_vec(),
            contains: contains.map(str::to_owned),
            behaviour: settings.behaviour.clone(),
            timeout: settings.timeout,
            pool: Pool::new((settings.rate * settings.timeout.as_secs_f64()).ceil() as usize + 1),
        }))
    }

    fn is_expected(&self, reply: &Reply, nonce: &str) -> bool {
        let status = if self.status.is_empty() {
            (200..300).contains(&reply.status)
        } else {
            self.status.contains(&reply.status)
        };
        let contains = self.contains.as_ref().is_none_or(|part| {
            let part = part.replace(NONCE, nonce);
            String::from_utf8_lossy(&reply.body).contains(&part)
        });
        status && contains
    }

    async fn attempt(&self, nonce: &str, limit: Duration) -> Outcome {
        let exchange = async {
            let mut connection = match self.behaviour {
                ClientBehaviour::Fresh => Connection::open(&self.site, limit).await?,
                ClientBehaviour::Pooled | ClientBehaviour::Retrying(_) => self.pool.take(&self.site, limit).await?,
            };
            let reply = connection.exchange(&self.path.replace(NONCE, nonce), self.message.clone()).await?;
            Ok((connection, reply))
        };
        match tokio::time::timeout(limit, exchange).await {
            Err(_) | Ok(Err(Failure::Undecided(_))) => Outcome::Unknown,
            Ok(Err(Failure::NotSent(_))) => Outcome::Fail,
            Ok(Err(Failure::Resources(_))) => Outcome::Unsent,
            Ok(Ok((connection, reply))) => {
                if self.behaviour != ClientBehaviour::Fresh {
                    self.pool.give(connection);
                }
                if self.is_expected(&reply, nonce) { Outcome::Ok } else { Outcome::Fail }
            }
        }
    }
}

fn wrong_url() -> AdapterError {
    AdapterError::Other("the URL of a workload is not valid".to_owned())
}

impl Client for Visitor {
    fn operate(&self, operation: Operation) -> Fut<'_, Done> {
        let number = match operation.act {
            Act::Visit(number) => number,
            Act::Write(key) | Act::Read(key) => key.seq,
        };
        Box::pin(async move {
            let nonce = number.to_string();
            let sent = self.clock.mono();
            let outcome = match &self.behaviour {
                ClientBehaviour::Fresh | ClientBehaviour::Pooled => self.attempt(&nonce, self.timeout).await,
                ClientBehaviour::Retrying(policy) => {
                    let until = sent.after(self.timeout);
                    retry(&self.clock, policy, until, |_, limit| Box::pin(self.attempt(&nonce, limit))).await
                }
            };
            Done { sent, done: self.clock.mono(), outcome, found: None }
        })
    }
}
