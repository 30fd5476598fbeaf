//! The ledger's table: making it, its statements, and reading it back.
//!
//! `pos` is counted up by the server: the order in which it carried out the inserts. There is deliberately no unique key over
//! run, writer and sequence number: it would hide duplicates, which are to be counted. Rows stay after a run, so that
//! anybody can check the count with SQL; the next run's `prepare` removes them, from a table that is a ledger's and no other.

use super::classify::denied;
use super::server::{Server, number, text};
use crate::adapters::snapshot::Snapshot;
use crate::adapters::tally::{Frontier, Tally};
use crate::adapters::{AdapterError, ClientSettings, Fut, LedgerStore, Row};
use crate::model::{Key, RunId};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// One step of preparing or reading may take this long; a read-back of any size goes on as long as rows arrive.
pub(super) const STALL: Duration = Duration::from_secs(30);
/// A server that does not count within this time cannot be looked at now.
const COUNTING: Duration = Duration::from_secs(5);
/// Rows of earlier runs that one transaction removes: a larger one would hold replicas up.
const AT_ONCE: u32 = 5_000;
/// What a session must not have otherwise: every insert is a transaction, and what does not fit is refused, not cut off.
pub(super) const SESSION: &str = "set autocommit = 1, sql_mode = 'STRICT_ALL_TABLES'";

/// The columns of a ledger's table.
const COLUMNS: &str = "attempt,payload,pos,run,seq,writer";

/// A ledger's table on a server.
pub(super) struct Table {
    pub(super) server: Arc<Server>,
    pub(super) name: Name,
    pub(super) run: RunId,
}

/// A table's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    words: Vec<String>,
}

