//! Fingerprints of tables, taken by the server at one snapshot: one query a table, and only its count and sum come back.
//!
//! A row's digest is the beginning of the SHA-256 of its columns as text, in the order of their names: it is the same on
//! another server, version or architecture, and after a restore that put the columns in another order. Everything that
//! changes how a value is written is set first.

use super::server::{Server, Session};
use crate::adapters::AdapterError;
use crate::adapters::data::tables::{Excluded, MOST, Relation, choose, figures};
use crate::adapters::data::{Tables, Taken};
use crate::model::{DataPart, Fingerprint};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::timeout;
use tokio_postgres::SimpleQueryMessage;

/// One moment for all tables; nothing is written. Rows that the user may not see are an error, not left out.
const BEGIN: &str = "begin isolation level repeatable read read only; set local row_security = off; \
     set local search_path = pg_catalog; set local timezone = 'UTC'; set local datestyle = 'ISO, YMD'; \
     set local intervalstyle = 'postgres'; set local extra_float_digits = 3; set local bytea_output = 'hex'; \
     set local lc_monetary = 'C'; set local xmlbinary = 'base64'; set local jit = off";

/// Before the search path is set: which tables can be named without a schema follows from it.
const TABLES: &str = "select c.oid::text, n.nspname::text, c.relname::text, pg_table_is_visible(c.oid)::text, \
     c.relkind::text, c.relispartition::text from pg_class c join pg_namespace n on n.oid = c.relnamespace \
     where c.relkind in ('r', 'p', 'v', 'm', 'f') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema' \
     order by n.nspname, c.relname";

/// A column: its name and its type.
type Column = (String, String);

pub(in crate::adapters) async fn fingerprint(asked: &Tables, limit: Duration) -> Result<Taken, AdapterError> {
    let server = Server::parse(&asked.url)?;
    let late = || AdapterError::TimedOut(format!("{}: no fingerprint within {limit:?}", server.label));
    timeout(limit, take(&server, asked, limit)).await.unwrap_or_else(|_| Err(late()))
}

async fn take(server: &Server, asked: &Tables, limit: Duration) -> Result<Taken, AdapterError> {
    let session = server.connect(limit).await?;
    let failed = |what: &'static str| move |e: tokio_postgres::Error| server.refused(what, &e);
    let wait = format!("set statement_timeout = {}", limit.as_millis().min(i32::MAX as u128));
    session.client.batch_execute(&wait).await.map_err(failed("setting a limit"))?;
    let relations = relations(&session).await.map_err(failed("listing tables"))?;
    let (chosen, mut absent) = choose(&relations, asked);
    if chosen.len() > MOST {
        let text = format!("{}: {} tables are more than {MOST}", server.label, chosen.len());
        return Err(AdapterError::Other(text));
    }
    session.client.batch_execute(BEGIN).await.map_err(failed("beginning a snapshot"))?;
    let mut parts = BTreeMap::new();
    let mut excluded = Excluded::of(asked);
    for relation in chosen {
        let columns = columns(&session, relation).await.map_err(failed("listing columns"))?;
        let kept: Vec<&Column> = columns.iter().filter(|(name, _)| !excluded.has(relation, name)).collect();
        let (count, sum) = part(&session, relation, &kept).await.map_err(failed("taking a fingerprint"))?;
        let (count, sum) = figures(&count, &sum)?;
        let shape: Vec<String> = kept.iter().map(|(name, kind)| format!("{name} {kind}")).collect();
        let part = DataPart::new(count, sum, shape.join(", "));
        parts.insert(relation.full(), part);
    }
    absent.extend(excluded.absent());
    Ok(Taken { print: Fingerprint { unit: "row".to_owned(), parts }, listing: None, absent })
}

async fn rows(session: &Session, query: &str) -> Result<Vec<Vec<String>>, tokio_postgres::Error> {
    let messages = session.client.simple_query(query).await?;
    let rows = messages.into_iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => {
            Some((0..row.len()).map(|at| row.try_get(at).ok().flatten().unwrap_or_default().to_owned()).collect())
        }
        _ => None,
    });
    Ok(rows.collect())
}

async fn relations(session: &Session) -> Result<Vec<Relation>, tokio_postgres::Error> {
    let read = |row: Vec<String>| match <[String; 6]>::try_from(row) {
        Ok([id, schema, name, visible, kind, partition]) => {
            let plain = matches!(kind.as_str(), "r" | "p") && partition != "true";
            Some(Relation { id, schema, name, visible: visible == "true", plain })
        }
        Err(_) => None,
    };
    Ok(rows(session, TABLES).await?.into_iter().filter_map(read).collect())
}

/// In the order of their names, so that the order in the table does not matter.
async fn columns(session: &Session, relation: &Relation) -> Result<Vec<Column>, tokio_postgres::Error> {
    let query = format!(
        "select attname::text, format_type(atttypid, atttypmod) from pg_attribute \
         where attrelid = {} and attnum > 0 and not attisdropped order by attname collate \"C\"",
        relation.id
    );
    let pair = |row: Vec<String>| <[String; 2]>::try_from(row).ok().map(|[name, kind]| (name, kind));
    Ok(rows(session, &query).await?.into_iter().filter_map(pair).collect())
}

/// Count and sum, as the server says them.
async fn part(
    session: &Session,
    relation: &Relation,
    columns: &[&Column],
) -> Result<(String, String), tokio_postgres::Error> {
    let mut row = rows(session, &query(relation, columns)).await?.into_iter().flatten();
    Ok((row.next().unwrap_or_default(), row.next().unwrap_or_default()))
}

/// A row with nothing in it and a NULL are not the same in the text of a row, and no value can look like two.
fn query(relation: &Relation, columns: &[&Column]) -> String {
    let listed: Vec<String> = columns.iter().map(|(name, _)| quoted(name)).collect();
    let row = format!("convert_to(row({})::text, 'UTF8')", listed.join(", "));
    let digest = format!("('x' || encode(substr(sha256({row}), 1, 8), 'hex'))::bit(64)::bigint");
    let table = format!("{}.{}", quoted(&relation.schema), quoted(&relation.name));
    format!("select count(*)::text, coalesce(sum({digest}), 0)::text from {table}")
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted() {
        assert_eq!(quoted("a\"b"), "\"a\"\"b\"");
    }
}
