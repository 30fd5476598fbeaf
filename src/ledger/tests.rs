//! Every class against a naive model over random histories, and the bounds on memory.

use super::*;
use crate::event::ReadBack;
use crate::model::Found;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const WRITERS: u16 = 3;

#[derive(Debug, Clone)]
struct Wrote {
    key: Key,
    outcome: Outcome,
    sent: i64,
    done: i64,
}

#[derive(Debug, Clone)]
struct Row {
    key: Key,
    attempt: u32,
    found: Found,
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        12 => Just(Outcome::Ok), 2 => Just(Outcome::OkLocal), 3 => Just(Outcome::Unknown), 3 => Just(Outcome::Fail)
    ]
}

/// Mostly in order and without gaps, as a sampler writes; then shuffled a little, with keys that were logged twice.
fn history() -> impl Strategy<Value = Vec<Wrote>> {
    let one = (0..WRITERS, 0_u64..4, outcome(), 0_i64..50, any::<u8>());
    (prop::collection::vec(one, 0..300), prop_oneof![Just(0_u64), Just(65_500), Just(u64::MAX / 8)]).prop_map(
        |(steps, offset)| {
            let mut next = [offset; WRITERS as usize];
            let mut out: Vec<Wrote> = Vec::new();
            for (at, (writer, skip, outcome, took, swap)) in steps.into_iter().enumerate() {
                let seq = next[usize::from(writer)] + skip / 3;
                next[usize::from(writer)] = seq + 1;
                let (sent, key) = (at as i64 * 10, Key { writer, seq });
                out.push(Wrote { key, outcome, sent, done: sent + took });
                let length = out.len();
                if swap < 40 && length > 3 {
                    out.swap(length - 1, length - 1 - usize::from(swap % 3));
                }
                if swap > 250 {
                    out.push(Wrote { key, outcome: Outcome::Fail, sent, done: sent + took });
                }
            }
            out
        },
    )
}

fn rows(history: &[Wrote], picks: &[u8]) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for (wrote, pick) in history.iter().zip(picks.iter().cycle()) {
        let row = Row { key: wrote.key, attempt: 1, found: Found::Intact };
        match pick % 16 {
            0 => {}
            1 => rows.push(Row { found: Found::Corrupted, ..row }),
            2 => rows.extend([row.clone(), row]),
            3 => rows.extend([row.clone(), Row { attempt: 2, ..row }]),
            4 => rows.push(Row { key: Key { seq: wrote.key.seq + 500, ..row.key }, ..row }),
            5 => rows.push(Row { key: Key { writer: WRITERS + 1, ..row.key }, ..row }),
            6 if !rows.is_empty() => rows.insert(rows.len() - 1, row),
            7 => rows.push(Row { attempt: 2, ..row }),
            _ => rows.push(row),
        }
    }
    rows
}

fn sighted(rows: &[Row]) -> ReadBack {
    let mut sight = Sight::new(WRITERS);
    rows.iter().for_each(|row| sight.row(row.key, row.attempt, row.found));
    sight.finish()
}

/// The table again, one write at a time.
fn naive(history: &[Wrote], rows: &[Row]) -> Verified {
    let mut told: BTreeMap<Key, Told> = BTreeMap::new();
    for wrote in history {
        let new = Told::of(wrote.outcome);
        told.entry(wrote.key).and_modify(|old| *old = (*old).min(new)).or_insert(new);
    }
    let mut there: BTreeMap<Key, Vec<&Row>> = BTreeMap::new();
    let mut v = Verified::default();
    let mut highest: BTreeMap<u16, u64> = BTreeMap::new();
    for row in rows {
        if row.key.writer >= WRITERS {
            v.phantom += 1;
            continue;
        }
        let before = there.entry(row.key).or_default();
        let top = highest.entry(row.key.writer).or_insert(row.key.seq);
        v.reordered += u64::from(before.is_empty() && row.key.seq < *top);
        *top = row.key.seq.max(*top);
        before.push(row);
    }
    for (key, copies) in &there {
        let attempts: BTreeSet<u32> = copies.iter().map(|row| row.attempt).collect();
        v.duplicated += u64::from(copies.len() > 1);
        v.duplicated_by_server += u64::from(attempts.len() < copies.len());
        v.corrupted += u64::from(copies.iter().any(|row| row.found != Found::Intact));
        v.phantom += u64::from(!told.contains_key(key));
    }
    for (key, told) in &told {
        let copies = there.get(key);
        let intact = copies.is_some_and(|copies| copies.iter().all(|row| row.found == Found::Intact));
        v.attempted += 1;
        match (told, copies.is_some()) {
            (Told::Acked, true) => (v.acked, v.kept) = (v.acked + 1, v.kept + u64::from(intact)),
            (Told::Acked, false) => {
                (v.acked, v.lost) = (v.acked + 1, v.lost + 1);
                let runs = v.lost_runs.entry(key.writer).or_default();
                match runs.last_mut() {
                    Some((_, to)) if *to + 1 == key.seq && *told == Told::Acked => *to = key.seq,
                    _ => runs.push((key.seq, key.seq)),
                }
            }
            (Told::Local, there) => {
                (v.acked_local, v.local_absent) = (v.acked_local + 1, v.local_absent + u64::from(!there));
            }
            (Told::Unknown, true) => v.unknown_present += 1,
            (Told::Unknown, false) => v.unknown_absent += 1,
            (Told::Failed, there) => v.resurrected += u64::from(there),
        }
    }
    for writer in 0..WRITERS {
        let of = |key: &Key| key.writer == writer;
        let top = told.keys().filter(|key| of(key)).map(|key| key.seq + 1).max().unwrap_or(0);
        let recorded = told.keys().filter(|key| of(key)).count() as u64;
        let strange = there.keys().filter(|key| of(key) && key.seq < top && !told.contains_key(key)).count() as u64;
        v.unlogged += top - recorded - strange;
    }
    v
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn every_class_is_exact(history in history(), picks in prop::collection::vec(any::<u8>(), 1..40)) {
        let rows = rows(&history, &picks);
        let mut ledger = Ledger::new(Keep::Times);
        for (at, wrote) in history.iter().enumerate() {
            ledger.record(wrote.key, wrote.outcome, Mono(wrote.sent), Mono(wrote.done));
            if at % 37 == 0 {
                prop_assert!(ledger.told(wrote.key).is_some());
            }
        }
        let verified = ledger.verify(&sighted(&rows), Log::Whole);
        let truth = naive(&history, &rows);
        prop_assert_eq!(&verified, &truth);
        prop_assert_eq!(&ledger.verify(&sighted(&rows), Log::Whole), &truth, "asking changes nothing");
        // The times of what is lost are those of the writes themselves.
        let lost = |key: Key| truth.lost_runs.get(&key.writer).is_some_and(|runs| {
            runs.iter().any(|(from, to)| (*from..=*to).contains(&key.seq))
        });
        let lost: Vec<&Wrote> = history.iter().filter(|wrote| lost(wrote.key)).collect();
        let times = ledger.loss_times(&verified);
        if history.iter().all(|wrote| wrote.key.seq < 1 << 40) {
            prop_assert_eq!(times.map(|t| t.sent_first.lo.0), lost.iter().map(|wrote| wrote.sent).min());
            prop_assert_eq!(times.map(|t| t.done_last.hi.0), lost.iter().map(|wrote| wrote.done).max());
        } else if let Some(times) = times {
            prop_assert!(lost.iter().all(|wrote| times.sent_first.lo.0 <= wrote.sent && wrote.done <= times.done_last.hi.0));
        }
    }
}

