//! The conformance suite of ledgers, against a double whose content is broken on purpose by pymongo, and against doubles that
//! are told to lie: each lie is found out. (The simulation goes through the same suite in the tests of Redis.)

use crate::adapter::{Ledger, settings};
use crate::server::{Single, Three};
use crate::suite::{Clerk, books};
use blackstart::adapters::ClientSettings;
use blackstart::clock::Clock;
use blackstart::ledger::Verified;
use blackstart::model::Outcome;
use blackstart::sim::Books;
use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_broken_on_purpose_shows_every_class() {
    let mut server = Single::up(19621);
    let settings = ClientSettings { timeout: Duration::from_millis(900), ..settings("run-1") };
    let ledger = Ledger::open(&server.url(), &settings);
    ledger.store.prepare().await.unwrap();
    let mut clerk = Clerk::new(ledger.client, Clock::System);
    for seq in 0..60 {
        for writer in 0..4 {
            assert_eq!(clerk.write(writer, seq).await, Outcome::Ok);
        }
    }
    server.say(
        "c = db['blackstart_ledger.run-1']
c.delete_many({'w': 0, 's': {'$gte': 10, '$lt': 17}})
again = list(c.find({'w': 1, 's': {'$gte': 20, '$lt': 25}})) + [c.find_one({'w': 3, 's': 5})]
c.insert_many([{**d, '_id': bson.ObjectId()} for d in again])
for n in range(30, 33): c.update_one({'w': 2, 's': n}, {'$set': {'p': b'torn'}})",
    );
    // Refused, and there all the same.
    server.kill();
    // Until the runtime has seen that the connections are closed.
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!((clerk.write(3, 60).await, clerk.write(3, 61).await), (Outcome::Fail, Outcome::Fail));
    server.start_again();
    let other = Ledger::open(&server.url(), &settings);
    assert_eq!(other.write(3, 61).await, Outcome::Ok);
    // Sent, and never answered.
    assert_eq!((clerk.write(0, 60).await, clerk.write(1, 60).await), (Outcome::Ok, Outcome::Ok));
    server.signal(Signal::SIGSTOP);
    assert_eq!((clerk.write(0, 61).await, clerk.write(1, 61).await), (Outcome::Unknown, Outcome::Unknown));
    server.signal(Signal::SIGCONT);
    // Somebody else's, and what is no record at all.
    assert_eq!(
        Ledger::open(&server.url(), &ClientSettings { writers: 10, ..settings.clone() }).write(9, 0).await,
        Outcome::Ok
    );
    server.say("db['blackstart_ledger.run-1'].insert_one({'hello': 'world'})");

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
    assert_eq!((verified.phantom, verified.duplicated_by_server), (2, 6));
    assert_eq!(verified.lost_runs, BTreeMap::from([(0, vec![(10, 16)])]));
}

/// A hundred records, written while the server lies in this way; what the books say afterwards.
async fn lied_to(server: &Single, violation: Option<&str>, run: &str) -> Verified {
    let settings = settings(run);
    let ledger = Ledger::open(&server.url(), &settings);
    ledger.store.prepare().await.unwrap();
    let named = violation.map_or("None".to_owned(), |name| format!("'{name}'"));
    server.say(&format!("mongo.admin.command('doubleViolate', {named})"));
    let mut clerk = Clerk::new(ledger.client, Clock::System);
    for seq in 0..100 {
        assert_eq!(clerk.write(0, seq).await, Outcome::Ok, "{violation:?}");
    }
    clerk.settle(&*ledger.store, &settings).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_lies_is_found_out() {
    let server = Single::up(19622);
    let counts = |v: &Verified| (v.kept, v.lost, v.duplicated, v.corrupted);
    assert_eq!(counts(&lied_to(&server, None, "run-1").await), (100, 0, 0, 0));
    assert_eq!(counts(&lied_to(&server, Some("forget"), "run-2").await), (90, 10, 0, 0));
    let twice = lied_to(&server, Some("duplicate"), "run-3").await;
    assert_eq!((counts(&twice), twice.duplicated_by_server), ((100, 0, 10, 0), 10));
    assert_eq!(counts(&lied_to(&server, Some("corrupt"), "run-4").await), (90, 0, 0, 10));
    assert_eq!(counts(&lied_to(&server, Some("stale-reads"), "run-5").await), (0, 100, 0, 0));
    assert_eq!(counts(&lied_to(&server, None, "run-6").await), (100, 0, 0, 0));
}

/// Ways to lie about what a majority has, which show only when the primary changes. The same without a lie loses nothing.
pub async fn a_majority_that_was_promised_and_not_kept_is_a_loss(three: &Three) {
    let url = three.url("&w=majority");
    let mut lost = Vec::new();
    for (run, violation) in [("run-1", None), ("run-2", Some("lose-on-step-down"))] {
        let settings = settings(run);
        let ledger = Ledger::open(&url, &settings);
        ledger.store.prepare().await.unwrap();
        violation.into_iter().for_each(|violation| three.violate(violation));
        let mut clerk = Clerk::new(ledger.client, Clock::System);
        // On a busy machine a primary may change by itself: until forty are acknowledged.
        let (mut acked, mut seq) = (0, 0);
        while acked < 40 {
            acked += u32::from(clerk.write(0, seq).await == Outcome::Ok);
            seq += 1;
            assert!(seq < 1_000, "{acked} acknowledged of {seq}");
        }
        three.run("step-down.sh", &[]);
        three.run("wait-ready.sh", &[]);
        lost.push(clerk.settle(&*ledger.store, &settings).await.lost);
    }
    // Twenty, or fewer if some of the last were in doubt.
    assert!(lost[0] == 0 && (10..=20).contains(&lost[1]), "a planned step-down: {lost:?}");
    // Acknowledged by one while the others stand still, as if they all had it.
    three.violate("ack-early");
    let settings = settings("run-3");
    let ledger = Ledger::open(&url, &settings);
    ledger.store.prepare().await.unwrap();
    let mut clerk = Clerk::new(ledger.client, Clock::System);
    let (primary, names) = three.role("primary");
    let (pids, _) = three.role("secondaries");
    pids.iter().for_each(|pid| crate::common::signal(*pid, Signal::SIGSTOP));
    let mut acked = 0;
    for seq in 0..40 {
        acked += u64::from(clerk.write(0, seq).await == Outcome::Ok);
    }
    let pid = nix::unistd::Pid::from_raw(i32::try_from(primary[0]).unwrap());
    nix::sys::signal::kill(pid, Signal::SIGKILL).unwrap();
    pids.iter().for_each(|pid| crate::common::signal(*pid, Signal::SIGCONT));
    three.elects_another_than(&names[0]);
    three.run("start.sh", &[&names[0]]);
    let verified = clerk.settle(&*ledger.store, &settings).await;
    assert!(verified.lost > 0 && acked > 10, "{acked} acknowledged, {} lost", verified.lost);
}
