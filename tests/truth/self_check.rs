//! The truth program itself is checked against a client of its own, which knows what it was told: nothing of the tool's
//! measuring takes part.

use super::http::Client;
use super::program::{Cause, Truth};
use super::support::{Staging, monotonic, signal};
use nix::sys::signal::Signal;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

#[derive(Default)]
struct Seen {
    acked: BTreeSet<(u64, u64)>,
    failed: BTreeSet<(u64, u64)>,
    unknown: BTreeSet<(u64, u64)>,
    answered: Vec<i64>,
}

/// Four writers that write as fast as they are answered, until told to stop.
fn load(port: u16, stop: &Arc<AtomicBool>) -> Vec<std::thread::JoinHandle<Seen>> {
    let writer = |writer: u64| {
        let stop = Arc::clone(stop);
        std::thread::spawn(move || {
            let (mut client, mut seen) = (Client::new(port), Seen::default());
            for seq in 0.. {
                if stop.load(Ordering::Relaxed) {
                    return seen;
                }
                let answer = client.put(&format!("/ledger/own/{writer}/{seq}"), b"payload").unwrap();
                let class = match (answer.status, answer.header("x-blackstart-outcome")) {
                    (200, None) => {
                        seen.answered.push(monotonic());
                        &mut seen.acked
                    }
                    (_, Some("fail")) => &mut seen.failed,
                    _ => &mut seen.unknown,
                };
                class.insert((writer, seq));
                std::thread::sleep(Duration::from_millis(2));
            }
            seen
        })
    };
    (0..4).map(writer).collect()
}

/// An answer that is there when a server stops is read when the client gets a processor, so long later at most; in
/// nanoseconds.
const UNDER_WAY: i64 = 100_000_000;

/// The largest time without an answer: from, to.
fn gap(seen: &[Seen]) -> (i64, i64) {
    let mut all: Vec<i64> = seen.iter().flat_map(|s| &s.answered).copied().collect();
    all.sort_unstable();
    all.windows(2).map(|w| (w[0], w[1])).max_by_key(|(from, to)| to - from).unwrap()
}

fn finish(stop: &AtomicBool, writers: Vec<std::thread::JoinHandle<Seen>>) -> Vec<Seen> {
    std::thread::sleep(Duration::from_millis(700));
    stop.store(true, Ordering::Relaxed);
    writers.into_iter().map(|w| w.join().unwrap()).collect()
}

fn union(seen: &[Seen], class: impl Fn(&Seen) -> &BTreeSet<(u64, u64)>) -> BTreeSet<(u64, u64)> {
    seen.iter().flat_map(|s| class(s).iter().copied()).collect()
}

#[test]
fn a_kill_is_seen_as_the_client_saw_it() {
    let staging = Staging::start(&["--lag", "150ms"]);
    let stop = Arc::new(AtomicBool::new(false));
    let writers = load(staging.port, &stop);
    std::thread::sleep(Duration::from_millis(700));
    let called = monotonic();
    signal(staging.pid("primary"), Signal::SIGKILL);
    let seen = finish(&stop, writers);
    assert_eq!(staging.client().post("/cluster/start").unwrap().status, 200);

    let truth = Truth::read(staging.dir.path());
    assert_eq!(truth.runs(), BTreeSet::from(["own".to_owned()]));
    let writes = truth.writes("own");
    assert_eq!(writes.acked, union(&seen, |s| &s.acked));
    assert_eq!(writes.failed, union(&seen, |s| &s.failed));
    assert_eq!(writes.unknown, union(&seen, |s| &s.unknown));
    let kept: BTreeSet<_> = staging.rows("own").into_iter().collect();
    assert_eq!(writes.rows.keys().copied().collect::<BTreeSet<_>>(), kept);
    assert_eq!(writes.lost(), writes.acked.difference(&kept).copied().collect());
    assert!(!writes.lost().is_empty(), "150 ms of lag lose something");
    assert!(writes.lost().iter().all(|k| writes.accepted[k] > called - 400_000_000), "only the tail is lost");

    let away = truth.away();
    assert_eq!(away.len(), 1, "{away:?}");
    let (from, to) = gap(&seen);
    let Some(back) = away[0].writes_back else { panic!("{away:?}") };
    assert_eq!(away[0].cause, Cause::Died);
    assert!(away[0].stop.lo <= away[0].stop.hi && called <= away[0].stop.hi);
    assert!(
        away[0].stop.hi > from - UNDER_WAY && back.lo < to && back.hi <= to,
        "{away:?} is not the gap ({from}, {to})"
    );
    assert!(back.lo > away[0].stop.hi);
}

