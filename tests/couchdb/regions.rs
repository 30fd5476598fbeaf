//! Two regions that replicate both ways: what one lacks is counted, a replication that stopped or that leaves documents out is
//! found, and a dump goes only into an empty database.

use crate::adapter::{LIMIT, Ledger, ask, place, print, rows, settings, value};
use crate::server::{Regions, names_in};
use crate::suite::{Clerk, books};
use blackstart::adapters::couchdb::open_copy;
use blackstart::adapters::data::Counts;
use blackstart::adapters::systems::{CouchdbAsk, Seen};
use blackstart::clock::Clock;
use blackstart::model::Outcome;
use nix::sys::signal::Signal;
use std::time::Duration;

/// Looks until the answer is as wanted.
async fn wait_for(regions: &Regions, (from, to): (u16, u16), question: CouchdbAsk, wanted: &str) -> Seen {
    let end = Clock::System.mono().after(Duration::from_secs(60));
    loop {
        let seen = ask(&regions.url(from), Some(&regions.url(to)), question, LIMIT).await.unwrap();
        if seen.value == wanted {
            return seen;
        }
        assert!(Clock::System.mono() < end, "{question:?} from {from} to {to} never {wanted}: {seen:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_arrive_is_found_by_looking_at_the_data() {
    let regions = Regions::up(14380);
    let (a, b, admin) = (regions.url(1), regions.url(2), regions.url_as("admin", 1));
    let (settings, both) = (settings("run-1"), [(1, 2), (2, 1)]);
    for direction in both {
        wait_for(&regions, direction, CouchdbAsk::Canary, "arrived").await;
        wait_for(&regions, direction, CouchdbAsk::Missing, "0").await;
    }
    assert_eq!(
        (value(&admin, CouchdbAsk::Replications).await, value(&admin, CouchdbAsk::Broken).await),
        ("1".into(), "0".into())
    );
    let prints = [print(&a, "item:", Counts::Yes).await.unwrap(), print(&b, "item:", Counts::Yes).await.unwrap()];
    assert_eq!((&prints[0], prints[0].print.parts["item:"].count), (&prints[1], 200));

    // Nothing comes through, and no connection is closed.
    let ledger = Ledger::open(&a, &settings);
    ledger.store.prepare().await.unwrap();
    wait_for(&regions, (1, 2), CouchdbAsk::Missing, "0").await;
    regions.link("a", Signal::SIGSTOP);
    let mut clerk = Clerk::new(ledger.client, Clock::System);
    for seq in 0..10 {
        for writer in 0..4 {
            assert_eq!(clerk.write(writer, seq).await, Outcome::Ok);
        }
    }
    let canary = ask(&a, Some(&b), CouchdbAsk::Canary, Duration::from_secs(2)).await.unwrap();
    assert_eq!(canary.value, "missing", "{canary:?}");
    assert_eq!(value(&admin, CouchdbAsk::Replications).await, "1", "by its own words it works");
    let lag = ask(&a, Some(&b), CouchdbAsk::Lag, LIMIT).await.unwrap();
    // The records, and the canary.
    assert_eq!(
        (lag.value.as_str(), names_in(&regions.dir, regions.port(2), "blackstart_ledger:run-1:").len()),
        ("41", 0)
    );
    regions.link("a", Signal::SIGCONT);
    wait_for(&regions, (1, 2), CouchdbAsk::Canary, "arrived").await;
    wait_for(&regions, (1, 2), CouchdbAsk::Missing, "0").await;

    // A replication that leaves every fifth record out, and says that all is well.
    regions.run("relink.sh", &["a", "drop", "5"]);
    for seq in 10..35 {
        for writer in 0..4 {
            assert_eq!(clerk.write(writer, seq).await, Outcome::Ok);
        }
    }
    let missing = wait_for(&regions, (1, 2), CouchdbAsk::Missing, "20").await;
    assert!(missing.fields["first"].contains("blackstart_ledger:run-1:"), "{missing:?}");
    wait_for(&regions, (1, 2), CouchdbAsk::Canary, "arrived").await;
    assert_eq!(value(&admin, CouchdbAsk::Broken).await, "0", "by its own words it works");
    assert_eq!(ask(&a, Some(&b), CouchdbAsk::Missing, LIMIT).await.unwrap().value, "20", "they never come");
    assert_eq!(names_in(&regions.dir, regions.port(2), "blackstart_ledger:run-1:").len(), 120);
    let copy = open_copy(&place(&b), "blackstart_ledger", &settings).unwrap();
    assert_eq!(rows(&*copy).await.len(), 120);
    let found = books(&clerk.settle(&*copy, &settings).await);
    assert_eq!((found.acked, found.kept, found.lost), (140, 120, 20));

    // A dump goes into an empty database that no client is sent to, or nowhere.
    assert!(regions.refusal("restore.sh", &["b"]).contains("is not empty"));
    assert!(regions.refusal("restore.sh", &["a"]).contains("clients are sent to region a"));
}
