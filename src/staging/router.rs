//! The router's way of a request: to whichever node leads now, over kept connections, and what its client is told when
//! that fails. Who leads is decided in [`super::cluster`].

use super::node_http::{ATTEMPT, DURABILITY, OUTCOME, PAYLOAD_LIMIT, TERM, failed, undecided};
use super::truth::{Fact, Truth};
use super::wire::{Connection, Head, Length};
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use futures_util::stream;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

const IDLE_LIMIT: usize = 256;
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
const WHOLE_BODY: u64 = 256 * 1024;

/// Where requests go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Leader {
    pub node: &'static str,
    pub address: SocketAddr,
    pub term: u64,
}

/// Forwards requests to the leader.
#[derive(Debug)]
pub(super) struct Forwarder {
    leader: watch::Receiver<Leader>,
    idle: Mutex<(u64, Vec<Connection>)>,
    limit: Duration,
    truth: Arc<Truth>,
}

/// A request as it is passed on.
struct Outgoing {
    method: String,
    path: String,
    attempt: u32,
    body: Bytes,
}

impl Outgoing {
    fn bytes(&self, term: u64) -> Vec<u8> {
        let Self { method, path, attempt, body } = self;
        let mut bytes = format!(
            "{method} {path} HTTP/1.1\r\nhost: node\r\n{ATTEMPT}: {attempt}\r\n{TERM}: {term}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        bytes.extend_from_slice(body);
        bytes
    }
}

impl Forwarder {
    pub fn new(leader: watch::Receiver<Leader>, limit: Duration, truth: Arc<Truth>) -> Self {
        Self { leader, idle: Mutex::new((0, Vec::new())), limit, truth }
    }

    /// Passes a request on and its answer back.
    pub async fn forward(self: Arc<Self>, request: Request) -> Response {
        let method = request.method().to_string();
        let path = request.uri().path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string);
        let attempt = attempt(request.headers());
        let Ok(body) = axum::body::to_bytes(request.into_body(), PAYLOAD_LIMIT).await else {
            return failed(StatusCode::BAD_REQUEST, "the payload is too large or was cut off");
        };
        let outgoing = Outgoing { method, path, attempt, body };
        let answer = self.attempt(&outgoing).await;
        if outgoing.path.starts_with("/ledger/") {
            let outcome = answer.headers().get(OUTCOME).or_else(|| answer.headers().get(DURABILITY));
            let outcome = outcome.and_then(|v| v.to_str().ok()).unwrap_or("");
            let Outgoing { method, path, .. } = &outgoing;
            self.truth.log(&Fact::Relayed { method, path, attempt, status: answer.status().as_u16(), outcome });
        }
        answer
    }

    async fn attempt(&self, outgoing: &Outgoing) -> Response {
        let mut watched = self.leader.clone();
        let leader = *watched.borrow_and_update();
        let sent = AtomicBool::new(false);
        let ended = tokio::select! {
            ended = self.exchange(leader, outgoing, &sent) => ended,
            _ = watched.changed() => Err(io::Error::other("the leader changed")),
            () = tokio::time::sleep(self.limit) => Err(io::ErrorKind::TimedOut.into()),
        };
        match ended {
            Ok(response) => response,
            Err(why) if sent.load(Ordering::Relaxed) => undecided(StatusCode::BAD_GATEWAY, why),
            Err(why) => failed(StatusCode::SERVICE_UNAVAILABLE, why),
        }
    }

    async fn exchange(&self, leader: Leader, outgoing: &Outgoing, sent: &AtomicBool) -> io::Result<Response> {
        let mut connection = match self.take_idle(leader.term) {
            Some(connection) => connection,
            None => tokio::time::timeout(CONNECT_LIMIT, Connection::open(leader.address)).await??,
        };
        connection.send(&outgoing.bytes(leader.term), sent).await?;
        let mut head = connection.head().await?;
        let body = match head.length {
            Length::Done => Body::empty(),
            Length::Bytes(n) if n <= WHOLE_BODY => {
                let mut whole = Vec::new();
                while let Some(piece) = connection.piece(&mut head.length).await? {
                    whole.extend(piece);
                }
                Body::from(whole)
            }
            _ => return answer(&head, streamed(connection, head.length)),
        };
        self.keep(leader.term, connection);
        answer(&head, body)
    }

    fn take_idle(&self, term: u64) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.0 != term {
            *idle = (term, Vec::new());
        }
        std::iter::from_fn(|| idle.1.pop()).find(Connection::is_idle)
    }

    fn keep(&self, term: u64, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.0 == term && idle.1.len() < IDLE_LIMIT {
            idle.1.push(connection);
        }
    }
}

fn attempt(headers: &HeaderMap) -> u32 {
    headers.get(ATTEMPT).and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok()).unwrap_or(1)
}

fn answer(head: &Head, body: Body) -> io::Result<Response> {
    let mut response = Response::builder().status(head.status);
    for name in ["content-type", OUTCOME, DURABILITY] {
        if let Some(value) = head.header(name) {
            response = response.header(name, value);
        }
    }
    response.body(body).map_err(io::Error::other)
}

/// A long body is passed on as it comes; if the node breaks off, so does the answer.
fn streamed(connection: Connection, length: Length) -> Body {
    Body::from_stream(stream::unfold(Some((connection, length)), |state| async move {
        let (mut connection, mut length) = state?;
        match connection.piece(&mut length).await {
            Ok(Some(piece)) => Some((Ok(Bytes::from(piece)), Some((connection, length)))),
            Ok(None) => None,
            Err(why) => Some((Err(why), None)),
        }
    }))
}
