//! Damages pages of a PostgreSQL table in its file, below the server, as a failing disk does: times and size do not tell.
//!
//! It cannot be undone: the server writes to the same file, and old bytes put back later would destroy newer rows. Who is to
//! find it is the drill's business: a backup that looks at checksums, a reader that meets the page.

use super::{Cx, Fault, FaultError, Look, Reversibility};
use crate::adapters::AdapterError;
use crate::adapters::disk::Range;
use crate::model::TargetRef;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::Duration;

const ASK: Duration = Duration::from_secs(10);
/// At most so many pages.
const MOST_PAGES: u64 = 4096;
/// So many bytes in the middle of each.
const BYTES: u64 = 256;

/// The table's name, where its file is, and how it is made up.
const FIND: &str = "select concat_ws('|', quote_ident(n.nspname) || '.' || quote_ident(c.relname), \
     current_setting('data_directory') || '/' || pg_relation_filepath(c.oid), current_setting('block_size'), \
     current_setting('data_checksums')) from pg_class c join pg_namespace n on n.oid = c.relnamespace \
     where c.oid = to_regclass($1) and c.relkind = 'r'";

/// Damages pages of a table in its file. They must have been written out (a `CHECKPOINT` does that): what the server has only
/// in memory would overwrite the damage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PostgresCorruptPages {
    /// A target of kind `postgres`, whose server runs on this machine.
    pub target: TargetRef,
    /// The table, as `orders` or `app.orders`.
    pub table: String,
    /// How many of its pages; 1 if not given.
    #[serde(default = "one")]
    pub pages: u64,
    /// The same seed damages the same pages in the same way; 1 if not given.
    #[serde(default = "one")]
    pub seed: u64,
}

fn one() -> u64 {
    1
}

/// Which pages are damaged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undo {
    /// The table's name with its schema, quoted.
    pub name: String,
    /// Its file.
    pub path: PathBuf,
    /// The numbers of the pages, ascending.
    pub pages: Vec<u64>,
    /// Bytes of a page.
    pub block: u64,
}

