//! Queries for probes and checks: the first column of the first row, as text.

use super::server::{Server, Session};
use crate::adapters::{AdapterError, Fut, Sql};
use std::time::Duration;
use tokio::time::timeout;
use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::types::Type;

/// The databases that URLs name; each query has a connection of its own.
#[derive(Debug, Clone, Copy, Default)]
pub struct Databases;

impl Sql for Databases {
    fn scalar<'a>(
        &'a self,
        url: &'a str,
        query: &'a str,
        args: &'a [String],
        limit: Duration,
    ) -> Fut<'a, Result<Option<String>, AdapterError>> {
        Box::pin(async move {
            if url.starts_with("mysql:") {
                return crate::adapters::mysql::scalar(url, query, args, limit).await;
            }
            let server = Server::parse(url)?;
            timeout(limit, scalar(&server, query, args, limit)).await.unwrap_or_else(|_| {
                Err(AdapterError::TimedOut(format!("{}: no answer within {limit:?}", server.label)))
            })
        })
    }
}

async fn scalar(
    server: &Server,
    query: &str,
    args: &[String],
    limit: Duration,
) -> Result<Option<String>, AdapterError> {
    let session = server.connect(limit).await?;
    // The server's words may quote an argument, and an argument may be a secret.
    let broke = |e: tokio_postgres::Error| {
        if args.is_empty() { server.refused("the query", &e) } else { server.refused_quietly("the query", &e) }
    };
    let prepared = session.client.prepare(query).await.map_err(broke)?;
    if prepared.params().len() != args.len() {
        let (wants, has) = (prepared.params().len(), args.len());
        return Err(AdapterError::Refused(format!("the query has {wants} parameters, and args has {has}")));
    }
    let truth = prepared.columns().first().is_some_and(|c| *c.type_() == Type::BOOL);
    let rows = rows(&session, query, args).await.map_err(broke)?;
    let value = rows.iter().find_map(|m| match m {
        SimpleQueryMessage::Row(row) => Some(row.try_get(0).ok().flatten().map(str::to_owned)),
        _ => None,
    });
    Ok(value.flatten().map(|text| if truth { spelled(text) } else { text }))
}

/// Values come back as text in the simple protocol, whatever their type. It has no parameters, so a query with
/// arguments is prepared first and executed with literals: the server gives each the type that the query needs.
async fn rows(
    session: &Session,
    query: &str,
    args: &[String],
) -> Result<Vec<SimpleQueryMessage>, tokio_postgres::Error> {
    if args.is_empty() {
        return session.client.simple_query(query).await;
    }
    // The line break ends a comment that the query may end with.
    let query = query.trim_end().trim_end_matches(';');
    session.client.batch_execute(&format!("prepare blackstart_query as {query}\n")).await?;
    let literals: Vec<String> = args.iter().map(|a| literal(a)).collect();
    session.client.simple_query(&format!("execute blackstart_query ({})", literals.join(", "))).await
}

/// A string literal that means the same whatever `standard_conforming_strings` says. A NUL, which no PostgreSQL text can
/// hold, ends the argument.
fn literal(text: &str) -> String {
    let text = text.split('\0').next().unwrap_or_default();
    if text.contains('\\') {
        format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
    } else {
        format!("'{}'", text.replace('\'', "''"))
    }
}

/// A truth value as a playbook writes it.
fn spelled(text: String) -> String {
    match text.as_str() {
        "t" => "true".to_owned(),
        "f" => "false".to_owned(),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_cannot_be_left() {
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal(r"a\' or 1=1 --"), r"E'a\\'' or 1=1 --'");
        assert_eq!(literal("a\0'; drop"), "'a'");
    }
}
