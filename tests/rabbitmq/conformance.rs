//! The conformance suite of ledgers, against a real RabbitMQ that is broken on purpose by pika. (The simulation goes through
//! the same suite in the tests of Redis.)

use crate::adapter::{Ledger, settings};
use crate::server::Staging;
use crate::suite::{Clerk, books};
use blackstart::adapters::ClientSettings;
use blackstart::clock::Clock;
use blackstart::model::Outcome;
use blackstart::sim::Books;
use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::time::Duration;

const QUEUE: &str = "broken.run-1";

/// A real store that is broken on purpose shows every class.
pub async fn every_class(server: &Staging) {
    let settings = ClientSettings { timeout: Duration::from_secs(2), ..settings("run-1") };
    let open = || Ledger::open(&server.url(), "broken", &settings);
    let ledger = open();
    ledger.store.prepare().await.unwrap();
    // A second client that writes what the first has written: each of its messages is one too many.
    let other = open();
    let mut clerk = Clerk::new(ledger.client, Clock::System);
    for seq in 0..60 {
        for writer in 0..4 {
            assert_eq!(clerk.write(writer, seq).await, Outcome::Ok);
            match (writer, seq) {
                (1, 20..25) => assert_eq!(other.write(writer, seq).await, Outcome::Ok),
                (2, 30..33) => drop(server.pika(&["replace", QUEUE, &format!("2/{seq}/1"), "torn"])),
                _ => {}
            }
        }
    }
    let gone: Vec<String> = (10..17).map(|seq| format!("0/{seq}/1")).collect();
    let gone: Vec<&str> = gone.iter().map(String::as_str).collect();
    server.pika(&[&["drop", QUEUE], &gone[..]].concat());
    // A second time, after all others; and one that is behind its time, after others that were written later.
    assert_eq!(other.write(3, 5).await, Outcome::Ok);
    server.pika(&["replace", QUEUE, "3/7/1"]);
    // Refused, and there all the same.
    server.kill();
    // Until the runtime has heard that the connections are closed, it would send into them, and the outcome be in doubt.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!((clerk.write(3, 60).await, clerk.write(3, 61).await), (Outcome::Fail, Outcome::Fail));
    server.start_again();
    assert_eq!(other.write(3, 61).await, Outcome::Ok);
    // Sent, and never answered.
    assert_eq!((clerk.write(0, 60).await, clerk.write(1, 60).await), (Outcome::Ok, Outcome::Ok));
    server.signal(Signal::SIGSTOP);
    assert_eq!((clerk.write(0, 61).await, clerk.write(1, 61).await), (Outcome::Unknown, Outcome::Unknown));
    server.signal(Signal::SIGCONT);
    // Somebody else's, and what is no record at all.
    server.pika(&["put", QUEUE, "run-1", "9/0/1", "x"]);
    server.pika(&["put", QUEUE, "run-1", "hello", "world"]);

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
