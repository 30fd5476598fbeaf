//! The ledger's table: making it, its statements, and reading it back.
//!
//! `pos` is a sequence: the order in which the server carried out the inserts. There is deliberately no unique key over
//! run, writer and sequence number: it would hide duplicates, which are to be counted. Rows stay after a run, so that
//! anybody can check the count with SQL; the next run's `prepare` removes them.

use super::server::{Server, Session};
use crate::adapters::snapshot::Snapshot;
use crate::adapters::tally::{Frontier, Tally};
use crate::adapters::{AdapterError, ClientSettings, Fut, LedgerStore, Row};
use crate::model::{Key, RunId};
use futures_util::{TryStreamExt, pin_mut};
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use tokio_postgres::error::SqlState;

/// One step of preparing or reading may take this long; a read-back of any size goes on as long as rows arrive.
pub(super) const STALL: Duration = Duration::from_secs(30);

/// The table's columns (none if there is no such table), the schema it is or would be in, who asks, and whether that one may
/// write records, read them and clear them away.
const LOOK: &str = "select (select string_agg(a.attname || ' ' || format_type(a.atttypid, null), ', ' order by a.attnum) \
         from pg_attribute a where a.attrelid = to_regclass($1) and a.attnum > 0 and not a.attisdropped), \
     quote_ident(coalesce((parse_ident($1))[array_length(parse_ident($1), 1) - 1], current_schema())), \
     quote_ident(current_user), \
     case when not exists (select from pg_attribute a where a.attrelid = to_regclass($1) and a.attname = 'pos') then false \
         else has_table_privilege(current_user, to_regclass($1), 'select') \
         and has_table_privilege(current_user, to_regclass($1), 'insert') \
         and has_table_privilege(current_user, to_regclass($1), 'delete') \
         and coalesce(has_sequence_privilege(current_user, pg_get_serial_sequence($1, 'pos'), 'usage'), true) end";

/// Those of a ledger's table.
const COLUMNS: &str = "pos bigint, run text, writer integer, seq bigint, attempt integer, payload bytea";

/// A ledger's table on a server.
pub(super) struct Table {
    pub(super) server: Arc<Server>,
    pub(super) name: Name,
    pub(super) run: RunId,
}

/// A table's name, quoted for SQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    quoted: String,
    index: String,
}

impl Name {
    /// `table` or `schema.table`, of letters, digits and `_`.
    fn parse(text: &str) -> Option<Self> {
        let word = |w: &str| {
            !w.is_empty()
                && w.len() <= 50
                && !w.starts_with(|c: char| c.is_ascii_digit())
                && w.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        let words: Vec<&str> = text.split('.').collect();
        let table = *words.last()?;
        (words.len() <= 2 && words.iter().all(|w| word(w))).then(|| Self {
            quoted: words.iter().map(|w| format!("\"{w}\"")).collect::<Vec<_>>().join("."),
            index: format!("\"{table}_by_name\""),
        })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.quoted)
    }
}

impl Table {
    pub(super) fn new(server: Arc<Server>, name: &str, settings: &ClientSettings) -> Result<Self, AdapterError> {
        let name = Name::parse(name).ok_or_else(|| {
            AdapterError::Other(format!("the ledger's table `{name}` is not a name; use letters, digits and _"))
        })?;
        Ok(Self { server, name, run: settings.run.clone() })
    }

    /// Inserts one record: run, writer, seq, attempt, payload.
    pub(super) fn insert(&self) -> String {
        format!("insert into {} (run, writer, seq, attempt, payload) values ($1, $2, $3, $4, $5)", self.name)
    }

    /// The payload of one record: run, writer, seq.
    pub(super) fn select(&self) -> String {
        format!("select payload from {} where run = $1 and writer = $2 and seq = $3 order by pos limit 1", self.name)
    }

    async fn make(&self) -> Result<(), AdapterError> {
        let session = self.server.connect(STALL).await?;
        let name = self.name.to_string();
        let found = self.within("looking for", session.client.query_one(LOOK, &[&name])).await?;
        let broke = |e| self.server.refused("looking for the ledger's table", &e);
        let columns: Option<String> = found.try_get(0).map_err(broke)?;
        let user: String = found.try_get(2).map_err(broke)?;
        match columns.as_deref() {
            None => self.create(&session, found.try_get(1).map_err(broke)?, &user).await?,
            Some(COLUMNS) if found.try_get(3).map_err(broke)? => {}
            Some(COLUMNS) => {
                return Err(self.no(&format!(
                    "{user} may not use it: GRANT SELECT, INSERT, DELETE ON {name} TO {user}, and USAGE on its sequence"
                )));
            }
            Some(others) => {
                return Err(self.no(&format!(
                    "that is somebody else's table (its columns: {others}); name another one: `ledger: {{table: …}}`"
                )));
            }
        }
        let clear = format!("delete from {} where run <> $1", self.name);
        self.within("clearing", session.client.execute(&clear, &[&self.run.as_str()])).await?;
        Ok(())
    }

