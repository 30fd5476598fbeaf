//! Against reading every row, over stores with whatever can go wrong; and the simulated store.

use super::*;
use crate::adapters::snapshot::{Summary, WriterSum, by_writer};
use crate::adapters::{Fut, Row};
use crate::clock::Clock;
use crate::ledger::Keep;
use crate::model::{ClientBehaviour, Mono, Outcome};
use crate::sim::{Cluster, Lies};
use proptest::prelude::*;
use std::time::Duration;

const SIZE: usize = 24;

fn settings() -> ClientSettings {
    ClientSettings {
        run: "r".into(),
        behaviour: ClientBehaviour::Pooled,
        timeout: Duration::from_secs(1),
        writers: 2,
        payload: SIZE as u64,
        rate: 1.0,
    }
}

/// Rows in a vector, in the server's order.
struct Rows(Vec<Row>);

impl LedgerStore for Rows {
    fn prepare(&self) -> Fut<'_, Result<(), AdapterError>> {
        Box::pin(async { Ok(()) })
    }

    fn read_back<'a>(&'a self, row: &'a mut (dyn FnMut(Row) + Send)) -> Fut<'a, Result<(), AdapterError>> {
        self.0.iter().cloned().for_each(row);
        Box::pin(async { Ok(()) })
    }

    fn snapshot(&self) -> Fut<'_, Result<Option<Box<dyn Snapshot + '_>>, AdapterError>> {
        Box::pin(async { Ok(Some(Box::new(Moment(&self.0)) as Box<dyn Snapshot + '_>)) })
    }
}

struct Moment<'a>(&'a [Row]);

impl Snapshot for Moment<'_> {
    fn writers(&mut self) -> Fut<'_, Result<Vec<WriterSum>, AdapterError>> {
        Box::pin(async { Ok(by_writer(&self.blocks().await?)) })
    }

    fn blocks(&mut self) -> Fut<'_, Result<Vec<BlockSum>, AdapterError>> {
        let mut summary = Summary::default();
        for (place, row) in (0..).zip(self.0) {
            summary.row(place, row.key.clone().unwrap(), &row.payload);
        }
        Box::pin(std::future::ready(Ok(summary.finish())))
    }

    fn rows<'a>(
        &'a mut self,
        which: &'a Which,
        take: &'a mut (dyn FnMut(i64, Row) + Send),
    ) -> Fut<'a, Result<(), AdapterError>> {
        for (place, row) in (0..).zip(self.0).filter(|(_, row)| which.holds(row.key.clone().unwrap())) {
            take(place, row.clone());
        }
        Box::pin(async { Ok(()) })
    }
}

fn whole(store: &Rows) -> ReadBack {
    let mut fold = Fold::new(&settings());
    store.0.iter().for_each(|row| fold.row(row));
    fold.finish()
}

fn row(key: Key, attempt: u32) -> Row {
    Row { key: Ok(key), attempt, payload: payload::payload(&"r".into(), key, SIZE) }
}

/// What goes wrong with one write; most are never touched.
#[derive(Debug, Clone, Copy)]
enum Wrong {
    Lost,
    Twice,
    Again,
    Torn,
    Late(usize),
    Failed,
    Resurrected,
    InDoubt,
    Phantom,
    Stranger,
}

fn wrong() -> impl Strategy<Value = Wrong> {
    prop_oneof![
        Just(Wrong::Lost),
        Just(Wrong::Twice),
        Just(Wrong::Again),
        Just(Wrong::Torn),
        (1_usize..6_000).prop_map(Wrong::Late),
        Just(Wrong::Failed),
        Just(Wrong::Resurrected),
        Just(Wrong::InDoubt),
        Just(Wrong::Phantom),
        Just(Wrong::Stranger)
    ]
}

/// Two writers take turns; then things go wrong in a few places.
fn store(count: u64, wrongs: &[(u64, Wrong)]) -> (Ledger, Rows) {
    let mut ledger = Ledger::new(Keep::Outcomes);
    let wrongs: BTreeMap<u64, Wrong> = wrongs.iter().map(|(at, wrong)| (at % count, *wrong)).collect();
    let (mut rows, mut late): (Vec<Row>, Vec<(usize, Row)>) = (Vec::new(), Vec::new());
    for at in 0..count {
        let key = Key { writer: (at % 2) as u16, seq: at / 2 };
        let (mut outcome, intact) = (Outcome::Ok, row(key, 1));
        match wrongs.get(&at) {
            None => rows.push(intact),
            Some(Wrong::Lost) => {}
            Some(Wrong::Twice) => rows.extend([intact.clone(), intact]),
            Some(Wrong::Again) => rows.extend([intact, row(key, 2)]),
            Some(Wrong::Torn) => rows.push(Row { payload: vec![1, 2], ..intact }),
            Some(Wrong::Late(by)) => late.push((rows.len() + by, intact)),
            Some(Wrong::Failed) => outcome = Outcome::Fail,
            Some(Wrong::Resurrected) => {
                outcome = Outcome::Fail;
                rows.push(intact);
            }
            Some(Wrong::InDoubt) => {
                outcome = Outcome::Unknown;
                rows.extend(at.is_multiple_of(3).then_some(intact));
            }
            Some(Wrong::Phantom) => rows.extend([intact, row(Key { seq: at + count, ..key }, 1)]),
            Some(Wrong::Stranger) => rows.extend([intact, row(Key { writer: 7, ..key }, 1)]),
        }
        ledger.record(key, outcome, Mono(0), Mono(1));
    }
    for (place, row) in late.into_iter().rev() {
        rows.insert(place.min(rows.len()), row);
    }
    (ledger, Rows(rows))
}

