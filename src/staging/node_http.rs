//! A node's HTTP surface: the ledger protocol of [`super`], and what the router asks of a node (`/health`, `/promote`,
//! `/hand-over`). Every request may carry the term its sender knows; a primary that sees a newer one steps down.

use super::accept::{Answer, Put, Refusal};
use super::keys;
use super::log::{Hex, Record};
use super::node::Node;
use super::summary;
use crate::adapters::snapshot::Which;
use crate::model::Key;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Json, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use futures_util::stream;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// Says what a refusal means for the write.
pub(super) const OUTCOME: &str = "x-blackstart-outcome";
/// Says that an acknowledgement is worth less than asked.
pub(super) const DURABILITY: &str = "x-blackstart-durability";
/// The client's attempt, from 1.
pub(super) const ATTEMPT: &str = "x-blackstart-attempt";
/// The term the sender knows.
pub(super) const TERM: &str = "x-blackstart-term";
/// The largest payload.
pub(super) const PAYLOAD_LIMIT: usize = 64 * 1024;

pub(super) const DUMP_CHUNK: usize = 1024;
const HAND_OVER_LIMIT: Duration = Duration::from_secs(5);

type Shared = State<Arc<Node>>;

/// Serves until the listener breaks.
pub(super) async fn serve(node: Arc<Node>, listener: TcpListener) -> io::Result<()> {
    let app = Router::new()
        .route("/", get(page))
        .route("/ledger/{run}", get(dump))
        .route("/ledger/{run}/tally", get(tally))
        .route("/ledger/{run}/blocks", get(summary::blocks))
        .route("/ledger/{run}/rows", post(summary::rows))
        .route("/ledger/{run}/{writer}/{seq}", get(read).put(write))
        .route("/keys", get(keys::list))
        .route("/health", get(health))
        .route("/promote", post(promote))
        .route("/hand-over", post(hand_over))
        .layer(DefaultBodyLimit::max(PAYLOAD_LIMIT))
        .with_state(node);
    let listener = listener.tap_io(|stream| {
        // Without it answers are only slower.
        let _best_effort = stream.set_nodelay(true);
    });
    axum::serve(listener, app).await
}

pub(super) fn failed(code: StatusCode, why: impl std::fmt::Display) -> Response {
    (code, [(OUTCOME, "fail")], format!("{why}\n")).into_response()
}

pub(super) fn undecided(code: StatusCode, why: impl std::fmt::Display) -> Response {
    (code, [(OUTCOME, "unknown")], format!("{why}\n")).into_response()
}

pub(super) fn refused(why: &Refusal) -> Response {
    failed(StatusCode::SERVICE_UNAVAILABLE, why)
}

fn number<T: std::str::FromStr>(headers: &HeaderMap, name: &str) -> Option<T> {
    headers.get(name)?.to_str().ok()?.parse().ok()
}

fn observe(node: &Node, headers: &HeaderMap) {
    if let Some(term) = number(headers, TERM) {
        node.observe(term);
    }
}

pub(super) fn is_run_name(run: &str) -> bool {
    (1..=128).contains(&run.len()) && run.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
}

type RecordPath = Result<Path<(String, u16, u64)>, PathRejection>;

fn record_name(path: RecordPath) -> Result<(String, u16, u64), String> {
    match path {
        Ok(Path(name)) if is_run_name(&name.0) => Ok(name),
        Ok(_) => Err("not a run's name".to_owned()),
        Err(why) => Err(why.to_string()),
    }
}

async fn write(State(node): Shared, path: RecordPath, headers: HeaderMap, body: Bytes) -> Response {
    let (run, writer, seq) = match record_name(path) {
        Ok(name) => name,
        Err(why) => return failed(StatusCode::BAD_REQUEST, why),
    };
    observe(&node, &headers);
    let attempt = number(&headers, ATTEMPT).unwrap_or(1);
    match node.accept(Put { run, writer, seq, attempt, payload: body.to_vec() }).await {
        Answer::Acknowledged => StatusCode::OK.into_response(),
        Answer::AcknowledgedLocally => (StatusCode::OK, [(DURABILITY, "local")]).into_response(),
        Answer::Refused(why) => refused(&why),
        Answer::Undecided(why) => undecided(StatusCode::GATEWAY_TIMEOUT, why),
    }
}

async fn read(State(node): Shared, path: RecordPath, headers: HeaderMap) -> Response {
    let (run, writer, seq) = match record_name(path) {
        Ok(name) => name,
        Err(why) => return failed(StatusCode::BAD_REQUEST, why),
    };
    observe(&node, &headers);
    match node.read(&run, writer, seq) {
        Ok(Some(record)) => record.payload.clone().into_response(),
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(why) => refused(&why),
    }
}

#[derive(Deserialize)]
struct DumpQuery {
    any: Option<u8>,
}

