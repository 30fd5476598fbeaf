//! The conformance suite of ledgers, against the double broken from outside, and against the double that goes wrong by itself:
//! each of its violations shows in the books. (The simulation goes through the same suite in the tests of Redis.)

use crate::adapter::{Ledger, settings};
use crate::server::Three;
use crate::suite::{Clerk, books};
use blackstart::adapters::ClientSettings;
use blackstart::clock::Clock;
use blackstart::ledger::Verified;
use blackstart::model::{Found, Outcome};
use blackstart::sim::Books;
use nix::sys::signal::Signal;
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;

fn doc(writer: u16, seq: u64, attempt: u32) -> String {
    format!("/blackstart_ledger-run-1/_doc/{writer:05}-{seq:012}-{attempt:05}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_broken_on_purpose_shows_every_class() {
    let three = Three::up();
    let settings = ClientSettings { timeout: Duration::from_millis(1_500), ..settings("run-1") };
    let ledger = Ledger::open(three.place(), &settings);
    ledger.store.prepare().await.unwrap();
    three.green();
    let other = Ledger::open(three.place(), &settings);
    let mut clerk = Clerk::new(ledger.client, Clock::System);
    for seq in 0..40 {
        for writer in 0..4 {
            assert_eq!(clerk.write(writer, seq).await, Outcome::Ok);
        }
    }
    (10..17).for_each(|seq| drop(three.ask("DELETE", &doc(0, seq, 1), &json!({}))));
    for seq in 20..25 {
        let whole = three.ask("GET", &doc(1, seq, 1), &json!({}))["_source"].clone();
        three.ask("PUT", &doc(1, seq, 2), &whole);
    }
    for seq in 30..33 {
        three.ask("PUT", &doc(2, seq, 1), &json!({"name": "torn", "payload": "dG9ybg=="}));
    }
    // Refused, and there all the same.
    three.deny(&["index"]);
    assert_eq!((clerk.write(3, 40).await, clerk.write(3, 41).await), (Outcome::Fail, Outcome::Fail));
    three.deny(&[]);
    assert_eq!(other.write(3, 41).await, Outcome::Ok);
    assert_eq!(other.write(3, 41).await, Outcome::Unknown, "what is there already may be the server's second try");
    // Sent, and never answered.
    three.signal(Signal::SIGSTOP);
    assert_eq!((clerk.write(0, 41).await, clerk.write(1, 41).await), (Outcome::Unknown, Outcome::Unknown));
    three.signal(Signal::SIGCONT);
    three.green();
    // Somebody else's, and what is no record at all.
    three.ask("PUT", &doc(9, 0, 1), &json!({"name": "x"}));
    three.ask("PUT", "/blackstart_ledger-run-1/_doc/hello", &json!({"name": "world"}));

    let verified = clerk.settle(&*ledger.store, &settings).await;
    let found = books(&verified);
    assert_eq!(found.unknown_present + found.unknown_absent, 2, "{found:?}");
    let expected = Books {
        acked: 160,
        kept: 160 - 7 - 3,
        lost: 7,
        unknown_present: found.unknown_present,
        unknown_absent: found.unknown_absent,
        resurrected: 1,
        duplicated: 5,
        corrupted: 3,
    };
    assert_eq!(found, expected);
    assert_eq!((verified.phantom, verified.duplicated_by_server), (2, 0));
    assert_eq!(verified.lost_runs, BTreeMap::from([(0, vec![(10, 16)])]));
}

/// Eighty records while the double does this wrong, the loss of the primary if asked for, and what becomes of them.
async fn round(three: &mut Three, run: &str, wrong: &[&str], kill: Option<()>) -> (Verified, Option<Found>) {
    let settings = settings(run);
    let ledger = Ledger::open(three.place(), &settings);
    three.violate(&[]);
    ledger.store.prepare().await.unwrap();
    three.green();
    three.violate(wrong);
    let reader = Ledger::open(three.place(), &settings);
    let mut clerk = Clerk::new(ledger.client, Clock::System);
    for seq in 0..20 {
        for writer in 0..4 {
            assert_eq!(clerk.write(writer, seq).await, Outcome::Ok, "{run}");
        }
    }
    let seen = reader.read(3, 19).await.1;
    let node = three.primary(&format!("blackstart_ledger-{run}"));
    if kill.is_some() {
        three.kill(node);
        // The next write waits for another primary: then the copy that is left is all there is. Not so one whose connection
        // led to the node that is gone: it has failed, or nobody knows.
        let mut seq = 20;
        while !matches!(clerk.write(0, seq).await, Outcome::Ok | Outcome::OkLocal) {
            assert!(seq < 40, "{run}: nobody takes a write any more");
            seq += 1;
        }
    }
    let verified = clerk.settle(&*ledger.store, &settings).await;
    if kill.is_some() {
        three.start_again(node);
    }
    (verified, seen)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_violation_of_the_double_shows_in_the_books() {
    let mut three = Three::up();
    let (clean, seen) = round(&mut three, "run-0", &[], Some(())).await;
    assert_eq!((clean.lost, clean.duplicated, clean.corrupted, seen), (0, 0, 0, Some(Found::Intact)));
    let early = round(&mut three, "run-1", &["acknowledged_early"], Some(())).await.0;
    assert!(early.lost > 0, "acknowledged before it was replicated");
    assert_eq!(round(&mut three, "run-2", &["lost_on_promotion"], Some(())).await.0.lost, 20, "lost on promotion");
    let doubled = round(&mut three, "run-3", &["duplicated"], None).await.0;
    assert!(doubled.duplicated_by_server > 0 && doubled.lost == 0, "{doubled:?}");
    let torn = round(&mut three, "run-4", &["corrupted"], None).await.0;
    assert!(torn.corrupted > 0 && torn.lost == 0, "{torn:?}");
    let (stale, seen) = round(&mut three, "run-5", &["stale"], None).await;
    assert_eq!((stale.lost, seen), (80, Some(Found::Absent)), "a refresh that shows nothing, and reads of an old copy");
}
