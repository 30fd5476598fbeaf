//! All that a node stores, as keys with values: what a fingerprint of key prefixes is taken from. The ledger's own dump
//! is elsewhere.

use super::accept::Refusal;
use super::log::{Hex, Record};
use super::node::{Node, Role};
use super::node_http::{DUMP_CHUNK, refused};
use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Deserialize;
use std::io;
use std::sync::Arc;

#[derive(Deserialize)]
pub(super) struct KeysQuery {
    #[serde(default)]
    prefix: String,
    any: Option<u8>,
}

/// `GET /keys?prefix=P`
pub(super) async fn list(State(node): State<Arc<Node>>, Query(query): Query<KeysQuery>) -> Response {
    let now = node.now();
    if query.any != Some(1) && now.role != Role::Primary {
        return refused(&Refusal::NotPrimary);
    }
    let (next, to) = {
        let store = node.store();
        (store.first_visible(), store.len())
    };
    let list = List { node, prefix: query.prefix, term: now.term, next, to, rows: 0, ended: false };
    Body::from_stream(stream::unfold(list, |mut list| async move {
        let chunk = list.chunk()?;
        Some((Ok::<_, io::Error>(Bytes::from(chunk)), list))
    }))
    .into_response()
}

/// A list that is being written.
struct List {
    node: Arc<Node>,
    prefix: String,
    term: u64,
    next: usize,
    to: usize,
    rows: u64,
    ended: bool,
}

impl List {
    /// The next piece of text; `None` when all was said.
    fn chunk(&mut self) -> Option<String> {
        let mut text = String::new();
        while text.is_empty() && !self.ended {
            let rows = self.node.store().slice(self.next, self.to, DUMP_CHUNK);
            self.next += DUMP_CHUNK;
            for record in &rows {
                let Record { run, writer, seq, payload, .. } = &**record;
                let key = format!("{run}/{writer}/{seq}");
                if key.starts_with(&self.prefix) {
                    text.push_str(&format!("{key} {}\n", Hex(payload)));
                    self.rows += 1;
                }
            }
            self.ended = self.next >= self.to;
            // In another term the log may have been cut and grown again: then nobody knows what was listed.
            if self.ended && self.node.now().term == self.term {
                text.push_str(&format!("end {}\n", self.rows));
            }
        }
        (!text.is_empty()).then_some(text)
    }
}
