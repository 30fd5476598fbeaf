//! A store that keeps, drops, duplicates, corrupts and invents records, and what the ledger says about it: every
//! class exact, counted a second time here from the store's own fate of each write.

use super::random::Random;
use super::record::{MS, S, Setup, record};
use blackstart::analysis::{Record, analyze};
use blackstart::event::*;
use blackstart::model::*;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Default, Debug, PartialEq, Eq)]
struct Truth {
    acked: u64,
    kept: u64,
    lost: u64,
    unknown: (u64, u64),
    local: (u64, u64),
    resurrected: u64,
    corrupted: u64,
    duplicated: u64,
    phantom: u64,
}

fn runs(present: &BTreeSet<u64>) -> Vec<(u64, u64)> {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for seq in present {
        match runs.last_mut() {
            Some(run) if run.1 + 1 == *seq => run.1 = *seq,
            _ => runs.push((*seq, *seq)),
        }
    }
    runs
}

/// The store's own view of what it holds, and the client's log.
struct Store {
    truth: Truth,
    ops: Vec<OpRecord>,
    found: BTreeMap<u16, WriterFindings>,
    fault: i64,
    first_sent: i64,
    first_done: i64,
    last_done: i64,
}

#[derive(Default)]
struct Held {
    present: BTreeSet<u64>,
    corrupted: Vec<u64>,
    duplicated: Vec<(u64, u32, u32)>,
}

const PERIOD: i64 = 10 * MS;

fn store(random: &mut Random) -> (Store, u16) {
    let (writers, each) = (random.within(1, 5) as u16, random.within(1, 80) as u64);
    let bad = random.within(0, 30) as u64;
    let fault = S + random.within(0, i64::from(writers) * each as i64) * PERIOD;
    let (truth, ops, found) = (Truth::default(), Vec::new(), BTreeMap::new());
    let (first_sent, first_done, last_done) = (i64::MAX, i64::MAX, i64::MIN);
    let mut store = Store { truth, ops, found, fault, first_sent, first_done, last_done };
    for writer in 0..writers {
        let mut held = Held::default();
        for seq in 0..each {
            let due = S + (seq as i64 * i64::from(writers) + i64::from(writer)) * PERIOD;
            store.write(due, Key { writer, seq }, bad, &mut held, random);
        }
        for seq in each..each + random.within(0, 2) as u64 {
            held.present.insert(seq);
            store.truth.phantom += 1;
        }
        let Held { present, corrupted, duplicated } = held;
        let present = runs(&present);
        store.found.insert(writer, WriterFindings { present, corrupted, duplicated, reordered: Vec::new() });
    }
    store.ops.sort_by_key(|op| op.done);
    (store, writers)
}

impl Store {
    fn write(&mut self, due: i64, key: Key, bad: u64, held: &mut Held, random: &mut Random) {
        let (sent, done) = (due + random.within(0, MS), due + random.within(2 * MS, 9 * MS));
        let others = [Outcome::OkLocal, Outcome::Fail, Outcome::Unknown, Outcome::Ok];
        let outcome = if random.chance(bad) { random.one_of(&others) } else { Outcome::Ok };
        let there = if outcome == Outcome::Ok { !random.chance(bad) } else { random.chance(50) };
        let damaged = there && random.chance(bad / 3);
        let truth = &mut self.truth;
        match (outcome, there) {
            (Outcome::Ok, true) => truth.kept += u64::from(!damaged),
            (Outcome::Ok, false) => {
                truth.lost += 1;
                self.first_sent = self.first_sent.min(sent);
                self.first_done = self.first_done.min(done);
                self.last_done = self.last_done.max(done);
            }
            (Outcome::OkLocal, true) => truth.local.0 += 1,
            (Outcome::OkLocal, false) => truth.local.1 += 1,
            (Outcome::Unknown, true) => truth.unknown.0 += 1,
            (Outcome::Unknown, false) => truth.unknown.1 += 1,
            (_, true) => truth.resurrected += 1,
            (_, false) => {}
        }
        truth.acked += u64::from(outcome == Outcome::Ok);
        truth.corrupted += u64::from(damaged);
        if there {
            held.present.insert(key.seq);
            if damaged {
                held.corrupted.push(key.seq);
            }
            if random.chance(bad / 3) {
                truth.duplicated += 1;
                held.duplicated.push((key.seq, 2, 0));
            }
        }
        let (due, sent, done) = (Mono(due), Mono(sent), Mono(done));
        self.ops.push(OpRecord { due, sent, done, action: Action::Write, outcome, key: Some(key), found: None });
    }

    fn rpo(&self) -> Option<(i64, i64)> {
        let recent = self.fault - S..=self.fault;
        let told = self.ops.iter().any(|op| op.outcome == Outcome::Ok && recent.contains(&op.done.0));
        match self.truth.lost {
            _ if !told => None,
            0 => Some((0, 0)),
            _ => {
                let (lo, hi) = (self.fault.max(self.last_done), (self.fault + 3 * MS).max(self.last_done));
                Some((lo - self.first_done, hi - self.first_sent))
            }
        }
    }
}

fn with_final(store: &Store, writers: u16) -> Record {
    let at = Span::new(Mono(store.fault), Mono(store.fault + 3 * MS));
    let (service, rate, stalls) = (Service::default(), 100.0, Vec::new());
    let setup = Setup { rate, service, timeout: S, writers, fault: at, healed: 100 * S, stalls };
    let mut record = record(&setup, store.ops.clone());
    let findings = ReadBack { writers: store.found.clone(), ..ReadBack::default() };
    record.read_backs.insert("final".to_owned(), findings);
    let (stage, site, file) = (ReadBackStage::Final, "service".to_owned(), Some("final".to_owned()));
    let done = ReadBackDone { workload: "w".into(), stage, site, began: None, file, digest: None, error: None };
    let stamp = record.events[0].at;
    record.events.insert(1, Event { at: stamp, what: What::ReadBack(done) });
    record
}

#[test]
fn every_class_is_exact() {
    for seed in 0..1_000 {
        let (store, writers) = store(&mut Random::new(seed));
        let analysis = analyze(&with_final(&store, writers));
        let l = analysis.workloads[0].ledger.clone().unwrap();
        let truth = &store.truth;
        let said = Truth {
            acked: l.acked,
            kept: l.kept.unwrap(),
            lost: l.lost.unwrap(),
            unknown: (l.unknown_present.unwrap(), l.unknown_absent.unwrap()),
            local: (l.acked_local - l.local_absent.unwrap(), l.local_absent.unwrap()),
            resurrected: l.resurrected.unwrap(),
            corrupted: l.corrupted.unwrap(),
            duplicated: l.duplicated.unwrap(),
            phantom: l.phantom.unwrap(),
        };
        assert_eq!(said, *truth, "seed {seed}");
        assert_eq!(l.lost_upper, Some(0), "seed {seed}");
        assert_eq!(l.lost_runs.iter().map(|run| run.to - run.from + 1).sum::<u64>(), truth.lost, "seed {seed}");
        assert_eq!(l.ages.iter().map(|(_, count)| count).sum::<u64>(), truth.lost, "seed {seed}");
        assert_eq!(l.rpo_time.map(|i| (i.low, i.high)), store.rpo(), "seed {seed}");
    }
}
