//! The read-back in levels, as a node answers it: sums of blocks, then rows of some of them. Only the primary answers, and
//! rows only while it leads in the term of the sums: a log that was cut in between is another log.

use super::accept::Refusal;
use super::node::{Node, Role};
use super::node_http::{Dump, failed, is_run_name, refused};
use crate::adapters::snapshot::{Summary, Which};
use crate::model::Key;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use std::sync::Arc;

/// Rows that are summed up before others may use the store.
const CHUNK: usize = 1024;

/// `GET /ledger/{run}/blocks`
pub(super) async fn blocks(State(node): State<Arc<Node>>, Path(run): Path<String>) -> Response {
    let now = node.now();
    if now.role != Role::Primary {
        return refused(&Refusal::NotPrimary);
    }
    let (from, to) = {
        let store = node.store();
        (store.first_visible(), store.len())
    };
    let ours = Arc::clone(&node);
    let summed = tokio::task::spawn_blocking(move || sum(&ours, &run, from, to)).await;
    match summed {
        Ok(text) if node.now().term == now.term => format!("{text}end {} {to}\n", now.term).into_response(),
        _ => refused(&Refusal::NotPrimary),
    }
}

fn sum(node: &Node, run: &str, from: usize, to: usize) -> String {
    let mut summary = Summary::default();
    for start in (from..to).step_by(CHUNK) {
        let rows = node.store().slice(start, to, CHUNK);
        for (place, row) in (start..).zip(&rows).filter(|(_, row)| row.run == run) {
            summary.row(place as i64, Key { writer: row.writer, seq: row.seq }, &row.payload);
        }
    }
    summary.finish().iter().map(|block| format!("{}\n", block.to_line())).collect()
}

/// What the sums said about themselves.
#[derive(Deserialize)]
pub(super) struct Moment {
    term: u64,
    to: usize,
}

/// `POST /ledger/{run}/rows?term=T&to=N`; the body names the blocks, `all` or a line `writer block` for each.
pub(super) async fn rows(
    State(node): State<Arc<Node>>,
    Path(run): Path<String>,
    Query(Moment { term, to }): Query<Moment>,
    body: String,
) -> Response {
    let now = node.now();
    if now.role != Role::Primary || now.term != term {
        return refused(&Refusal::NotPrimary);
    }
    let Some(which) = which(&body).filter(|_| is_run_name(&run)) else {
        return failed(StatusCode::BAD_REQUEST, "not a list of blocks");
    };
    let next = node.store().first_visible();
    Dump { node, run, next, to, which: Some(which), rows: 0, ended: false }.into_response()
}

fn which(body: &str) -> Option<Which> {
    if body == "all" {
        return Some(Which::All);
    }
    let block = |line: &str| {
        let (writer, block) = line.split_once(' ')?;
        Some((writer.parse().ok()?, block.parse().ok()?))
    };
    let mut blocks: Vec<(i32, i64)> = body.lines().map(block).collect::<Option<_>>()?;
    blocks.sort_unstable();
    Some(Which::Blocks(blocks))
}
