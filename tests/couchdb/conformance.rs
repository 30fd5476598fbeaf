//! The conformance suite of ledgers, against a real server that is broken on purpose by `curl`. (The simulation goes through
//! the same suite in the tests of Redis.)

use crate::adapter::{Ledger, name, settings};
use crate::server::Single;
use crate::suite::{Clerk, books};
use blackstart::adapters::ClientSettings;
use blackstart::clock::Clock;
use blackstart::model::Outcome;
use blackstart::sim::Books;
use nix::sys::signal::Signal;
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn a_real_store_that_is_broken_on_purpose_shows_every_class() {
    let mut server = Single::up(14361);
    let settings = ClientSettings { timeout: Duration::from_secs(4), ..settings("run-1") };
    let ledger = Ledger::open(&server.url(), &settings);
    ledger.store.prepare().await.unwrap();
    // A second client that knows nothing of the first.
    let other = Ledger::open(&server.url(), &settings);
    let mut clerk = Clerk::new(ledger.client, Clock::System);
    for seq in 0..40 {
        for writer in 0..4 {
            assert_eq!(clerk.write(writer, seq).await, Outcome::Ok);
            match (writer, seq) {
                (0, 10..17) => server.delete(&name(writer, seq)),
                // A revision beside it, as two regions make that both take the same record.
                (1, 20..25) => {
                    let mut again = server.get(&format!("shop/{}", name(writer, seq))).1;
                    again["a"] = json!(2);
                    server.conflict(&name(writer, seq), again);
                }
                (2, 30..33) => server.change(&name(writer, seq), json!({"a": 1, "p": "dG9ybg=="})),
                _ => {}
            }
        }
    }
    // Refused, and there all the same.
    server.kill();
    assert_eq!((clerk.write(3, 40).await, clerk.write(3, 41).await), (Outcome::Fail, Outcome::Fail));
    server.start();
    assert_eq!(other.write(3, 41).await, Outcome::Ok);
    // Sent, and never answered.
    assert_eq!((clerk.write(0, 40).await, clerk.write(1, 40).await), (Outcome::Ok, Outcome::Ok));
    server.signal(Signal::SIGSTOP);
    assert_eq!((clerk.write(0, 41).await, clerk.write(1, 41).await), (Outcome::Unknown, Outcome::Unknown));
    server.signal(Signal::SIGCONT);
    // Somebody else's, and what is no record at all.
    server.put(&format!("shop/{}", name(9, 0)), json!({"x": 1}));
    server.put("shop/blackstart_ledger:run-1:hello", json!({"world": true}));

    let verified = clerk.settle(&*ledger.store, &settings).await;
    let found = books(&verified);
    assert_eq!(found.unknown_present + found.unknown_absent, 2, "{found:?}");
    let expected = Books {
        acked: 162,
        kept: 162 - 7 - 3,
        lost: 7,
        unknown_present: found.unknown_present,
        unknown_absent: found.unknown_absent,
        resurrected: 1,
        duplicated: 5,
        corrupted: 3,
    };
    assert_eq!(found, expected);
    assert_eq!((verified.phantom, verified.reordered), (2, 0));
    assert_eq!(verified.lost_runs, BTreeMap::from([(0, vec![(10, 16)])]));
}