fn levels(store: &Rows, ledger: Ledger) -> (ReadBack, Asked) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(read_back(store, &settings(), ledger, 0)).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn nothing_is_overlooked(
        count in 1_u64..24_000, wrongs in prop::collection::vec((any::<u64>(), wrong()), 0..6)
    ) {
        let (ledger, store) = store(count, &wrongs);
        prop_assert_eq!(levels(&store, ledger).0, whole(&store));
    }
}

#[test]
fn each_single_wrong_is_found_and_few_rows_are_read_for_it() {
    let all = [
        Wrong::Lost,
        Wrong::Twice,
        Wrong::Again,
        Wrong::Torn,
        Wrong::Late(1),
        Wrong::Late(40),
        Wrong::Late(9_000),
        Wrong::Failed,
        Wrong::Resurrected,
        Wrong::InDoubt,
        Wrong::Phantom,
        Wrong::Stranger,
    ];
    for wrong in all {
        let (ledger, store) = store(60_000, &[(31_313, wrong)]);
        let (found, asked) = levels(&store, ledger);
        assert_eq!(found, whole(&store), "{wrong:?}");
        let rows = asked.rows;
        // Whatever follows a phantom of a large number stands behind it, and is read to be told so.
        let most = if matches!(wrong, Wrong::Phantom) { 5 * BLOCK } else { 3 * BLOCK };
        assert!(rows <= most, "{wrong:?}: {rows} rows");
        let decided_by_sums = matches!(wrong, Wrong::Failed | Wrong::Late(1));
        assert_eq!(rows == 0, decided_by_sums, "{wrong:?}: {rows} rows");
    }
    let (ledger, store) = store(60_000, &[]);
    assert_eq!(levels(&store, ledger), (whole(&store), Asked { blocks: 16, rows: 0 }));
}

#[test]
fn one_lost_and_another_twice_do_not_cancel_out() {
    let (ledger, store) = store(60_000, &[(100, Wrong::Lost), (200, Wrong::Twice)]);
    let (found, asked) = levels(&store, ledger);
    assert_eq!((found, asked.rows), (whole(&store), BLOCK));
}

fn simulated(lies: Lies) -> crate::sim::Settings {
    crate::sim::Settings {
        seed: 1,
        lag: Duration::from_millis(300),
        check_every: Duration::from_millis(100),
        failures: Some(3),
        restart: Duration::from_secs(1),
        disturbances: Vec::new(),
        lies,
    }
}

#[tokio::test(start_paused = true)]
async fn a_simulated_store_that_lies_is_read_like_any_other() {
    let clock = Clock::simulated();
    let lies = Lies { drops: 1, duplicates: 1, corrupts: 1, resurrects: 0 };
    let cluster = Cluster::new(clock.clone(), simulated(lies));
    let endpoint = crate::adapters::Endpoint::KvLedger { url: "http://sim".to_owned() };
    let opened = cluster.world().clients.open(&clock, &endpoint, &settings()).await.unwrap();
    let (store, mut ledger) = (opened.store.unwrap(), Ledger::new(Keep::Outcomes));
    for at in 0..20_000 {
        let key = Key { writer: (at % 2) as u16, seq: at / 2 };
        let operation = crate::adapters::Operation { due: clock.mono(), act: crate::adapters::Act::Write(key) };
        let done = opened.client.operate(operation).await;
        ledger.record(key, done.outcome, done.sent, done.done);
    }
    let mut fold = Fold::new(&settings());
    store.read_back(&mut |row| fold.row(&row)).await.unwrap();
    let (found, asked) = read_back(&*store, &settings(), ledger, 0).await.unwrap();
    assert_eq!(found, fold.finish());
    assert!(asked.blocks >= 6 && found.writers.values().all(|w| !w.duplicated.is_empty() && !w.corrupted.is_empty()));
}
