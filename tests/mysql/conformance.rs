//! The conformance suite of ledgers, against a real MariaDB that is broken on purpose by its own client.

use crate::adapter::{Ledger, SLOW, place, settings};
use crate::ledgers::{Clerk, books};
use crate::server::Maria;
use blackstart::adapters::ClientSettings;
use blackstart::adapters::mysql::open_ledger;
use blackstart::clock::Clock;
use blackstart::model::Outcome;
use blackstart::sim::Books;
use std::collections::BTreeMap;
use std::time::Duration;

const COLUMNS: &str = "run, writer, seq, attempt, payload";

/// What somebody does to the store behind the clients' backs.
fn tamper(server: &Maria, writer: u16, seq: u64, what: &str) {
    let which = format!("run = 'run-1' and writer = {writer} and seq = {seq}");
    server.sql(&format!("use app; {}", what.replace("WHICH", &which).replace("COLUMNS", COLUMNS)));
}

const LOSE: &str = "delete from blackstart_ledger where WHICH";
const TWICE: &str = "insert into blackstart_ledger (COLUMNS) select COLUMNS from blackstart_ledger where WHICH";
const TEAR: &str = "update blackstart_ledger set payload = concat('x', substr(payload, 2)) where WHICH";
/// Behind all others.
const LATER: &str = "update blackstart_ledger set pos = pos + 10000 where WHICH";

#[tokio::test(flavor = "multi_thread")]
async fn a_real_store_that_is_broken_on_purpose_shows_every_class() {
    let server = Maria::up(14808, &["--skip-log-bin"]).with_app();
    let settings = ClientSettings { timeout: Duration::from_millis(900), ..settings("run-1") };
    let opened = open_ledger(&Clock::System, &place(&server.url("app")), "blackstart_ledger", &settings).unwrap();
    let store = opened.store.unwrap();
    store.prepare().await.unwrap();
    let mut clerk = Clerk::new(opened.client, Clock::System);
    for seq in 0..100 {
        for writer in 0..4 {
            assert_eq!(clerk.write(writer, seq).await, Outcome::Ok);
            match (writer, seq) {
                (0, 10..17) => tamper(&server, writer, seq, LOSE),
                (1, 20..25) => tamper(&server, writer, seq, TWICE),
                (2, 30..33) => tamper(&server, writer, seq, TEAR),
                _ => {}
            }
        }
    }
    // Refused, and there all the same.
    server.sql("set global read_only = 1");
    assert_eq!((clerk.write(2, 100).await, clerk.write(2, 101).await), (Outcome::Fail, Outcome::Fail));
    server.sql("set global read_only = 0");
    server.sql(&format!(
        "use app; insert into blackstart_ledger ({COLUMNS}) values ('run-1', 2, 101, 1, 'torn as well')"
    ));
    // Sent, and never answered: both are carried out, and one of them is lost later.
    server.sql(SLOW);
    assert_eq!((clerk.write(3, 100).await, clerk.write(3, 101).await), (Outcome::Unknown, Outcome::Unknown));
    crate::common::until("both are carried out", || {
        server.sql("select count(*) from app.blackstart_ledger where writer = 3 and seq >= 100") == "2"
    });
    tamper(&server, 3, 101, LOSE);
    // Somebody else's, and what is no record at all.
    server.sql(&format!(
        "use app; drop trigger slow; insert into blackstart_ledger ({COLUMNS})
         values ('run-1', 9, 0, 1, 'x'), ('run-1', -1, 0, 1, 'x'), ('another', 0, 11, 1, 'x')"
    ));

    let verified = clerk.settle(&*store, &settings).await;
    let expected = Books {
        acked: 400,
        kept: 400 - 7 - 3,
        lost: 7,
        unknown_present: 1,
        unknown_absent: 1,
        resurrected: 1,
        duplicated: 5,
        corrupted: 4,
    };
    assert_eq!(books(&verified), expected);
    assert_eq!((verified.phantom, verified.duplicated_by_server, verified.reordered), (2, 5, 0));
    assert_eq!(verified.lost_runs, BTreeMap::from([(0, vec![(10, 16)])]));
    out_of_order(&server).await;
}

async fn out_of_order(server: &Maria) {
    let settings = settings("run-1");
    server.sql("delete from app.blackstart_ledger");
    let ledger = Ledger::open(&server.url("app"), &settings);
    let opened = open_ledger(&Clock::System, &place(&server.url("app")), "blackstart_ledger", &settings).unwrap();
    let mut clerk = Clerk::new(opened.client, Clock::System);
    for seq in 0..20 {
        assert_eq!(clerk.write(0, seq).await, Outcome::Ok);
    }
    tamper(server, 0, 5, LATER);
    let verified = clerk.settle(&*ledger.store, &settings).await;
    assert_eq!((verified.kept, verified.reordered, verified.duplicated, verified.lost), (20, 1, 0, 0));
}
