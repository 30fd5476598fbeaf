//! Drops a table of a PostgreSQL database: the mistake that every backup is for. Nothing brings it back but a restore.

use super::{Cx, Fault, FaultError, Look, Reversibility};
use crate::adapters::AdapterError;
use crate::model::TargetRef;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// One statement; a lock that somebody holds is waited for so long.
const ASK: Duration = Duration::from_secs(10);

/// The table's number, its full name, and the moment: nothing of it is missing before then.
const FIND: &str = "select concat_ws('|', c.oid, quote_ident(n.nspname) || '.' || quote_ident(c.relname), \
     pg_current_wal_insert_lsn(), to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') || '+00', \
     pg_has_role(c.relowner, 'usage')) from pg_class c join pg_namespace n on n.oid = c.relnamespace \
     where c.oid = to_regclass($1) and c.relkind in ('r', 'p')";

/// Drops a table. What is asked for is done by whoever may drop it: its owner, or a superuser.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PostgresDropTable {
    /// A target of kind `postgres`.
    pub target: TargetRef,
    /// The table, as `orders` or `app.orders`.
    pub table: String,
    /// Drop what depends on it too (views, foreign keys)? No if not given, and then it is refused while there is any.
    #[serde(default)]
    pub cascade: bool,
}

/// What was dropped, and when it was still there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undo {
    /// Its number in the catalog; a restored one has another.
    pub oid: String,
    /// Its name with its schema, quoted.
    pub name: String,
    /// A position in the WAL before it was dropped.
    pub lsn: String,
    /// A moment before it was dropped, by the server's clock.
    pub time: String,
}

/// A look at the table by its name.
enum There {
    /// Nothing has that name.
    No,
    /// The one that was to be dropped.
    Same,
    /// Another one.
    Other,
}

impl PostgresDropTable {
    async fn ask(&self, query: &str, args: &[String], cx: &Cx<'_>) -> Result<Option<String>, FaultError> {
        let url = cx.scope.url(&self.target).map_err(FaultError::Reference)?;
        Ok(cx.world.sql.scalar(&url, query, args, ASK).await?)
    }

    async fn there(&self, undo: &Undo, cx: &Cx<'_>) -> Result<There, FaultError> {
        let found = self.ask("select to_regclass($1)::oid::text", std::slice::from_ref(&undo.name), cx).await?;
        Ok(match found {
            None => There::No,
            Some(oid) if oid == undo.oid => There::Same,
            Some(_) => There::Other,
        })
    }
}

