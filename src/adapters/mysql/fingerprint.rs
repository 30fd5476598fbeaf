//! Fingerprints of tables, taken by the server at one snapshot (of InnoDB's tables; others have none): one query a table,
//! and only its count and sum come back.
//!
//! A row's digest is the beginning of the SHA-256 of its columns, each with its length before it, in the order of their
//! names: NULL is not the empty text, and no value can look like two.

use super::server::{Server, text};
use crate::adapters::AdapterError;
use crate::adapters::data::tables::{Excluded, MOST, Relation, choose, figures};
use crate::adapters::data::{Tables, Taken};
use crate::model::{DataPart, Fingerprint};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, Row};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::timeout;

/// What changes how a value is written, and the snapshot.
const BEGIN: &[&str] = &[
    "set session time_zone = '+00:00', sql_mode = '', character_set_results = utf8mb4",
    "set session transaction isolation level repeatable read",
    "start transaction with consistent snapshot, read only",
];

const TABLES: &str = "select table_schema, table_name, table_schema <=> database(), table_type = 'BASE TABLE' \
     from information_schema.tables \
     where table_schema not in ('mysql', 'sys', 'information_schema', 'performance_schema') \
     order by table_schema, table_name";

/// A column: its name, its kind in a word, and its whole type.
struct Column {
    name: String,
    kind: String,
    whole: String,
}

pub(in crate::adapters) async fn fingerprint(asked: &Tables, limit: Duration) -> Result<Taken, AdapterError> {
    let server = Server::parse(&asked.url)?.within(limit);
    let late = || AdapterError::TimedOut(format!("{}: no fingerprint within {limit:?}", server.label));
    timeout(limit, take(&server, asked, limit)).await.unwrap_or_else(|_| Err(late()))
}

async fn take(server: &Server, asked: &Tables, limit: Duration) -> Result<Taken, AdapterError> {
    let mut connection = server.connect(limit).await?;
    let taken = read(server, &mut connection, asked, limit).await;
    // Says good-bye: a transaction that stays open keeps its tables from being changed.
    let _said = connection.disconnect().await;
    taken
}

async fn read(server: &Server, connection: &mut Conn, asked: &Tables, limit: Duration) -> Result<Taken, AdapterError> {
    let failed = |what: &'static str| move |e: Error| server.refused(what, &e);
    bound(connection, limit).await.map_err(failed("setting a limit"))?;
    let relations = relations(connection).await.map_err(failed("listing tables"))?;
    let (chosen, mut absent) = choose(&relations, asked);
    if chosen.len() > MOST {
        return Err(AdapterError::Other(format!("{}: {} tables are more than {MOST}", server.label, chosen.len())));
    }
    for statement in BEGIN {
        connection.query_drop(*statement).await.map_err(failed("beginning a snapshot"))?;
    }
    let (mut parts, mut excluded) = (BTreeMap::new(), Excluded::of(asked));
    for relation in chosen {
        let columns = columns(connection, relation).await.map_err(failed("listing columns"))?;
        let kept: Vec<&Column> = columns.iter().filter(|column| !excluded.has(relation, &column.name)).collect();
        let found = connection.query_first::<Row, _>(query(relation, &kept)).await;
        let row = found.map_err(failed("taking a fingerprint"))?;
        let figure = |at| row.as_ref().and_then(|row| text(row, at)).unwrap_or_default();
        if figure(2) != "0" {
            let why = "a row is longer than the server's max_allowed_packet, and cannot be hashed by it";
            return Err(AdapterError::Refused(format!("{}: {}: {why}", server.label, relation.full())));
        }
        let shape: Vec<String> = kept.iter().map(|column| format!("{} {}", column.name, column.whole)).collect();
        let (count, sum) = figures(&figure(0), &figure(1))?;
        let part = DataPart::new(count, sum, shape.join(", "));
        parts.insert(relation.full(), part);
    }
    absent.extend(excluded.absent());
    Ok(Taken { print: Fingerprint { unit: "row".to_owned(), parts }, listing: None, absent })
}

/// A statement that nobody waits for any more ends by itself; the two servers call the limit by different names.
async fn bound(connection: &mut Conn, limit: Duration) -> Result<(), Error> {
    let version: Option<String> = connection.query_first("select version()").await?;
    let set = match version.is_some_and(|version| version.contains("MariaDB")) {
        true => format!("set session max_statement_time = {}", limit.as_secs_f64()),
        false => format!("set session max_execution_time = {}", limit.as_millis()),
    };
    connection.query_drop(set).await
}

async fn relations(connection: &mut Conn) -> Result<Vec<Relation>, Error> {
    let rows: Vec<Row> = connection.query(TABLES).await?;
    let read = |row: &Row| {
        let is = |at| text(row, at).as_deref() == Some("1");
        Some(Relation { id: String::new(), schema: text(row, 0)?, name: text(row, 1)?, visible: is(2), plain: is(3) })
    };
    Ok(rows.iter().filter_map(read).collect())
}

/// In the order of their names, so that the order in the table does not matter.
async fn columns(connection: &mut Conn, relation: &Relation) -> Result<Vec<Column>, Error> {
    let query = "select column_name, data_type, column_type from information_schema.columns \
         where table_schema = ? and table_name = ? order by cast(column_name as binary)";
    let rows: Vec<Row> = connection.exec(query, (&relation.schema, &relation.name)).await?;
    let read = |row: &Row| {
        Some(Column { name: text(row, 0)?, kind: text(row, 1)?.to_ascii_lowercase(), whole: text(row, 2)? })
    };
    Ok(rows.iter().filter_map(read).collect())
}

impl Column {
    /// Its value as one text that means the same in every session.
    fn words(&self) -> String {
        let name = quoted(&self.name);
        match self.kind.as_str() {
            "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" | "bit" => format!("hex({name})"),
            "geometry" | "point" | "linestring" | "polygon" | "multipoint" | "multilinestring" | "multipolygon"
            | "geometrycollection" | "geomcollection" => format!("hex(st_aswkb({name}))"),
            // As text it has six digits; as a double, all of them.
            "float" => format!("cast({name} + 0e0 as char)"),
            _ => format!("convert({name} using utf8mb4)"),
        }
    }
}

/// Rows, the sum of their digests, and how many have none: a text longer than the server's limit becomes NULL.
fn query(relation: &Relation, columns: &[&Column]) -> String {
    let part = |column: &&Column| {
        let words = column.words();
        format!("if({} is null, '-', concat(length({words}), ':', {words}))", quoted(&column.name))
    };
    let row = match columns {
        [] => "''".to_owned(),
        some => format!("concat({})", some.iter().map(part).collect::<Vec<_>>().join(", ")),
    };
    let digest = format!("cast(conv(left(sha2({row}, 256), 16), 16, 10) as unsigned)");
    let table = format!("{}.{}", quoted(&relation.schema), quoted(&relation.name));
    format!(
        "select count(*), coalesce(sum(d), 0), coalesce(sum(d is null), 0) from (select {digest} as d from {table}) t"
    )
}

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}
