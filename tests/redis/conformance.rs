//! The conformance suite of ledgers, against a real Redis that is broken on purpose by `redis-cli`, and against the
//! simulation, whose truth is known.

use crate::adapter::{Ledger, place, settings};
use crate::server::Single;
use crate::suite::{Clerk, books};
use blackstart::adapters::redis::open_ledger;
use blackstart::adapters::{ClientSettings, Command, Endpoint};
use blackstart::clock::Clock;
use blackstart::model::Outcome;
use blackstart::sim::{Books, Cluster, Disturbance, Lies, Settings, Weather};
use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::time::Duration;

const STREAM: &str = "blackstart_ledger:run-1";
/// Finds the entries of a record (writer, seq), and does one thing with each.
const FIND: &str = "for _, e in ipairs(redis.call('XRANGE', KEYS[1], '-', '+')) do \
     if e[2][2] == ARGV[1] and e[2][4] == ARGV[2] then DO end end";

/// What somebody does to the store behind the clients' backs.
fn tamper(server: &Single, writer: u16, seq: u64, what: &str) {
    let script = FIND.replace("DO", what);
    server.cli(&["eval", &script, "1", STREAM, &writer.to_string(), &seq.to_string()]);
}

const LOSE: &str = "redis.call('XDEL', KEYS[1], e[1])";
const TWICE: &str = "redis.call('XADD', KEYS[1], '*', unpack(e[2]))";
/// The same attempt with other bytes, in its place at the end of the stream.
const TEAR: &str =
    "redis.call('XDEL', KEYS[1], e[1]) e[2][8] = 'x' .. e[2][8]:sub(2) redis.call('XADD', KEYS[1], '*', unpack(e[2]))";

#[tokio::test(flavor = "multi_thread")]
async fn a_real_store_that_is_broken_on_purpose_shows_every_class() {
    let server = Single::up(18820, &[]);
    let settings = ClientSettings { timeout: Duration::from_millis(700), ..settings("run-1") };
    let opened = open_ledger(&Clock::System, &place(&server.url()), "blackstart_ledger", None, &settings).unwrap();
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
    server.cli(&["config", "set", "min-replicas-to-write", "1"]);
    assert_eq!((clerk.write(3, 100).await, clerk.write(3, 101).await), (Outcome::Fail, Outcome::Fail));
    server.cli(&["config", "set", "min-replicas-to-write", "0"]);
    server.cli(&["xadd", STREAM, "*", "w", "3", "s", "101", "a", "1", "p", "torn as well"]);
    // Sent, and never answered: both are carried out, and one of them is lost later.
    server.signal(Signal::SIGSTOP);
    assert_eq!((clerk.write(0, 100).await, clerk.write(1, 100).await), (Outcome::Unknown, Outcome::Unknown));
    server.signal(Signal::SIGCONT);
    crate::common::until("both are carried out", || server.cli(&["xlen", STREAM]) == "401");
    tamper(&server, 1, 100, LOSE);
    // Somebody else's, and what is no record at all.
    server.cli(&["xadd", STREAM, "*", "w", "9", "s", "0", "a", "1", "p", "x"]);
    server.cli(&["xadd", STREAM, "*", "hello", "world"]);

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
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_out_of_its_order_is_seen() {
    let server = Single::up(18821, &[]);
    let settings = settings("run-1");
    let ledger = Ledger::open(&server.url(), &settings, None);
    let opened = open_ledger(&Clock::System, &place(&server.url()), "blackstart_ledger", None, &settings).unwrap();
    let mut clerk = Clerk::new(opened.client, Clock::System);
    for seq in 0..20 {
        assert_eq!(clerk.write(0, seq).await, Outcome::Ok);
    }
    tamper(&server, 0, 5, &format!("{TWICE} {LOSE}"));
    let verified = clerk.settle(&*ledger.store, &settings).await;
    assert_eq!((verified.kept, verified.reordered, verified.duplicated, verified.lost), (20, 1, 0, 0));
}

/// So many milliseconds after the first signal, for so many.
fn disturbance(after: u64, lasting: u64, weather: Weather) -> Disturbance {
    let ms = Duration::from_millis;
    Disturbance { after: ms(after), lasting: ms(lasting), weather }
}

#[tokio::test(start_paused = true)]
async fn the_simulation_shows_what_is_true_of_it() {
    for seed in 1..=5 {
        let clock = Clock::simulated();
        let cluster = Cluster::new(
            clock.clone(),
            Settings {
                seed,
                lag: Duration::from_millis(300),
                check_every: Duration::from_millis(100),
                failures: Some(3),
                restart: Duration::from_secs(1),
                disturbances: vec![disturbance(500, 200, Weather::Refusing), disturbance(700, 7_000, Weather::Hanging)],
                lies: Lies { drops: 2, duplicates: 2, corrupts: 2, resurrects: 20 },
            },
        );
        let world = cluster.world();
        let settings = settings("run-1");
        let endpoint = Endpoint::KvLedger { url: "http://sim".to_owned() };
        let opened = world.clients.open(&clock, &endpoint, &settings).await.unwrap();
        let mut clerk = Clerk::new(opened.client, clock.clone());
        for seq in 0..500 {
            if seq == 250 {
                let argv = vec!["pid".to_owned(), "leader".to_owned()];
                let command =
                    Command { argv, env: BTreeMap::new(), stdin: None, cwd: None, timeout: Duration::from_secs(1) };
                let pid = world.commands.run(&command).await.unwrap().stdout.trim().parse().unwrap();
                let who = world.processes.identify(pid).unwrap().unwrap();
                world.processes.signal(&who, "KILL").unwrap();
            }
            for writer in 0..4 {
                clerk.write(writer, seq).await;
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        // Whatever hangs goes on.
        tokio::time::sleep(Duration::from_secs(20)).await;
        let verified = clerk.settle(&*opened.store.unwrap(), &settings).await;
        let truth = cluster.truth().books();
        assert_eq!(books(&verified), truth, "seed {seed}");
        assert!(truth.kept > 1_000 && truth.lost > 20 && truth.duplicated > 10 && truth.corrupted > 10, "{truth:?}");
        assert!(truth.resurrected > 0 && truth.unknown_absent + truth.unknown_present > 0, "{truth:?}");
    }
}
