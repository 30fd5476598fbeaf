//! The conformance suite of ledgers, against a real etcd that is broken on purpose by `etcdctl`. (The simulation goes through
//! the same suite in the tests of Redis.)

use crate::adapter::{Ledger, settings};
use crate::server::Single;
use crate::suite::{Clerk, books};
use blackstart::adapters::ClientSettings;
use blackstart::clock::Clock;
use blackstart::model::Outcome;
use blackstart::sim::Books;
use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::time::Duration;

fn name(writer: u16, seq: u64) -> String {
    format!("blackstart_ledger/run-1/{writer:05}/{seq:012}/00001")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_store_that_is_broken_on_purpose_shows_every_class() {
    let mut server = Single::up(18849, &[]);
    let settings = ClientSettings { timeout: Duration::from_millis(900), ..settings("run-1") };
    let ledger = Ledger::open(&server.url(), &settings);
    ledger.store.prepare().await.unwrap();
    // A second client that writes what the first has written: each of its puts is one too many.
    let other = Ledger::open(&server.url(), &settings);
    let mut clerk = Clerk::new(ledger.client, Clock::System);
    for seq in 0..60 {
        for writer in 0..4 {
            assert_eq!(clerk.write(writer, seq).await, Outcome::Ok);
            match (writer, seq) {
                (0, 10..17) => drop(server.ctl(&["del", &name(writer, seq)])),
                (1, 20..25) => assert_eq!(other.write(writer, seq).await, Outcome::Ok),
                (2, 30..33) => {
                    server.ctl(&["del", &name(writer, seq)]);
                    server.ctl(&["put", &name(writer, seq), "torn"]);
                }
                _ => {}
            }
        }
    }
    // Behind its time: the second put moved it there.
    assert_eq!(other.write(3, 5).await, Outcome::Ok);
    // Refused, and there all the same.
    server.kill();
    assert_eq!((clerk.write(3, 60).await, clerk.write(3, 61).await), (Outcome::Fail, Outcome::Fail));
    server.start_again();
    assert_eq!(other.write(3, 61).await, Outcome::Ok);
    // Sent, and never answered.
    assert_eq!((clerk.write(0, 60).await, clerk.write(1, 60).await), (Outcome::Ok, Outcome::Ok));
    server.signal(Signal::SIGSTOP);
    assert_eq!((clerk.write(0, 61).await, clerk.write(1, 61).await), (Outcome::Unknown, Outcome::Unknown));
    server.signal(Signal::SIGCONT);
    // Somebody else's, and what is no record at all.
    server.ctl(&["put", &name(9, 0), "x"]);
    server.ctl(&["put", "blackstart_ledger/run-1/hello", "world"]);

    let verified = clerk.settle(&*ledger.store, &settings).await;
    let found = books(&verified);
    assert_eq!(found.unknown_present + found.unknown_absent, 2, "{found:?}");
    let expected = Books {
        acked: 242,
        kept: 242 - 7 - 3,
        lost: 7,
        unknown_present: found.unknown_present,
        unknown_absent: found.unknown_absent,
        resurrected: 1,
        duplicated: 6,
        corrupted: 3,
    };
    assert_eq!(found, expected);
    assert_eq!((verified.phantom, verified.duplicated_by_server, verified.reordered), (2, 6, 1));
    assert_eq!(verified.lost_runs, BTreeMap::from([(0, vec![(10, 16)])]));
}
