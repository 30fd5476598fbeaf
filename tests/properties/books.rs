//! A store that keeps, drops, duplicates, corrupts and invents records, and what the ledger says about it: every
//! class exact, counted a second time here from the store's own fate of each write.

use super::random::Random;
use super::record::{MS, S, Setup, record};
use blackstart::analysis::analyze;
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

#[test]
fn every_class_is_exact() {
    for seed in 0..1_000 {
        let random = &mut Random::new(seed);
        let (writers, each) = (random.within(1, 5) as u16, random.within(1, 80) as u64);
        let (bad, period) = (random.within(0, 30) as u64, 10 * MS);
        let mut truth = Truth::default();
        let mut ops = Vec::new();
        let mut found: BTreeMap<u16, WriterFindings> = BTreeMap::new();
        let fault = S + random.within(0, i64::from(writers) * each as i64) * period;
        let (mut first_sent, mut first_done, mut last_done) = (i64::MAX, i64::MAX, i64::MIN);
        for writer in 0..writers {
            let (mut present, mut corrupted, mut duplicated) = (BTreeSet::new(), Vec::new(), Vec::new());
            for seq in 0..each {
                let due = S + (seq as i64 * i64::from(writers) + i64::from(writer)) * period;
                let (sent, done) = (due + random.within(0, MS), due + random.within(2 * MS, 9 * MS));
                let usual = !random.chance(bad);
                let others = [Outcome::OkLocal, Outcome::Fail, Outcome::Unknown, Outcome::Ok];
                let outcome = if usual { Outcome::Ok } else { random.one_of(&others) };
                let there = if outcome == Outcome::Ok { !random.chance(bad) } else { random.chance(50) };
                let damaged = there && random.chance(bad / 3);
                match (outcome, there) {
                    (Outcome::Ok, true) => truth.kept += u64::from(!damaged),
                    (Outcome::Ok, false) => {
                        truth.lost += 1;
                        (first_sent, first_done) = (first_sent.min(sent), first_done.min(done));
                        last_done = last_done.max(done);
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
                    present.insert(seq);
                    if damaged {
                        corrupted.push(seq);
                    }
                    if random.chance(bad / 3) {
                        truth.duplicated += 1;
                        duplicated.push((seq, 2, 0));
                    }
                }
                let key = Some(Key { writer, seq });
                let (due, sent, done) = (Mono(due), Mono(sent), Mono(done));
                ops.push(OpRecord { due, sent, done, action: Action::Write, outcome, key, found: None });
            }
            for seq in each..each + random.within(0, 2) as u64 {
                present.insert(seq);
                truth.phantom += 1;
            }
            let present = runs(&present);
            found.insert(writer, WriterFindings { present, corrupted, duplicated, reordered: Vec::new() });
        }
        ops.sort_by_key(|op| op.done);
        let recent = ops.iter().any(|op| op.outcome == Outcome::Ok && (fault - S..=fault).contains(&op.done.0));
        let at = Span::new(Mono(fault), Mono(fault + 3 * MS));
        let (service, end) = (Service::default(), 100 * S);
        let (rate, stalls) = (100.0, Vec::new());
        let setup = Setup { rate, service, timeout: S, writers, fault: at, healed: end, stalls };
        let mut record = record(&setup, ops);
        record.read_backs.insert("final".to_owned(), ReadBack { writers: found, ..ReadBack::default() });
        let (stage, site) = (ReadBackStage::Final, "service".to_owned());
        let file = Some("final".to_owned());
        let done = ReadBackDone { workload: "w".into(), stage, site, began: None, file, digest: None, error: None };
        let stamp = record.events[0].at;
        record.events.insert(1, Event { at: stamp, what: What::ReadBack(done) });

        let analysis = analyze(&record);
        let l = analysis.workloads[0].ledger.clone().unwrap();
        let said = Truth {
            acked: l.acked,
            kept: l.kept.unwrap(),
            lost: l.lost.unwrap(),
            unknown: (l.unknown_present.unwrap() - truth.local.0, l.unknown_absent.unwrap()),
            local: (truth.local.0, l.local_absent.unwrap()),
            resurrected: l.resurrected.unwrap(),
            corrupted: l.corrupted.unwrap(),
            duplicated: l.duplicated.unwrap(),
            phantom: l.phantom.unwrap(),
        };
        assert_eq!(said, truth, "seed {seed}");
        assert_eq!(l.lost_upper, Some(0), "seed {seed}");
        assert_eq!(l.lost_runs.iter().map(|run| run.to - run.from + 1).sum::<u64>(), truth.lost, "seed {seed}");
        assert_eq!(l.ages.iter().map(|(_, count)| count).sum::<u64>(), truth.lost, "seed {seed}");
        let expected = match truth.lost {
            _ if !recent => None,
            0 => Some((0, 0)),
            _ => Some((fault.max(last_done) - first_done, (fault + 3 * MS).max(last_done) - first_sent)),
        };
        assert_eq!(l.rpo_time.map(|i| (i.low, i.high)), expected, "seed {seed}");
    }
}