impl Fault for PostgresDropTable {
    const KIND: &'static str = "postgres_drop_table";
    const SUMMARY: &'static str = "drop a table of a PostgreSQL database";
    const REVERSIBILITY: Reversibility = Reversibility::Irreversible;
    const TARGETS: &'static [&'static str] = &["postgres"];
    type Undo = Undo;

    fn targets(&self) -> Vec<&TargetRef> {
        vec![&self.target]
    }

    fn permissions(&self) -> Vec<String> {
        vec![format!("to own the table {} or to be a superuser", self.table)]
    }

    fn way_back(&self) -> String {
        format!("none by itself: the table {} is restored from a backup", self.table)
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Undo, FaultError> {
        let missing = || FaultError::NothingToBreak(format!("there is no table {}", self.table));
        let found = self.ask(FIND, std::slice::from_ref(&self.table), cx).await?.ok_or_else(missing)?;
        let parts: Vec<&str> = found.split('|').collect();
        let &[oid, name, lsn, time, ours] = &parts[..] else {
            return Err(AdapterError::Other(format!("`{found}` does not describe the table {}", self.table)).into());
        };
        if ours != "t" {
            return Err(
                AdapterError::Refused(format!("the table {name} is not ours to drop: it has another owner")).into()
            );
        }
        let [oid, name, lsn, time] = [oid, name, lsn, time].map(str::to_owned);
        Ok(Undo { oid, name, lsn, time })
    }

    async fn inject(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        // Only the one that was looked at: one that was restored meanwhile stays.
        if matches!(self.there(undo, cx).await?, There::Same) {
            let how = if self.cascade { " cascade" } else { "" };
            self.ask(&format!("drop table {}{how}", undo.name), &[], cx).await?;
        }
        Ok(())
    }

    async fn effective(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let Undo { name, lsn, time, .. } = undo;
        Ok(match self.there(undo, cx).await? {
            There::No => Look { holds: true, detail: format!("{name} is gone; it was there at {time}, LSN {lsn}") },
            There::Same => Look { holds: false, detail: format!("{name} is there") },
            There::Other => Look { holds: false, detail: format!("{name} is another table than before") },
        })
    }

    async fn heal(&self, _: &Undo, _: &Cx<'_>) -> Result<(), FaultError> {
        Ok(())
    }

    async fn healed(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let name = &undo.name;
        Ok(match self.there(undo, cx).await? {
            There::No => Look { holds: false, detail: format!("{name} is gone") },
            There::Same | There::Other => Look { holds: true, detail: format!("{name} is there") },
        })
    }

    fn by_hand(&self, undo: &Undo) -> String {
        let Undo { name, lsn, time, .. } = undo;
        format!("restore a backup elsewhere up to '{time}' (or to before LSN {lsn}), and copy {name} back")
    }

    fn touched(&self, undo: &Undo) -> Vec<String> {
        vec![format!("the table {}", undo.name)]
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::SqlBench;
    use super::*;
    use crate::adapters::{Fut, Sql};
    use std::sync::{Arc, Mutex};

    /// A database with one table `public.orders` at most.
    struct Catalog {
        oid: Mutex<Option<u32>>,
        owned: &'static str,
    }

    impl Sql for Catalog {
        fn scalar<'a>(
            &'a self,
            _: &'a str,
            query: &'a str,
            args: &'a [String],
            _: Duration,
        ) -> Fut<'a, Result<Option<String>, AdapterError>> {
            Box::pin(async move {
                let mut oid = self.oid.lock().expect("lock");
                let named = args.first().is_none_or(|name| ["orders", "public.orders"].contains(&name.as_str()));
                Ok(match query {
                    FIND => oid
                        .filter(|_| named)
                        .map(|oid| format!("{oid}|public.orders|0/16|2026-11-21 12:00:00+00|{}", self.owned)),
                    "drop table public.orders" => oid.take().and(None),
                    _ => oid.map(|oid| oid.to_string()),
                })
            })
        }
    }

    fn bench(oid: Option<u32>, owned: &'static str) -> (Arc<Catalog>, SqlBench) {
        let catalog = Arc::new(Catalog { oid: Mutex::new(oid), owned });
        (Arc::clone(&catalog), SqlBench::new(catalog))
    }

    fn fault() -> PostgresDropTable {
        PostgresDropTable { target: TargetRef::Pinned("db".into()), table: "orders".into(), cascade: false }
    }

    #[tokio::test]
    async fn a_table_is_dropped_once_and_a_restored_one_stays() {
        let (catalog, bench) = bench(Some(7), "t");
        let (fault, cx) = (fault(), bench.cx());
        let undo = fault.prepare(&cx).await.unwrap();
        assert!(!fault.effective(&undo, &cx).await.unwrap().holds);
        for _ in 0..2 {
            fault.inject(&undo, &cx).await.unwrap();
            let look = fault.effective(&undo, &cx).await.unwrap();
            assert!(look.holds && look.detail.ends_with("at 2026-11-21 12:00:00+00, LSN 0/16"), "{look:?}");
        }
        assert!(!fault.healed(&undo, &cx).await.unwrap().holds);
        *catalog.oid.lock().unwrap() = Some(8);
        fault.inject(&undo, &cx).await.unwrap();
        assert_eq!(*catalog.oid.lock().unwrap(), Some(8), "another table of that name is not ours to drop");
        assert!(!fault.effective(&undo, &cx).await.unwrap().holds && fault.healed(&undo, &cx).await.unwrap().holds);
        assert!(fault.irreversible() && fault.by_hand(&undo).contains("0/16"));
    }

    #[tokio::test]
    async fn what_is_not_there_or_not_ours_is_not_dropped() {
        let missing = fault().prepare(&bench(None, "t").1.cx()).await.unwrap_err();
        assert!(matches!(&missing, FaultError::NothingToBreak(why) if why.contains("no table orders")), "{missing}");
        let foreign = fault().prepare(&bench(Some(7), "f").1.cx()).await.unwrap_err();
        assert!(foreign.to_string().contains("another owner"), "{foreign}");
    }
}