    fn no(&self, why: &str) -> AdapterError {
        AdapterError::Refused(format!("{}: the ledger's table {}: {why}", self.server.label, self.name))
    }

    /// Table and index in one transaction: none without the other.
    async fn create(&self, session: &Session, schema: Option<String>, user: &str) -> Result<(), AdapterError> {
        let make = format!(
            "set client_min_messages = warning;
             create table if not exists {0} (pos bigserial primary key, run text not null, writer integer not null,
                seq bigint not null, attempt integer not null, payload bytea not null);
             create index if not exists {1} on {0} (run, writer, seq)",
            self.name, self.name.index
        );
        let made = match timeout(STALL, session.client.batch_execute(&make)).await {
            Err(_) => return self.within_limit(Duration::ZERO, "making", std::future::pending()).await,
            Ok(made) => made,
        };
        let Err(error) = made else { return Ok(()) };
        if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) {
            let schema = schema.unwrap_or_else(|| "…".to_owned());
            return Err(self.no(&format!(
                "it is not there, and {user} may not make it (SQLSTATE 42501): GRANT CREATE ON SCHEMA {schema} TO {user}"
            )));
        }
        Err(self.server.refused(&format!("making the ledger's table {}", self.name), &error))
    }

    /// A statement's result, in time or as an error that names the table.
    pub(super) async fn within<T>(
        &self,
        doing: &str,
        statement: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, AdapterError> {
        self.within_limit(STALL, doing, statement).await
    }

    /// The same with a limit of its own.
    pub(super) async fn within_limit<T>(
        &self,
        limit: Duration,
        doing: &str,
        statement: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, AdapterError> {
        let what = format!("{doing} the ledger's table {}", self.name);
        match timeout(limit, statement).await {
            Err(_) => Err(AdapterError::TimedOut(format!("{}: {what}: no answer for {limit:?}", self.server.label))),
            Ok(answer) => answer.map_err(|e| self.server.refused(&what, &e)),
        }
    }

    /// One statement, so one snapshot; rows stream and are not collected.
    async fn read(&self, row: &mut (dyn FnMut(Row) + Send)) -> Result<(), AdapterError> {
        let session = self.server.connect(STALL).await?;
        let query = format!("select writer, seq, attempt, payload from {} where run = $1 order by pos", self.name);
        let rows = self.within("reading", session.client.query_raw(&query, [self.run.as_str()])).await?;
        pin_mut!(rows);
        while let Some(found) = self.within("reading", rows.try_next()).await? {
            row(decode(&found).map_err(|e| self.server.refused("decoding a ledger row", &e))?);
        }
        Ok(())
    }
}

/// A row of writer, seq, attempt, payload.
pub(super) fn decode(row: &tokio_postgres::Row) -> Result<Row, tokio_postgres::Error> {
    let (writer, seq, attempt): (i32, i64, i32) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    Ok(Row {
        key: key(writer, seq).ok_or_else(|| format!("writer {writer}, seq {seq}")),
        attempt: u32::try_from(attempt).unwrap_or_default(),
        payload: row.try_get(3)?,
    })
}

fn key(writer: i32, seq: i64) -> Option<Key> {
    Some(Key { writer: writer.try_into().ok()?, seq: seq.try_into().ok()? })
}

impl LedgerStore for Table {
    fn prepare(&self) -> Fut<'_, Result<(), AdapterError>> {
        Box::pin(self.make())
    }

    fn read_back<'a>(&'a self, row: &'a mut (dyn FnMut(Row) + Send)) -> Fut<'a, Result<(), AdapterError>> {
        Box::pin(self.read(row))
    }

    fn tally<'a>(&'a self, upto: Option<&'a Frontier>) -> Fut<'a, Result<BTreeMap<u16, Tally>, AdapterError>> {
        Box::pin(self.counts(upto))
    }

    fn snapshot(&self) -> Fut<'_, Result<Option<Box<dyn Snapshot + '_>>, AdapterError>> {
        Box::pin(async {
            let snapshot = super::snapshot::Moment::of(self).await?;
            Ok(snapshot.map(|moment| Box::new(moment) as Box<dyn Snapshot + '_>))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_and_nothing_else_gets_in() {
        assert_eq!(Name::parse("audit.ledger_2").unwrap().quoted, r#""audit"."ledger_2""#);
        for wrong in ["", "a.b.c", "1a", "a b", "a\"b", "a;drop table x", "a.", "ä"] {
            assert_eq!(Name::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_key_out_of_range_is_no_key() {
        assert_eq!(key(3, 7), Some(Key { writer: 3, seq: 7 }));
        assert_eq!((key(-1, 7), key(70_000, 7), key(3, -1)), (None, None, None));
    }
}