impl Name {
    /// `table` or `database.table`, of letters, digits and `_`.
    fn parse(text: &str) -> Option<Self> {
        let word = |w: &str| {
            !w.is_empty()
                && w.len() <= 50
                && !w.starts_with(|c: char| c.is_ascii_digit())
                && w.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        let words: Vec<String> = text.split('.').map(str::to_owned).collect();
        (words.len() <= 2 && words.iter().all(|w| word(w))).then_some(Self { words })
    }

    /// The database, if the name says it, and the table.
    fn parts(&self) -> (Option<&str>, &str) {
        match self.words.as_slice() {
            [database, table] => (Some(database), table),
            [table, ..] => (None, table),
            [] => (None, ""),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<String> = self.words.iter().map(|word| format!("`{word}`")).collect();
        f.write_str(&words.join("."))
    }
}

impl Table {
    pub(super) fn new(server: Arc<Server>, name: &str, settings: &ClientSettings) -> Result<Self, AdapterError> {
        let wrong = |why: String| AdapterError::Other(format!("the ledger's table `{name}` {why}"));
        let name = Name::parse(name).ok_or_else(|| wrong("is not a name; use letters, digits and _".to_owned()))?;
        if server.database().is_none() && name.parts().0.is_none() {
            return Err(wrong("is in no database: name one in the URL, mysql://…/DATABASE".to_owned()));
        }
        Ok(Self { server, name, run: settings.run.clone() })
    }

    /// Inserts one record: run, writer, seq, attempt, payload.
    pub(super) fn insert(&self) -> String {
        format!("insert into {} (run, writer, seq, attempt, payload) values (?, ?, ?, ?, ?)", self.name)
    }

    /// The payload of one record: run, writer, seq.
    pub(super) fn select(&self) -> String {
        format!("select payload from {} where run = ? and writer = ? and seq = ? order by pos limit 1", self.name)
    }

    /// A connection whose statements mean what they say.
    pub(super) async fn session(&self) -> Result<Conn, AdapterError> {
        let mut conn = self.server.connect(STALL).await?;
        self.within("setting up a session for", conn.query_drop(SESSION)).await?;
        Ok(conn)
    }

    async fn make(&self) -> Result<(), AdapterError> {
        let mut conn = self.server.connect(STALL).await?;
        self.old_enough(&mut conn).await?;
        self.within("setting up a session for", conn.query_drop(SESSION)).await?;
        let make = format!(
            "create table if not exists {} (pos bigint not null auto_increment primary key,
                run varchar(64) character set ascii collate ascii_bin not null, writer integer not null,
                seq bigint not null, attempt integer not null, payload longblob not null,
                key by_name (run, writer, seq)) engine = InnoDB",
            self.name
        );
        if let Err(e) = self.soon("making", conn.query_drop(&make)).await? {
            return Err(self.explained("making", &e, &mut conn).await);
        }
        self.is_a_ledger(&mut conn).await?;
        let clear = format!("delete from {} where run <> ? order by pos limit {AT_ONCE}", self.name);
        loop {
            if let Err(e) = self.soon("clearing", conn.exec_drop(&clear, (self.run.as_str(),))).await? {
                return Err(self.explained("clearing", &e, &mut conn).await);
            }
            if conn.affected_rows() == 0 {
                break;
            }
        }
        self.may_write(&mut conn).await
    }

    /// Transactions that say that they only read came with these versions, and so did all else that is used.
    async fn old_enough(&self, conn: &mut Conn) -> Result<(), AdapterError> {
        let version: Option<String> =
            self.within("asking the version for", conn.query_first("select version()")).await?;
        let version = version.unwrap_or_default();
        let (name, least) = if version.contains("MariaDB") { ("MariaDB", (10, 0, 0)) } else { ("MySQL", (5, 6, 0)) };
        if conn.server_version() < least {
            let (major, minor, _) = least;
            let text = format!("{}: {version} is too old; {name} {major}.{minor} is the first", self.server.label);
            return Err(AdapterError::Refused(text));
        }
        Ok(())
    }

    /// Nothing is ever removed from a table that somebody made for something else.
    async fn is_a_ledger(&self, conn: &mut Conn) -> Result<(), AdapterError> {
        let query = "select group_concat(column_name order by column_name separator ','),
                (select engine from information_schema.tables
                 where table_schema = coalesce(?, database()) and table_name = ?)
             from information_schema.columns where table_schema = coalesce(?, database()) and table_name = ?";
        let (database, table) = self.name.parts();
        let found = conn.exec_first::<mysql_async::Row, _, _>(query, (database, table, database, table));
        let found = self.within("looking at", found).await?;
        let of = |at| found.as_ref().and_then(|row| text(row, at)).unwrap_or_default();
        let refused = |why: String| {
            let text = format!("{}: {} {why}; name another table with `table:`", self.server.label, self.name);
            Err(AdapterError::Refused(text))
        };
        if of(0) != COLUMNS {
            return refused("is not a ledger's table, and nothing was touched".to_owned());
        }
        if !of(1).eq_ignore_ascii_case("innodb") {
            return refused(format!("is kept by {}, which has no transactions", of(1)));
        }
        Ok(())
    }

    /// An insert that is rolled back: what is refused here would be refused later.
    async fn may_write(&self, conn: &mut Conn) -> Result<(), AdapterError> {
        self.within("trying to write to", conn.query_drop("start transaction")).await?;
        let tried = self.soon("trying to write to", conn.exec_drop(self.insert(), ("", 0, 0, 0, ""))).await?;
        let back = self.soon("trying to write to", conn.query_drop("rollback")).await?;
        match tried.and(back) {
            Ok(()) => Ok(()),
            Err(e) => Err(self.explained("trying to write to", &e, conn).await),
        }
    }

    /// A missing right, with the statement that gives it.
    async fn explained(&self, doing: &str, error: &Error, conn: &mut Conn) -> AdapterError {
        let what = self.what(doing);
        let refused = self.server.refused(&what, error);
        if !denied(error) {
            return refused;
        }
        let who = timeout(COUNTING, conn.query_first::<String, _>("select current_user()")).await;
        let who = who.ok().and_then(Result::ok).flatten().unwrap_or_default();
        let (user, host) = who.rsplit_once('@').unwrap_or((&who, "%"));
        let database = self.name.parts().0.or_else(|| self.server.database()).unwrap_or_default();
        AdapterError::Refused(format!(
            "{refused}; grant create, select, insert, delete on `{database}`.* to '{user}'@'{host}'"
        ))
    }

    fn what(&self, doing: &str) -> String {
        format!("{doing} the ledger's table {}", self.name)
    }

    /// A statement's result, in time or as an error that names the table.
    pub(super) async fn within<T>(
        &self,
        doing: &str,
        statement: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, AdapterError> {
        self.within_limit(STALL, doing, statement).await
    }

    /// The same with a limit of its own.
    pub(super) async fn within_limit<T>(
        &self,
        limit: Duration,
        doing: &str,
        statement: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, AdapterError> {
        match timeout(limit, statement).await {
            Err(_) => Err(self.late(limit, doing)),
            Ok(answer) => answer.map_err(|e| self.server.refused(&self.what(doing), &e)),
        }
    }

    /// A statement's result or the server's error, in time.
    async fn soon<T>(
        &self,
        doing: &str,
        statement: impl Future<Output = Result<T, Error>>,
    ) -> Result<Result<T, Error>, AdapterError> {
        timeout(STALL, statement).await.map_err(|_| self.late(STALL, doing))
    }

    fn late(&self, limit: Duration, doing: &str) -> AdapterError {
        AdapterError::TimedOut(format!("{}: {}: no answer for {limit:?}", self.server.label, self.what(doing)))
    }

    /// One statement, so one snapshot; rows stream and are not collected.
    async fn read(&self, row: &mut (dyn FnMut(Row) + Send)) -> Result<(), AdapterError> {
        let mut conn = self.session().await?;
        let query = format!("select writer, seq, attempt, payload from {} where run = ? order by pos", self.name);
        let rows = conn.exec_iter(query, (self.run.as_str(),));
        let mut rows = self.within("reading", rows).await?;
        while let Some(found) = self.within("reading", rows.next()).await? {
            row(self.decode(&found)?);
        }
        Ok(())
    }

    /// A row of writer, seq, attempt, payload.
    pub(super) fn decode(&self, row: &mysql_async::Row) -> Result<Row, AdapterError> {
        let broken = || AdapterError::Other(format!("{}: a row of the ledger cannot be read", self.server.label));
        let writer: i32 = number(row, 0).ok_or_else(broken)?;
        let seq: i64 = number(row, 1).ok_or_else(broken)?;
        let payload = match row.as_ref(3) {
            Some(mysql_async::Value::Bytes(bytes)) => bytes.clone(),
            _ => return Err(broken()),
        };
        Ok(Row {
            key: key(writer, seq).ok_or_else(|| format!("writer {writer}, seq {seq}")),
            attempt: number(row, 2).unwrap_or_default(),
            payload,
        })
    }

    /// Rows, the highest number and the sum of all, by writer, as the server counts them.
    async fn counts(&self, upto: Option<&Frontier>) -> Result<BTreeMap<u16, Tally>, AdapterError> {
        let mut conn = self.server.connect(COUNTING).await?;
        let bound = match upto {
            None => String::new(),
            Some(upto) if upto.is_empty() => " and false".to_owned(),
            Some(upto) => {
                let each = upto.iter().map(|(writer, last)| format!("(writer = {writer} and seq <= {last})"));
                format!(" and ({})", each.collect::<Vec<_>>().join(" or "))
            }
        };
        let query = format!(
            "select writer, count(*), max(seq), cast(sum(seq) as char) from {} where run = ?{bound} group by writer",
            self.name
        );
        let rows = conn.exec::<mysql_async::Row, _, _>(query, (self.run.as_str(),));
        let rows = self.within("counting", rows).await?;
        let of = |row: &mysql_async::Row| {
            let tally = Tally { count: number(row, 1)?, highest: number(row, 2)?, sum: number(row, 3)? };
            Some((number(row, 0)?, tally))
        };
        Ok(rows.iter().filter_map(of).collect())
    }
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
        let name = Name::parse("audit.ledger_2").unwrap();
        assert_eq!((name.to_string().as_str(), name.parts()), ("`audit`.`ledger_2`", (Some("audit"), "ledger_2")));
        for wrong in ["", "a.b.c", "1a", "a b", "a`b", "a;drop table x", "a.", "ä"] {
            assert_eq!(Name::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_key_out_of_range_is_no_key() {
        assert_eq!(key(3, 7), Some(Key { writer: 3, seq: 7 }));
        assert_eq!((key(-1, 7), key(70_000, 7), key(3, -1)), (None, None, None));
    }
}
