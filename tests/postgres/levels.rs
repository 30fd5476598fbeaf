//! The read-back in levels against a real server.

use crate::pair::Pair;
use crate::planted::{levels_find_the_same, planted, settings};
use blackstart::adapters::postgres::open_ledger;
use blackstart::clock::Clock;

#[tokio::test(flavor = "multi_thread")]
async fn sums_and_a_few_rows_find_what_all_rows_say() {
    let pair = Pair::up(15400, &[]);
    let opened = open_ledger(&Clock::System, &pair.url(0), "blackstart_ledger", &settings()).unwrap();
    let store = opened.store.unwrap();
    store.prepare().await.unwrap();
    let (ledger, rows) = planted();
    let lines = rows.iter().map(|row| {
        let key = row.key.clone().unwrap();
        let hex: String = row.payload.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("planted\t{}\t{}\t{}\t\\\\x{hex}\n", key.writer, key.seq, row.attempt)
    });
    let file = pair.file("planted.tsv");
    std::fs::write(&file, lines.collect::<String>()).unwrap();
    let columns = "blackstart_ledger (run, writer, seq, attempt, payload)";
    pair.psql(1, "app", &format!("\\copy {columns} from '{}'", file.display()));
    levels_find_the_same(&*store, ledger, rows.len()).await;
    // A number below zero is nobody's.
    pair.psql(1, "app", &format!("insert into {columns} values ('planted', 0, -5, 1, 'x'), ('other', 0, 1, 1, 'x')"));
    let (ledger, _) = planted();
    let (found, _) = blackstart::exec::sampler::levels::read_back(&*store, &settings(), ledger, 0).await.unwrap();
    assert_eq!((found.phantom_count, found.phantoms[1].as_str()), (2, "writer 0, seq -5"), "another run's is not read");
    assert_eq!(found, crate::planted::every_row(&*store).await);
}
