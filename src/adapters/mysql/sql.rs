//! Queries for probes and checks: the first column of the first row, as text.

use super::server::{Server, text};
use crate::adapters::AdapterError;
use mysql_async::prelude::Queryable;
use mysql_async::{Params, Row, Value};
use std::time::Duration;
use tokio::time::timeout;

/// `?` stands for an argument.
pub(in crate::adapters) async fn scalar(
    url: &str,
    query: &str,
    args: &[String],
    limit: Duration,
) -> Result<Option<String>, AdapterError> {
    let server = Server::parse(url)?.within(limit);
    let late = || AdapterError::TimedOut(format!("{}: no answer within {limit:?}", server.label));
    timeout(limit, asked(&server, query, args, limit)).await.unwrap_or_else(|_| Err(late()))
}

async fn asked(server: &Server, query: &str, args: &[String], limit: Duration) -> Result<Option<String>, AdapterError> {
    let mut connection = server.connect(limit).await?;
    let row: Result<Option<Row>, AdapterError> = if args.is_empty() {
        connection.query_first(query).await.map_err(|e| server.refused("the query", &e))
    } else {
        // The server's words may quote an argument, and an argument may be a secret.
        let values = args.iter().map(|a| Value::Bytes(a.clone().into_bytes())).collect();
        let found = connection.exec_first(query, Params::Positional(values)).await;
        found.map_err(|e| server.refused_quietly("the query", &e))
    };
    let _said = connection.disconnect().await;
    Ok(row?.and_then(|row| text(&row, 0)))
}