#[test]
fn a_freeze_is_seen_as_the_client_saw_it() {
    let staging = Staging::start(&["--no-failover"]);
    let stop = Arc::new(AtomicBool::new(false));
    let writers = load(staging.port, &stop);
    std::thread::sleep(Duration::from_millis(500));
    let called = monotonic();
    signal(staging.pid("primary"), Signal::SIGSTOP);
    std::thread::sleep(Duration::from_millis(800));
    let ended = monotonic();
    signal(staging.pid("primary"), Signal::SIGCONT);
    let seen = finish(&stop, writers);

    let truth = Truth::read(staging.dir.path());
    let away = truth.away();
    assert_eq!((away.len(), away[0].cause), (1, Cause::Froze), "{away:?}");
    let Some(back) = away[0].back else { panic!("{away:?}") };
    assert!(away[0].stop.hi >= called && back.hi >= ended, "{away:?} is not ({called}, {ended})");
    let (from, to) = gap(&seen);
    assert!(away[0].stop.hi > from - UNDER_WAY && back.hi < to, "{away:?} is not the gap ({from}, {to})");
    let writes = truth.writes("own");
    assert_eq!(writes.acked, union(&seen, |s| &s.acked));
    assert!(writes.lost().is_empty() && writes.unknown.is_empty() && writes.failed.is_empty());
}

#[test]
fn every_time_away_is_told_apart() {
    let staging = Staging::start(&["--check-timeout", "100ms"]);
    let stop = Arc::new(AtomicBool::new(false));
    let writers = load(staging.port, &stop);
    let wait = |ms| std::thread::sleep(Duration::from_millis(ms));
    wait(400);
    signal(staging.pid("primary"), Signal::SIGKILL);
    staging.until_led_by("b");
    assert_eq!(staging.client().post("/cluster/start").unwrap().status, 200);
    wait(300);
    let second = staging.pid("primary");
    signal(second, Signal::SIGSTOP);
    staging.until_led_by("a");
    wait(200);
    // The deposed primary answers nobody, so that it goes on is no return of service.
    signal(second, Signal::SIGCONT);
    staging.until_caught_up();
    signal(staging.pid("standby"), Signal::SIGKILL);
    wait(200);
    let third = staging.pid("primary");
    signal(third, Signal::SIGSTOP);
    wait(150);
    signal(third, Signal::SIGCONT);
    let seen = finish(&stop, writers);

    let truth = Truth::read(staging.dir.path());
    let away = truth.away();
    let causes: Vec<_> = away.iter().map(|a| (a.node.as_str(), a.cause)).collect();
    assert_eq!(causes, [("a", Cause::Died), ("b", Cause::Froze), ("a", Cause::Froze)], "{away:?}");
    for pair in away.windows(2) {
        let (Some(back), next) = (pair[0].back, pair[1].stop) else { panic!("{away:?}") };
        assert!(pair[0].stop.hi <= back.lo && back.hi <= next.lo, "{away:?}");
    }
    let Some(last) = away[2].back else { panic!("{away:?}") };
    assert!((140_000_000..1_000_000_000).contains(&(last.hi - away[2].stop.lo)), "{away:?}");
    let writes = truth.writes("own");
    assert_eq!(writes.acked, union(&seen, |s| &s.acked));
    assert_eq!(writes.failed, union(&seen, |s| &s.failed));
    assert_eq!(writes.unknown, union(&seen, |s| &s.unknown));
    assert_eq!(writes.rows.keys().copied().collect::<BTreeSet<_>>(), staging.rows("own").into_iter().collect());
}
