//! The index in a PostgreSQL database, for a team: the same tables. Connections and TLS are those of the adapter for
//! PostgreSQL. Every operation has a limit.

use super::{
    Afresh, CLEAR, Changes, FIRST_VERSION, GET_MARKS, GET_ROWS, GET_VERSION, IndexError, MAKE_VERSION, MIGRATIONS, PUT,
    REMOVE, Row, VERSION,
};
use crate::adapters::AdapterError;
use crate::adapters::postgres::server::{Server, Session};
use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::Transaction;

/// Those that make or change the tables take turns under this number.
const TURN: &str = "select pg_advisory_xact_lock(4777543971321873747)";

/// An open connection.
pub struct Tables {
    session: Session,
    server: Server,
    runtime: Runtime,
    patience: Duration,
}

/// Where it is, without user and password.
pub(super) fn label(url: &str) -> String {
    Server::parse(url).map_or_else(|_| "at a postgres URL".to_owned(), |server| server.label)
}

impl Tables {
    pub(super) fn open(url: &str, patience: Duration) -> Result<Self, IndexError> {
        let server = Server::parse(url)?;
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| IndexError::Unusable { place: server.label.clone(), why: e.to_string() })?;
        let session = runtime.block_on(async { server.connect(patience).await })?;
        let mut tables = Self { session, server, runtime, patience };
        let found = tables.within("making the tables", async |tx| Ok(migrate(tx).await?))?;
        match found {
            Some(found) => Err(IndexError::Newer { place: tables.server.label, found }),
            None => Ok(tables),
        }
    }

    /// Does something in a transaction, within the limit.
    fn within<T>(
        &mut self,
        what: &str,
        act: impl AsyncFnOnce(&Transaction<'_>) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, IndexError> {
        let Self { session, server, runtime, patience } = self;
        let all = async {
            let begun = session.client.transaction().await?;
            let value = act(&begun).await?;
            begun.commit().await?;
            Ok(value)
        };
        let ended = limited(runtime, *patience, all);
        Ok(ended
            .ok_or_else(|| AdapterError::TimedOut(format!("{}: {what}: no answer within {patience:?}", server.label)))?
            .map_err(|e| server.refused(what, &e))?)
    }

    pub(super) fn marks(&mut self, source: &str) -> Result<BTreeMap<String, String>, IndexError> {
        self.within("reading the index", async |tx| {
            let rows = tx.query(GET_MARKS, &[&source]).await?;
            rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
        })
    }

    pub(super) fn change(&mut self, source: &str, changes: &Changes) -> Result<(), IndexError> {
        self.within("writing the index", async |tx| {
            if changes.afresh == Afresh::Yes {
                tx.execute(CLEAR, &[&source]).await?;
            }
            for folder in &changes.gone {
                tx.execute(REMOVE, &[&source, folder]).await?;
            }
            let put = tx.prepare(PUT).await?;
            for row in &changes.put {
                let [drill, environment, started, entry, skipped] = super::columns(row);
                let values: [&(dyn tokio_postgres::types::ToSql + Sync); 8] =
                    [&source, &row.folder, &row.mark, &drill, &environment, &started, &entry, &skipped];
                tx.execute(&put, &values).await?;
            }
            Ok(())
        })
    }

    pub(super) fn rows(&mut self, drill: Option<&str>, environment: Option<&str>) -> Result<Vec<Row>, IndexError> {
        self.within("reading the index", async |tx| {
            let rows = tx.query(GET_ROWS, &[&drill, &environment]).await?;
            let made = rows.iter().map(|row| {
                let entry: Option<&str> = row.try_get(2)?;
                Ok(super::row(row.try_get(0)?, row.try_get(1)?, entry, row.try_get(3)?))
            });
            made.collect()
        })
    }
}

fn limited<T>(runtime: &Runtime, patience: Duration, act: impl Future<Output = T>) -> Option<T> {
    runtime.block_on(async { tokio::time::timeout(patience, act).await.ok() })
}

/// Makes the tables, or changes them to the version that is known; a later version is left alone and told.
async fn migrate(tx: &Transaction<'_>) -> Result<Option<i64>, tokio_postgres::Error> {
    tx.execute(TURN, &[]).await?;
    let there = tx.query_one("select to_regclass('blackstart_version') is not null", &[]).await?;
    if !there.try_get::<_, bool>(0)? {
        tx.batch_execute(&format!("{MAKE_VERSION}; {FIRST_VERSION}")).await?;
    }
    let found: i64 = tx.query_one(GET_VERSION, &[]).await?.try_get(0)?;
    if found >= VERSION {
        return Ok((found > VERSION).then_some(found));
    }
    for statement in MIGRATIONS.iter().skip(usize::try_from(found).unwrap_or(0)).copied().flatten() {
        tx.batch_execute(statement).await?;
    }
    tx.execute("update blackstart_version set version = $1", &[&VERSION]).await?;
    Ok(None)
}