/// splitmix64: <https://doi.org/10.1145/2714064.2660195>
fn mix(seed: u64, number: u64) -> u64 {
    let mut z = seed.wrapping_add(number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

impl PostgresCorruptPages {
    /// As many pages of so many, each in its own part of the file.
    fn chosen(&self, all: u64) -> Vec<u64> {
        let wanted = self.pages.clamp(1, all.min(MOST_PAGES));
        let part = all / wanted;
        (0..wanted).map(|number| number * part + mix(self.seed, number) % part).collect()
    }

    /// The damage: in the middle of each page, where rows are.
    fn damage(&self, undo: &Undo) -> Vec<Range> {
        let range = |page: &u64| {
            let at = page * undo.block + undo.block / 2 - BYTES / 2;
            Range { at, bytes: (0..BYTES).map(|byte| mix(!self.seed, at + byte) as u8).collect() }
        };
        undo.pages.iter().map(range).collect()
    }

    async fn find(&self, cx: &Cx<'_>) -> Result<(String, PathBuf, u64, bool), FaultError> {
        let url = cx.scope.url(&self.target).map_err(FaultError::Reference)?;
        let table = &self.table;
        let found = cx.world.sql.scalar(&url, FIND, std::slice::from_ref(table), ASK).await?;
        let found = found.ok_or_else(|| FaultError::NothingToBreak(format!("there is no table {table}")))?;
        let parts: Vec<&str> = found.split('|').collect();
        let &[name, path, block, checksums] = &parts[..] else {
            return Err(AdapterError::Other(format!("`{found}` does not describe the table {table}")).into());
        };
        let block = block.parse().map_err(|_| AdapterError::Other(format!("`{block}` is no size of a page")))?;
        Ok((name.to_owned(), PathBuf::from(path), block, checksums == "on"))
    }

    /// How many pages have our damage now.
    async fn damaged(&self, undo: &Undo, path: &Path, cx: &Cx<'_>) -> Result<usize, FaultError> {
        let damage = self.damage(undo);
        let places: Vec<(u64, u64)> = damage.iter().map(|range| (range.at, BYTES)).collect();
        let now = cx.world.disks.read(path, &places).await?;
        Ok(damage.iter().zip(&now).filter(|(damage, now)| damage.bytes == now.bytes).count())
    }
}

impl Fault for PostgresCorruptPages {
    const KIND: &'static str = "postgres_corrupt_pages";
    const SUMMARY: &'static str = "damage pages of a PostgreSQL table in its file, below the server";
    const REVERSIBILITY: Reversibility = Reversibility::Irreversible;
    const TARGETS: &'static [&'static str] = &["postgres"];
    type Undo = Undo;

    fn targets(&self) -> Vec<&TargetRef> {
        vec![&self.target]
    }

    fn permissions(&self) -> Vec<String> {
        vec![
            "to be on the server's machine, with write permission for its data folder".to_owned(),
            "the role pg_read_all_settings (or pg_monitor), to learn where that is".to_owned(),
        ]
    }

    fn way_back(&self) -> String {
        format!("none by itself: the rows of {} are restored from a backup", self.table)
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Undo, FaultError> {
        let (name, path, block, checksums) = self.find(cx).await?;
        if !checksums {
            let why = format!("{name} has no page checksums: nobody could tell that it is damaged");
            return Err(FaultError::NothingToBreak(why));
        }
        let missing = || AdapterError::Missing(format!("{} is not on this machine", path.display()));
        let facts = cx.world.disks.facts(&path).await?.ok_or_else(missing)?;
        let pages = facts.size / block.max(1);
        if pages == 0 {
            return Err(FaultError::NothingToBreak(format!("{name} has no page")));
        }
        Ok(Undo { name, path, pages: self.chosen(pages), block })
    }

    async fn inject(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        Ok(cx.world.disks.write(&undo.path, &self.damage(undo)).await?)
    }

    async fn effective(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let (damaged, all) = (self.damaged(undo, &undo.path, cx).await?, undo.pages.len());
        Ok(Look { holds: damaged == all, detail: format!("{damaged} of {all} pages of {} are damaged", undo.name) })
    }

    async fn heal(&self, _: &Undo, _: &Cx<'_>) -> Result<(), FaultError> {
        Ok(())
    }

    /// The file that the table has now may be another one.
    async fn healed(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let (name, path, ..) = self.find(cx).await?;
        let damaged = self.damaged(undo, &path, cx).await?;
        Ok(Look { holds: damaged == 0, detail: format!("{damaged} pages of {name} have our damage") })
    }

    fn by_hand(&self, undo: &Undo) -> String {
        format!("restore a backup elsewhere, and replace the rows of {} by those in it", undo.name)
    }

    fn touched(&self, undo: &Undo) -> Vec<String> {
        let pages: Vec<String> = undo.pages.iter().take(10).map(ToString::to_string).collect();
        vec![format!("{} pages of {} ({} …)", undo.pages.len(), undo.name, pages.join(", "))]
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::SqlBench;
    use super::*;
    use crate::adapters::{Fut, Sql};
    use std::sync::{Arc, Mutex};

    /// A server with one table, whose file is where a test says.
    struct Catalog {
        file: Mutex<PathBuf>,
        checksums: &'static str,
    }

    impl Sql for Catalog {
        fn scalar<'a>(
            &'a self,
            _: &'a str,
            _: &'a str,
            args: &'a [String],
            _: Duration,
        ) -> Fut<'a, Result<Option<String>, AdapterError>> {
            let file = self.file.lock().expect("lock").display().to_string();
            let there = args.first().is_some_and(|name| name == "t");
            let said = format!("public.t|{file}|8192|{}", self.checksums);
            Box::pin(async move { Ok(there.then_some(said)) })
        }
    }

    fn bench(checksums: &'static str) -> (Arc<Catalog>, SqlBench) {
        let catalog = Arc::new(Catalog { file: Mutex::default(), checksums });
        let bench = SqlBench::new(Arc::clone(&catalog) as Arc<dyn Sql>);
        let file = bench.dir().join("16397");
        std::fs::write(&file, vec![7_u8; 8192 * 5]).expect("a file");
        *catalog.file.lock().expect("lock") = file;
        (catalog, bench)
    }

    fn fault(pages: u64) -> PostgresCorruptPages {
        PostgresCorruptPages { target: TargetRef::Pinned("db".into()), table: "t".into(), pages, seed: 3 }
    }

    #[tokio::test]
    async fn the_middle_of_some_pages_is_damaged_and_nothing_else() {
        let (catalog, bench) = bench("on");
        let (fault, cx) = (fault(2), bench.cx());
        let undo = fault.prepare(&cx).await.unwrap();
        assert!(!fault.effective(&undo, &cx).await.unwrap().holds);
        for _ in 0..2 {
            fault.inject(&undo, &cx).await.unwrap();
            assert!(fault.effective(&undo, &cx).await.unwrap().holds);
        }
        let now = std::fs::read(&undo.path).unwrap();
        let changed: Vec<u64> = (0..now.len()).filter(|at| now[*at] != 7).map(|at| at as u64 / 8192).collect();
        assert_eq!(now.len(), 8192 * 5);
        assert!(changed.len() > 400 && changed.len() <= 512, "two times 256 bytes: {}", changed.len());
        assert!(changed.iter().all(|page| undo.pages.contains(page)), "{:?}", undo.pages);
        fault.heal(&undo, &cx).await.unwrap();
        assert!(!fault.healed(&undo, &cx).await.unwrap().holds, "nothing puts it back");
        // The table was rewritten: it has another file now.
        let other = bench.dir().join("16400");
        std::fs::write(&other, vec![7_u8; 8192 * 5]).unwrap();
        *catalog.file.lock().unwrap() = other;
        assert!(fault.healed(&undo, &cx).await.unwrap().holds);
    }

    #[tokio::test]
    async fn what_nobody_could_notice_or_reach_is_not_damaged() {
        let error = fault(1).prepare(&bench("off").1.cx()).await.unwrap_err().to_string();
        assert!(error.contains("no page checksums"), "{error}");
        let (catalog, bench) = bench("on");
        let other = PostgresCorruptPages { table: "u".into(), ..fault(1) };
        assert!(other.prepare(&bench.cx()).await.unwrap_err().to_string().contains("no table u"));
        std::fs::write(bench.dir().join("16397"), "").unwrap();
        assert!(fault(1).prepare(&bench.cx()).await.unwrap_err().to_string().contains("no page"));
        *catalog.file.lock().unwrap() = "/nowhere/at/all".into();
        assert!(fault(1).prepare(&bench.cx()).await.unwrap_err().to_string().contains("not on this machine"));
    }

    #[test]
    fn pages_are_different_ones_of_the_file() {
        for (pages, all, found) in [(1, 1, 1), (3, 455, 3), (9, 4, 4), (0, 7, 1), (u64::MAX, 9_000, 4_096)] {
            let mut chosen = fault(pages).chosen(all);
            assert!(chosen.iter().all(|page| *page < all), "{pages} of {all}: {chosen:?}");
            chosen.dedup();
            assert_eq!(chosen.len(), found, "{pages} of {all}");
        }
    }
}