fn key(writer: u16, seq: u64) -> Key {
    Key { writer, seq }
}

fn ledger(seqs: impl Iterator<Item = u64>) -> Ledger {
    let mut ledger = Ledger::new(Keep::Times);
    seqs.for_each(|seq| ledger.record(key(0, seq), Outcome::Ok, Mono(0), Mono(1)));
    ledger
}

fn found(seqs: impl Iterator<Item = u64>) -> ReadBack {
    let mut sight = Sight::new(1);
    seqs.for_each(|seq| sight.row(key(0, seq), 1, Found::Intact));
    sight.finish()
}

#[test]
fn a_cut_log_never_reports_as_lost_what_it_does_not_hold() {
    // Written and acknowledged: 0..100, of which the log kept 0..90; the store lost 80..84 and 95..97.
    let (mut ledger, store) = (ledger(0..90), found((0..80).chain(84..95).chain(97..100)));
    let cut = ledger.verify(&store, Log::Cut { tail: 20 });
    assert_eq!((cut.lost, cut.phantom), (4, 0), "rows beyond the log's end are our own");
    assert!((4..=4 + cut.unlogged).contains(&6), "the true loss lies in [lost, lost + u]: u = {}", cut.unlogged);
    let whole = ledger.verify(&store, Log::Whole);
    assert_eq!((whole.lost, whole.unlogged, whole.phantom), (4, 0, 8), "in a whole log nobody wrote those");
    let nothing_there = ledger.verify(&found(0..90), Log::Cut { tail: 20 });
    assert_eq!((nothing_there.lost, nothing_there.unlogged), (0, 20));
}

#[test]
fn a_hole_in_the_log_widens_the_interval_only_for_what_is_absent() {
    let mut ledger = ledger((0..10).chain(14..20));
    let verified = ledger.verify(&found((0..12).chain(15..20)), Log::Whole);
    assert_eq!((verified.lost, verified.unlogged, verified.phantom), (1, 2, 2));
}

#[test]
fn wild_findings_panic_nowhere() {
    let mut ledger = ledger([0, 1, u64::MAX, u64::MAX - 1].into_iter());
    let mut wild = ReadBack::default();
    let present = vec![(5, 3), (0, u64::MAX), (7, 9), (u64::MAX, u64::MAX), (0, 0)];
    wild.writers.insert(0, crate::event::WriterFindings { present, corrupted: vec![9, 1, 1], ..Default::default() });
    assert_eq!(ledger.verify(&wild, Log::Whole).attempted, 4);
    assert_eq!(ledger.verify(&wild, Log::Cut { tail: u64::MAX }).attempted, 4);
}

#[test]
fn order_costs_almost_nothing_and_disorder_some_bits() {
    let mut ordered = Ledger::new(Keep::Outcomes);
    let mut shuffled = Ledger::new(Keep::Outcomes);
    let count = 1_u64 << 20;
    for seq in 0..count {
        ordered.record(key(1, seq), Outcome::Ok, Mono(0), Mono(0));
        // An odd factor visits every number once, in no order.
        let other = seq.wrapping_mul(0x9E37_79B9) % count;
        let outcome = if other.is_multiple_of(3) { Outcome::Fail } else { Outcome::Ok };
        shuffled.record(key(0, other), outcome, Mono(0), Mono(0));
    }
    assert!(ordered.bytes() < 8 * 1024, "{}", ordered.bytes());
    let bits = shuffled.bytes() as u64 * 8 / count;
    assert!(bits <= 2, "{bits} bits a write");
    assert_eq!(shuffled.verify(&ReadBack::default(), Log::Whole).attempted, count);
}