async fn dump(State(node): Shared, Path(run): Path<String>, Query(query): Query<DumpQuery>) -> Response {
    if query.any != Some(1) && node.now().role != super::node::Role::Primary {
        return refused(&Refusal::NotPrimary);
    }
    let (from, to) = {
        let store = node.store();
        (store.first_visible(), store.len())
    };
    Dump { node, run, next: from, to, which: None, rows: 0, ended: false }.into_response()
}

#[derive(Deserialize)]
struct TallyQuery {
    any: Option<u8>,
    #[serde(default)]
    upto: String,
}

/// Rows, the highest sequence number and the sum of all, by writer.
async fn tally(State(node): Shared, Path(run): Path<String>, Query(query): Query<TallyQuery>) -> Response {
    if query.any != Some(1) && node.now().role != super::node::Role::Primary {
        return refused(&Refusal::NotPrimary);
    }
    let pair = |pair: &str| -> Option<(u16, u64)> {
        let (writer, seq) = pair.split_once('.')?;
        Some((writer.parse().ok()?, seq.parse().ok()?))
    };
    let upto: Option<BTreeMap<u16, u64>> = query.upto.split(',').filter(|p| !p.is_empty()).map(pair).collect();
    let Some(upto) = upto else { return failed(StatusCode::BAD_REQUEST, "not a list of WRITER.SEQ") };
    let mut all: BTreeMap<u16, (u64, u64, u128)> = BTreeMap::new();
    let (from, to) = {
        let store = node.store();
        (store.first_visible(), store.len())
    };
    for next in (from..to).step_by(DUMP_CHUNK) {
        let rows = node.store().slice(next, to, DUMP_CHUNK);
        let within = |r: &&Arc<Record>| {
            r.run == run && (query.upto.is_empty() || upto.get(&r.writer).is_some_and(|last| r.seq <= *last))
        };
        for record in rows.iter().filter(within) {
            let (count, highest, sum) = all.entry(record.writer).or_default();
            (*count, *highest, *sum) = (*count + 1, record.seq.max(*highest), *sum + u128::from(record.seq));
        }
    }
    let lines = all.iter().map(|(writer, (count, highest, sum))| format!("{writer} {count} {highest} {sum}\n"));
    format!("{}end {}\n", lines.collect::<String>(), all.len()).into_response()
}

/// Rows of a run as text, in pieces.
pub(super) struct Dump {
    pub node: Arc<Node>,
    pub run: String,
    pub next: usize,
    pub to: usize,
    /// Only these, each with its place before it; none: all, without.
    pub which: Option<Which>,
    pub rows: u64,
    pub ended: bool,
}

impl Dump {
    /// The answer that streams it.
    pub fn into_response(self) -> Response {
        Body::from_stream(stream::unfold(self, |mut dump| async move {
            let chunk = dump.chunk()?;
            Some((Ok::<_, io::Error>(Bytes::from(chunk)), dump))
        }))
        .into_response()
    }

    /// The next piece of text; `None` when the end was said.
    fn chunk(&mut self) -> Option<String> {
        let mut text = String::new();
        while text.is_empty() && !self.ended {
            let rows = self.node.store().slice(self.next, self.to, DUMP_CHUNK);
            let first = self.next;
            self.next += DUMP_CHUNK;
            for (place, record) in (first..).zip(&rows).filter(|(_, r)| r.run == self.run) {
                let Record { writer, seq, attempt, payload, .. } = &**record;
                match &self.which {
                    Some(which) if !which.holds(Key { writer: *writer, seq: *seq }) => continue,
                    Some(_) => text.push_str(&format!("{place} ")),
                    None => {}
                }
                text.push_str(&format!("{writer} {seq} {attempt} {}\n", Hex(payload)));
                self.rows += 1;
            }
            if self.next >= self.to {
                text.push_str(&format!("end {}\n", self.rows));
                self.ended = true;
            }
        }
        (!text.is_empty()).then_some(text)
    }
}

#[derive(Deserialize)]
struct Visit {
    #[serde(default)]
    nonce: String,
}

async fn page(State(node): Shared, Query(visit): Query<Visit>) -> Response {
    if let Err(why) = node.visit() {
        return refused(&why);
    }
    let nonce: String = visit.nonce.chars().filter(char::is_ascii_alphanumeric).take(64).collect();
    Html(format!("<!doctype html><title>orders</title><p>Open for orders.</p><p>{nonce}</p>\n")).into_response()
}

#[derive(Deserialize)]
struct Term {
    term: Option<u64>,
}

async fn health(State(node): Shared, Query(Term { term }): Query<Term>) -> Response {
    node.observe(term.unwrap_or(0));
    Json(node.health()).into_response()
}

async fn promote(State(node): Shared, Query(Term { term }): Query<Term>) -> Response {
    match term {
        Some(term) if node.promote(term) => Json(node.health()).into_response(),
        _ => failed(StatusCode::CONFLICT, "not a newer term"),
    }
}

async fn hand_over(State(node): Shared) -> Response {
    if node.hand_over(HAND_OVER_LIMIT).await {
        Json(node.health()).into_response()
    } else {
        failed(StatusCode::CONFLICT, "the standby did not get everything in time, or there is none")
    }
}
